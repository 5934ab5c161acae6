"""What every worker does beside serving visitors: look for news, contend for the lease, write what it collected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event as Flag
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.store.boards import Boards, Versions
from redirector.store.journal import Journal
from redirector.store.leases import Leases
from redirector.store.registry import Registry

log = logging.getLogger("loops")

NEWS_SECONDS = 0.15
POLLS_A_TICK = 3
"""How late a worker learns at most what another one wrote. A glance without news is one query of two rows. What it
collected itself is written once a turn, or at once if it is that a node failed a visitor.
"""

TICKS_A_RENEWAL = 2

TICKS_AN_ADJUSTMENT = 10
"""So often the shared clock is read: quartz loses less than a millisecond meanwhile."""


class SyncLoop:
    """Turns until it is stopped. While the database is away it changes nothing: what is known stays known."""

    def __init__(
        self,
        *,
        holder: str,
        fleet_state: FleetState,
        outbox: Outbox,
        registry: Registry,
        boards: Boards,
        leases: Leases,
        journal: Journal,
        leading: Flag,
        adjust_clock: Callable[[], None],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._holder = holder
        self._fleet_state = fleet_state
        self._outbox = outbox
        self._registry = registry
        self._boards = boards
        self._leases = leases
        self._journal = journal
        self._leading = leading
        self._adjust_clock = adjust_clock
        self._prepare = prepare
        self._reading = Lock()
        self._versions = Versions(-1, -1)
        self._ticks = 0
        self.database_away = ""
        """Why the database cannot be used; empty while it can."""

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that polls."""
        return self._leading.is_set()

    @property
    def prepared(self) -> bool:
        """Whether the database has the tables that this program expects; they are made or upgraded by a turn."""
        return self._prepare is None

    def run(self, stop: Flag) -> None:
        """Turn until stopped; then write what is left and give the lease back."""
        while not stop.is_set():
            for _ in range(POLLS_A_TICK):
                if self._outbox.urgent.wait(NEWS_SECONDS) or stop.is_set():
                    break
                self.poll_news()
            self.tick()
        self._leading.clear()
        try:
            self._flush()
            self._leases.release(self._holder)
        except DatabaseAwayError as error:
            log.warning("stopping without a last word: %s", error)

    def poll_news(self) -> None:
        """Look for news between turns."""
        if self.prepared and not self.database_away:
            with suppress(DatabaseAwayError):  # the next turn says so
                self.refresh()

    def tick(self) -> None:
        """Look for news, contend for the lease, and write what was collected."""
        try:
            if self._prepare is not None:
                self._prepare()
                self._prepare = None
            if self._ticks % TICKS_AN_ADJUSTMENT == 0:
                self._adjust_clock()
            self.refresh()
            self._contend()
            self._flush()
        except DatabaseAwayError as error:
            if str(error) != self.database_away:
                log.error("%s; %s", error, self._meanwhile())  # noqa: TRY400  # no trace: not our bug
            self.database_away = str(error)
            return
        if self.database_away:
            log.warning("the database is back")
            self.database_away = ""

    def _meanwhile(self) -> str:
        return (
            "visitors are placed by what is known" if self._fleet_state.known else "until it is there no node is known"
        )

    def refresh(self) -> None:
        """Take over what is new in the database. Also called by whoever has just changed something there.

        Invariant: what was read later is never replaced by what was read earlier, since one reads at a time.
        """
        with self._reading:
            current = self._boards.versions()
            nodes = self._registry.all() if current.registry != self._versions.registry else None
            # Whoever polls knows its own board, and sooner.
            news = current.board != self._versions.board and not self._leading.is_set()
            board = self._boards.latest() if news else None
            if nodes is not None or board is not None:
                self._fleet_state.take(nodes, board)
            self._versions = current

    def _contend(self) -> None:
        self._ticks += 1
        if self._ticks % TICKS_A_RENEWAL != 1:
            return
        if self._leases.hold(self._holder):
            if not self._leading.is_set():
                log.info("this worker polls the nodes from now on")
                self._leading.set()
        elif self._leading.is_set():
            log.warning("another worker polls the nodes from now on")
            self._leading.clear()
            self._versions = Versions(self._versions.registry, -1)

    def _flush(self) -> None:
        batch = self._outbox.take()
        if not batch:
            return
        try:
            self._journal.write(batch.events, batch.counts, batch.passive_checks)
        except DatabaseAwayError:
            self._outbox.put_back(batch)
            raise
