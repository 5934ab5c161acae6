"""Why a fleet on this machine could not be brought up. The texts are for the person at the terminal."""

from __future__ import annotations


class LocalFleetError(Exception):
    """The local fleet could not be brought up."""


class NotStartedError(LocalFleetError):
    """Something is wrong with what was asked or with this machine; nothing was started."""


class StartFailedError(LocalFleetError):
    """Something was started and did not come up; everything has been stopped again."""
