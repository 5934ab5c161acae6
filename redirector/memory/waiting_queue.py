"""The waiting room as one worker knows it: read twice a second, less often where it is long, and told as often who has
asked meanwhile.
"""

from __future__ import annotations

from threading import Lock

from redirector.model.waiting_room import Queue
from redirector.store.tickets import Tickets

SYNCS_A_SWEEP = 20

TICKETS_A_SYNC = 250
"""Of so many tickets for each turn: a longer queue is read less often, since reading it takes time of those who are
placed meanwhile. Only those far from the front go by it, so a place may be a few seconds old.
"""

MOST_SYNCS = 6
"""The longest queue is read every 3 s."""


class WaitingQueue:
    """Everyone who waits costs the database their part of two queries a second, however often their pages ask."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._lock = Lock()
        self._intervals: dict[str, float] = {}
        self._syncs = 0
        self._read_again_at = 0
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
        length = len(self.queue.index)
        if self._syncs >= self._read_again_at or length < TICKETS_A_SYNC:
            self.queue = self._tickets.queue()
            self._read_again_at = self._syncs + min(MOST_SYNCS, 1 + len(self.queue.index) // TICKETS_A_SYNC)
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
