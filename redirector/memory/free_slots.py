"""Free slots as one worker counts them: the board's numbers, corrected by the replies to its own claims since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

ASK_AGAIN_SECONDS = 0.25
"""A node that refused is left in peace this long by everyone who has no reason to think that it has room again."""


OVERDUE_SECONDS = 0.1
"""A node that has answered nothing for this long while claims wait is asked only when nothing else is free: claims take
milliseconds, and the time-out, which tells for certain, is long. A crowd would run into it meanwhile."""


SET_BACK_SECONDS = 60.0
"""No reply is so much newer than the newest poll, as long as anybody polls: the clock was set back since."""


@dataclass(slots=True)
class _Count:
    known: int = 0
    as_of: float = 0.0
    under_way: int = 0
    waiting_since: float = 0.0
    """The last answer, or the first claim after a time without any."""


class FreeSlots:
    """The count for one pool.

    Invariant: a node's number is what it last said, or what the board says if that is newer, minus the claims of this
    worker that are under way; never below 0. A report that was asked for before a reply came does not undo the reply.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, _Count] = {}
        self._refused_at: dict[str, float] = {}
        self._waited_for: set[str] = set()
        self.free: dict[str, int] = {}
        """By name of node. To be read only; it changes while it is read, which costs a wrong guess at worst."""

    def take(self, free: Mapping[str, int], asked_at: Mapping[str, float]) -> None:
        """Take over the numbers of a new version of the board, each as of the moment when that node was asked."""
        newest = max(asked_at.values(), default=0.0)
        with self._lock:
            for name in self._counts.keys() - free.keys():
                del self._counts[name]
                self.free.pop(name, None)
            for name, number in free.items():
                count = self._counts.setdefault(name, _Count())
                if asked_at[name] >= count.as_of or count.as_of > newest + SET_BACK_SECONDS:
                    count.known, count.as_of = number, asked_at[name]
                self._tell(name, count)

    def begin(self, name: str, *, now: float, count: int = 1) -> None:
        """So many claims set out: their slots are spoken for."""
        with self._lock:
            entry = self._counts.setdefault(name, _Count())
            if not entry.under_way:
                entry.waiting_since = now
            entry.under_way += count
            self._waited_for.add(name)
            self._tell(name, entry)

    def end(self, name: str, *, now: float, took: int, available: int | None, count: int = 1) -> None:
        """So many claims came back, together.

        Args:
            name: of the node.
            now: when.
            took: how many of them brought a sandbox.
            available: what the node says it has left; None if it did not say.
            count: how many claims.
        """
        with self._lock:
            entry = self._counts.setdefault(name, _Count())
            entry.under_way = max(0, entry.under_way - count)
            if took or available is not None:
                entry.waiting_since = now
            if not entry.under_way:
                self._waited_for.discard(name)
            if available is not None:
                entry.known, entry.as_of = available, now
            else:
                entry.known = max(0, entry.known - took)
            if took < count:
                self._refused_at[name] = now
            self._tell(name, entry)

    def overdue(self, now: float) -> set[str]:
        """The nodes that owe this worker an answer for longer than is usual."""
        with self._lock:
            return {
                name
                for name in self._waited_for
                if name in self._counts and now - self._counts[name].waiting_since > OVERDUE_SECONDS
            }

    def asked_lately(self, now: float) -> set[str]:
        """The nodes that refused a moment ago."""
        with self._lock:
            if not self._refused_at:
                return set()
            self._refused_at = {name: at for name, at in self._refused_at.items() if 0 <= now - at < ASK_AGAIN_SECONDS}
            return set(self._refused_at)

    def _tell(self, name: str, count: _Count) -> None:
        self.free[name] = max(0, count.known - count.under_way)
