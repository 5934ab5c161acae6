"""The waiting room as one worker knows it: read twice a second, and told as often who has asked meanwhile."""

from __future__ import annotations

from threading import Lock

from redirector.model.waiting_room import Queue
from redirector.store.tickets import Tickets

SYNCS_A_SWEEP = 20


class WaitingQueue:
    """Everyone who waits costs the database their part of two queries a second, however often their pages ask."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._lock = Lock()
        self._intervals: dict[str, float] = {}
        self._syncs = 0
        self.queue = Queue()

    def sync(self) -> None:
        """Write who has asked, then read how everyone stands.

        Raises:
            DatabaseAwayError: it cannot be done now.
        """
        with self._lock:
            intervals, self._intervals = self._intervals, {}
        if intervals:
            self._tickets.saw(intervals)
        self.queue = self._tickets.queue()
        if self._syncs % SYNCS_A_SWEEP == 0:
            self._tickets.sweep()
        self._syncs += 1

    def forget(self) -> None:
        """Forget everyone's place: nobody's can be known while the database is away."""
        self.queue = Queue()

    def saw(self, ticket: str, interval: float) -> None:
        """Note that this ticket has asked, and asks again in so many seconds."""
        with self._lock:
            self._intervals[ticket] = interval
