"""A sandbox and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tmpnb_common.keys import name_of

State = Literal["starting", "ready", "claimed", "ending", "trial"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One visitor's Jupyter server, or one that waits for a visitor. Times are seconds since 1970."""

    key: str
    pool: str
    image: str
    state: State
    created_at: float
    claimed_at: float | None = None
    visited: bool = False
    """Its visitor has come: somebody asked it, or the node about it, for anything."""
    last_activity: float | None = None
    """When somebody or something was last seen at work in it; None: not since its claim."""
    busy: bool = False
    """A kernel was computing when Jupyter was last asked."""
    memory: int = 0
    """Bytes that it used when it was last looked at."""
    attempt: str = ""
    """The claim, of those with its ticket, that was the last to get it; empty: one that cannot be abandoned."""
    content: str = ""
    """The digest of the blob that its home was made with; empty: none."""
    wanted: str = ""
    """The digest of the blob that its visitor came for, to be put into the home after the claim; empty: none."""
    filled: bool = False
    """What is wanted is in the home."""
    embedded: bool = False
    """Claimed for live code in a page of somebody else's: it ends soon after that page has gone."""
    page_seen: float | None = None
    """When a page of it was last seen: connected to a kernel, or asking for the time left; a busy kernel counts, too.
    None: not since its claim.
    """

    @property
    def name(self) -> str:
        return name_of(self.key)

    def __repr__(self) -> str:
        """Without the key: what is printed ends up in a log."""
        return f"Sandbox({self.name}, {self.pool}, {self.state})"
