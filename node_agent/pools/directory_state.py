"""One sandbox's directory, as found when an agent starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """One sandbox's directory, as found."""

    sealed: bool
    claimed_at: float | None
    visited: bool = False
    wanted: str = ""
    """The digest of the blob that its visitor came for."""
    filled: bool = False
    embedded: bool = False
    """It was claimed for live code in a page."""
