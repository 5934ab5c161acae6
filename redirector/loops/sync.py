"""What every worker does beside serving visitors: look for news, contend for the lease, write what it collected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Event as Flag
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.memory.outbox import Reports
from redirector.memory.view import View
from redirector.store.boards import Boards, Editions
from redirector.store.journal import Journal
from redirector.store.leases import Leases
from redirector.store.registry import Registry

log = logging.getLogger("loops")

GLANCE_SECONDS = 0.15
GLANCES_A_TURN = 3
"""How late a worker learns at most what another one wrote. A glance without news is one query of two rows. What it
collected itself is written once a turn, or at once if it is that a node failed a visitor.
"""

TURNS_A_RENEWAL = 2

TURNS_AN_ADJUSTMENT = 10
"""So often the shared clock is read: quartz loses less than a millisecond meanwhile."""


class Keeper:
    """Turns until it is stopped. While the database is away it changes nothing: what is known stays known."""

    def __init__(
        self,
        *,
        holder: str,
        view: View,
        reports: Reports,
        registry: Registry,
        boards: Boards,
        leases: Leases,
        journal: Journal,
        leading: Flag,
        adjust_clock: Callable[[], None],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._holder = holder
        self._view = view
        self._reports = reports
        self._registry = registry
        self._boards = boards
        self._leases = leases
        self._journal = journal
        self._leading = leading
        self._adjust_clock = adjust_clock
        self._prepare = prepare
        self._reading = Lock()
        self._editions = Editions(-1, -1)
        self._turns = 0
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
            for _ in range(GLANCES_A_TURN):
                if self._reports.urgent.wait(GLANCE_SECONDS) or stop.is_set():
                    break
                self.glance()
            self.turn()
        self._leading.clear()
        try:
            self._flush()
            self._leases.release(self._holder)
        except DatabaseAwayError as error:
            log.warning("stopping without a last word: %s", error)

    def glance(self) -> None:
        """Look for news between turns."""
        if self.prepared and not self.database_away:
            with suppress(DatabaseAwayError):  # the next turn says so
                self.refresh()

    def turn(self) -> None:
        """Look for news, contend for the lease, and write what was collected."""
        try:
            if self._prepare is not None:
                self._prepare()
                self._prepare = None
            if self._turns % TURNS_AN_ADJUSTMENT == 0:
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
        return "visitors are placed by what is known" if self._view.known else "until it is there no node is known"

    def refresh(self) -> None:
        """Take over what is new in the database. Also called by whoever has just changed something there.

        Invariant: what was read later is never replaced by what was read earlier, since one reads at a time.
        """
        with self._reading:
            current = self._boards.editions()
            nodes = self._registry.all() if current.registry != self._editions.registry else None
            # Whoever polls knows its own board, and sooner.
            news = current.board != self._editions.board and not self._leading.is_set()
            board = self._boards.latest() if news else None
            if nodes is not None or board is not None:
                self._view.take(nodes, board)
            self._editions = current

    def _contend(self) -> None:
        self._turns += 1
        if self._turns % TURNS_A_RENEWAL != 1:
            return
        if self._leases.hold(self._holder):
            if not self._leading.is_set():
                log.info("this worker polls the nodes from now on")
                self._leading.set()
        elif self._leading.is_set():
            log.warning("another worker polls the nodes from now on")
            self._leading.clear()
            self._editions = Editions(self._editions.registry, -1)

    def _flush(self) -> None:
        batch = self._reports.take()
        if not batch:
            return
        try:
            self._journal.write(batch.events, batch.counts, batch.sightings)
        except DatabaseAwayError:
            self._reports.put_back(batch)
            raise
