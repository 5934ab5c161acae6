"""Why a visitor has no sandbox, yet or at all, and everything that follows from that. Pure.

This is the redirector's one vocabulary of "no". Nodes have one of their own (`wire.RefusalStatus`), which `placement`
turns into this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LIMITED_SECONDS = 60
FULL_SECONDS = 15
MOMENT_SECONDS = 2
"""Programs and pages without a place try again after this: allowances fill slowly, sessions last minutes, and what
starts takes a second or two."""


class DenialReason(StrEnum):
    """The reason for which a visitor waits or is refused. Its value is the public word of it."""

    FULL = "full"
    STARTING = "starting"
    TROUBLE = "trouble"
    """No node gave a plain answer."""
    THROTTLED = "held"
    """The client has had more than its share, and lets others pass for a while. Only those who wait are told so."""
    CROWDED = "crowded"
    """The waiting room is at its limit."""
    LIMITED = "limited"
    """The client is beyond all bearable waiting, or holds as many places as one may."""
    UNKNOWN_POOL = "unknown_pool"
    BAD_REQUEST = "bad_request"
    """Nodes can make no sense of the path."""

    @property
    def waitable(self) -> bool:
        """Whether waiting may help, so that a visitor may join the queue."""
        return _FOLLOWS[self].waitable

    @property
    def fleets_fault(self) -> bool:
        """Whether the fleet failed somebody who is refused for this reason."""
        return _FOLLOWS[self].fleets_fault

    @property
    def retry_seconds(self) -> int:
        """The seconds after which a refused visitor may try again; 0: that makes no sense."""
        return _FOLLOWS[self].retry_seconds

    @property
    def fact(self) -> str:
        """What is the matter, as the beginning of a sentence."""
        return _FOLLOWS[self].fact

    @property
    def refusal(self) -> str:
        """The sentence for a visitor who is refused."""
        return f"{_FOLLOWS[self].fact}{_FOLLOWS[self].advice}."

    @property
    def wait(self) -> str:
        """The sentence for a visitor who has a place in the queue."""
        return f"{_FOLLOWS[self].fact}; this ticket keeps your place."


@dataclass(frozen=True, slots=True)
class _Consequences:
    fact: str
    advice: str = "; ask again later"
    retry_seconds: int = FULL_SECONDS
    waitable: bool = False
    fleets_fault: bool = False


_SHARE = "Your address has had more sandboxes than its share"
_MOMENT = "; ask again in a moment"

_FOLLOWS: Mapping[DenialReason, _Consequences] = {
    DenialReason.FULL: _Consequences("Every sandbox is in use", waitable=True, fleets_fault=True),
    DenialReason.STARTING: _Consequences("A sandbox is being started", _MOMENT, MOMENT_SECONDS, waitable=True),
    DenialReason.TROUBLE: _Consequences("No node can be used right now", _MOMENT, waitable=True, fleets_fault=True),
    DenialReason.THROTTLED: _Consequences(_SHARE, retry_seconds=LIMITED_SECONDS, waitable=True),
    DenialReason.CROWDED: _Consequences("Every sandbox is in use, and so is the waiting room", fleets_fault=True),
    DenialReason.LIMITED: _Consequences(_SHARE, retry_seconds=LIMITED_SECONDS, fleets_fault=True),
    DenialReason.UNKNOWN_POOL: _Consequences("No node has a pool of that name", "", 0),
    DenialReason.BAD_REQUEST: _Consequences("No sandbox can be opened at that path", "", 0),
}

REFUSALS = tuple(reason for reason in DenialReason if reason is not DenialReason.THROTTLED)
"""The reasons for which visitors are refused, in the order in which they are counted and shown."""
