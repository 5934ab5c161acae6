"""The whole fleet at a glance, for whoever looks: API, dashboard, status page, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.model.snapshot import MINUTES, FleetSnapshot
from redirector.operations.live_stats import LiveStats
from redirector.store.boards import Boards
from redirector.store.contents import Contents
from redirector.store.journal import Journal
from redirector.store.registry import Registry
from redirector.store.rolls import Rolls
from redirector.store.tickets import Tickets
from redirector.store.worker_reports import WorkerReports


class SnapshotReader:
    """Reads snapshots of the whole fleet. Safe to use from several threads."""

    def __init__(
        self,
        *,
        registry: Registry,
        boards: Boards,
        journal: Journal,
        tickets: Tickets,
        rolls: Rolls,
        contents: Contents,
        reports: WorkerReports,
        fleet_state: FleetState,
        live: LiveStats,
        database: DatabaseState,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._boards = boards
        self._journal = journal
        self._tickets = tickets
        self._rolls = rolls
        self._contents = contents
        self._reports = reports
        self._fleet_state = fleet_state
        self._live = live
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._last: FleetSnapshot | None = None

    def read(self) -> FleetSnapshot:
        """As the database has it now; while the database is away, what this worker knows."""
        self._last = snapshot = (
            self._from_memory(self._database.problem) if self._database.away else self._from_database()
        )
        return snapshot

    def _from_database(self) -> FleetSnapshot:
        try:
            return FleetSnapshot(
                self._clock(),
                self._registry.all(),
                self._boards.latest(),
                self._journal.counters(),
                self._tickets.lines(),
                self._journal.minutes(MINUTES),
                self._rolls.all(),
                self._contents.all(),
                self._reports.all(),
            )
        except DatabaseAwayError as error:
            return self._from_memory(str(error))  # the sync loop says so in a moment

    def _from_memory(self, problem: str) -> FleetSnapshot:
        state = self._fleet_state
        return FleetSnapshot(self._clock(), state.nodes, state.board, database_problem=problem)

    def live(self) -> FleetSnapshot:
        """The same with the nodes' own numbers of this moment, for whoever acts on them."""
        snapshot = self.read()
        return replace(snapshot, board=self._live.all(snapshot.nodes, snapshot.board), at=self._clock())

    def recent(self, seconds: float) -> FleetSnapshot:
        """One that is not older than that: what anyone may ask for must not cost the database anything each time."""
        with self._lock:
            last = self._last
            if last is not None and 0 <= self._clock() - last.at < seconds:
                return last
            return self.read()
