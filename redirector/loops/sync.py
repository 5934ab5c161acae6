"""What every worker does beside serving visitors: look for news, contend for the lease, write what it collected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Event as Flag
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.memory.lease import Lease
from redirector.memory.outbox import Outbox
from redirector.memory.waiting_queue import WaitingQueue
from redirector.store.boards import Boards, Versions
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.journal import Journal
from redirector.store.leases import Leases
from redirector.store.registry import Registry

log = logging.getLogger("loops")

NEWS_SECONDS = 0.15
POLLS_A_TICK = 3
"""How late a worker learns at most what another one wrote. A poll without news is one query of three rows. What it
collected itself is written once a tick, or at once if it is that a node failed a visitor.
"""

TICKS_A_RENEWAL = 2

TICKS_AN_ADJUSTMENT = 10
"""So often the shared clock is read: quartz loses less than a millisecond meanwhile."""


class LeaseRenewer:
    """Takes the lease when it is free, and renews it while this worker holds it."""

    def __init__(self, *, holder: str, lease: Lease, leases: Leases) -> None:
        self._holder = holder
        self._lease = lease
        self._leases = leases

    def renew(self) -> None:
        """Take or renew the lease, and note whose it is now."""
        if self._leases.hold(self._holder):
            if self._lease.taken():
                log.info("this worker polls the nodes from now on")
        elif self._lease.lost():
            log.warning("another worker polls the nodes from now on")

    def release(self) -> None:
        """Give the lease back, so that another worker need not wait until it expires."""
        self._leases.release(self._holder)


class SyncLoop:
    """Ticks until it is stopped. While the database is away it changes nothing: what is known stays known."""

    def __init__(
        self,
        *,
        fleet_state: FleetState,
        outbox: Outbox,
        waiting_queue: WaitingQueue,
        database: DatabaseState,
        registry: Registry,
        boards: Boards,
        contents: Contents,
        patterns: ContentPatterns,
        journal: Journal,
        lease: Lease,
        renewer: LeaseRenewer,
        adjust_clock: Callable[[], None],
        read_signing_key: Callable[[], str],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._fleet_state = fleet_state
        self._outbox = outbox
        self._waiting_queue = waiting_queue
        self._database = database
        self._registry = registry
        self._boards = boards
        self._contents = contents
        self._patterns = patterns
        self._journal = journal
        self._lease = lease
        self._renewer = renewer
        self._adjust_clock = adjust_clock
        self._read_signing_key = read_signing_key
        self._prepare = prepare
        self._reading = Lock()
        self._versions = Versions(-1, -1, -1)
        self._ticks = 0
        self._away = False
        self.signing_keys: tuple[str, ...] = ()
        """The fleet's own, for visitors' cookies; none until it has been read once."""

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that polls."""
        return self._lease.held

    @property
    def prepared(self) -> bool:
        """Whether the database has the tables that this program expects; they are made or upgraded by a tick."""
        return self._prepare is None

    def run(self, stop: Flag) -> None:
        """Tick until stopped; then write what is left and give the lease back."""
        while not stop.is_set():
            for _ in range(POLLS_A_TICK):
                if self._outbox.urgent.wait(NEWS_SECONDS) or stop.is_set():
                    break
                self.poll_news()
            self.tick()
        self._lease.lost()
        try:
            self._flush()
            self._renewer.release()
        except DatabaseAwayError as error:
            log.warning("stopping without a last word: %s", error)

    def poll_news(self) -> None:
        """Look for news between ticks."""
        if self.prepared and not self._database.away:
            with suppress(DatabaseAwayError):  # the next tick says so
                self.refresh()

    def tick(self) -> None:
        """Look for news, contend for the lease, write what was collected, and read who waits."""
        try:
            self._make_ready()
            self.refresh()
            if self._ticks % TICKS_A_RENEWAL == 0:
                self._renewer.renew()
            self._ticks += 1
            self._flush()
            self._waiting_queue.sync()
        except DatabaseAwayError as error:
            self._note_away(str(error))
        else:
            self._note_back()

    def refresh(self) -> None:
        """Take over what is new in the database. Also called by whoever has just changed something there.

        Invariant: what was read later is never replaced by what was read earlier, since one reads at a time.
        """
        with self._reading:
            current, leads = self._boards.versions(), self._lease.held
            nodes = self._registry.all() if current.registry != self._versions.registry else None
            # Whoever polls knows its own board, and sooner; it reads the first one after it has lost the lease.
            board = self._boards.latest() if not leads and current.board != self._versions.board else None
            if nodes is not None or board is not None:
                self._fleet_state.take(nodes, board)
            if current.contents != self._versions.contents:
                self._fleet_state.take_contents(self._contents.all(), self._patterns.all())
            self._versions = replace(current, board=-1 if leads else current.board)

    def _make_ready(self) -> None:
        """Do what is done once, or seldom: the schema, the key of cookies, the shared clock."""
        if self._prepare is not None:
            self._prepare()
            self._prepare = None
        if not self.signing_keys:
            self.signing_keys = (self._read_signing_key(),)
        if self._ticks % TICKS_AN_ADJUSTMENT == 0:
            self._adjust_clock()

    def _note_away(self, problem: str) -> None:
        if problem != self._database.problem:
            known = self._fleet_state.known
            meanwhile = "visitors are placed by what is known" if known else "until it is there no node is known"
            log.error("%s; %s", problem, meanwhile)
        self._database.problem = problem
        # Nobody's place can be known now: whoever asks may try their luck.
        self._waiting_queue.forget()
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            log.warning("the database is back")
        self._away = False
        self._database.problem = ""

    def _flush(self) -> None:
        batch = self._outbox.take()
        if not batch:
            return
        try:
            self._journal.write(batch.events, batch.counts, batch.passive_checks)
        except DatabaseAwayError:
            self._outbox.put_back(batch)
            raise
