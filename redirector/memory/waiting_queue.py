"""The waiting room as one worker knows it: read twice a second, and told as often who has asked meanwhile."""

from __future__ import annotations

import logging
from threading import Event as Flag
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.model.waiting_room import Queue
from redirector.store.tickets import Tickets

log = logging.getLogger("memory")

TICK_SECONDS = 0.5
TICKS_A_SWEEP = 20


class WaitingQueue:
    """Everyone who waits costs the database their part of two queries a second, however often their pages ask."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._lock = Lock()
        self._asked: dict[str, float] = {}
        self._ticks = 0
        self.queue = Queue()
        self.away = True
        """Whether the database cannot be used, so that there is no order to be kept."""
        self.signing_keys: tuple[str, ...] = ()
        """The fleet's own, for visitors' cookies; none until it has been read once."""

    def run(self, stop: Flag) -> None:
        """Turn until stopped."""
        while not stop.wait(TICK_SECONDS):
            self.sync()

    def sync(self) -> None:
        """Write who has asked, then read how everyone stands."""
        with self._lock:
            asked, self._asked = self._asked, {}
        try:
            if asked:
                self._tickets.saw(asked)
            self.queue = self._tickets.queue()
            self.signing_keys = self.signing_keys or (self._tickets.signing_key(),)
            if self._ticks % TICKS_A_SWEEP == 0:
                self._tickets.sweep()
            self._ticks += 1
        except DatabaseAwayError:
            # The sync loop says so. Nobody's place can be known now: whoever asks may try their luck.
            self.away, self.queue = True, Queue()
            return
        self.away = False

    def saw(self, ticket: str, interval: float) -> None:
        """This ticket has asked, and asks again in so many seconds."""
        with self._lock:
            self._asked[ticket] = interval
