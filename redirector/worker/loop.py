"""The worker's loop: looks at the database several times a second, and hands out what is to be fetched and pushed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event as Flag

from redirector.errors import DatabaseAwayError
from redirector.model.board import Board
from redirector.model.content import Content
from redirector.model.nodes import Node
from redirector.store.blob_rows import BlobRows
from redirector.store.boards import Boards, Versions
from redirector.store.contents import Contents
from redirector.store.registry import Registry
from redirector.store.worker_reports import WorkerReports
from redirector.worker.errors import WorkerError
from redirector.worker.fetching import Fetching
from redirector.worker.pushing import Pushing, needs_of

log = logging.getLogger("worker")

TICK_SECONDS = 0.3
"""How late the worker learns at most that a visitor waits for something."""

TICKS_A_REPORT = 15

FETCHES, PUSHES = 2, 4
"""At once. Fetching is for the forges' lines, pushing for the nodes'."""


class WorkerLoop:
    """Ticks until it is stopped. While the database is away it begins nothing."""

    def __init__(
        self,
        *,
        host: str,
        registry: Registry,
        boards: Boards,
        contents: Contents,
        rows: BlobRows,
        reports: WorkerReports,
        fetching: Fetching,
        pushing: Pushing,
        prepare: Callable[[], None],
        adjust_clock: Callable[[], None],
    ) -> None:
        """`prepare` sees that the stores belong together, and raises `WorkerError` while they do not."""
        self._host = host
        self._registry = registry
        self._boards = boards
        self._contents_store = contents
        self._rows = rows
        self._reports = reports
        self._fetching = fetching
        self._pushing = pushing
        self._prepare = prepare
        self._adjust_clock = adjust_clock
        self._versions = Versions(-1, -1, -1)
        self._nodes: Mapping[str, Node] = {}
        self._board = Board()
        self._contents: Mapping[str, Content] = {}
        self._problem: str | None = None
        self._away = ""
        self._ticks = 0
        self._fetchers = ThreadPoolExecutor(FETCHES, "fetch")
        self._pushers = ThreadPoolExecutor(PUSHES, "push")
        self._running: dict[Hashable, Future[None]] = {}

    def run(self, stop: Flag) -> None:
        """Tick until stopped, then let nothing new begin. What is under way notices by itself."""
        try:
            while not stop.wait(TICK_SECONDS):
                self.tick()
        finally:
            self._fetchers.shutdown(cancel_futures=True)
            self._pushers.shutdown(cancel_futures=True)

    def tick(self) -> None:
        """Look for news, and begin what is due."""
        try:
            if self._ticks % TICKS_A_REPORT == 0:
                self._look_around()
            self._ticks += 1
            if not self._problem:
                self._read()
                self._begin()
        except DatabaseAwayError as error:
            if str(error) != self._away:
                log.warning("%s; waiting for it", error)
            self._away = str(error)
        else:
            self._away = ""

    def settle(self) -> None:
        """Wait for all that is under way, for tests."""
        for task in list(self._running.values()):
            task.result()
        self._collect()

    def _look_around(self) -> None:
        self._adjust_clock()
        try:
            self._prepare()
        except WorkerError as error:
            problem = str(error)
        else:
            problem = ""
            self._contents_store.forget_unused()
        if problem != self._problem:
            log.log(logging.ERROR if problem else logging.INFO, "%s", problem or "the worker is ready")
        self._problem = problem
        self._reports.write(self._host, problem)

    def _read(self) -> None:
        versions = self._boards.versions()
        if versions.registry != self._versions.registry:
            self._nodes = self._registry.all()
        if versions.board != self._versions.board:
            self._board = self._boards.latest()
        # What a fetch noted without news, such as the time of the check, raises no version.
        if versions.contents != self._versions.contents or self._ticks % TICKS_A_REPORT == 0:
            self._contents = self._contents_store.all()
        self._versions = versions

    def _begin(self) -> None:
        self._collect()
        for content in self._fetching.due(self._contents):
            self._submit(self._fetchers, ("content", content.name), self._fetching.fetch, content)
        wanted: dict[str, list[str]] = {}
        for row in self._rows.wanted():
            wanted.setdefault(row.node, []).append(row.digest)
        self._pushing.forget_others(self._nodes)
        for name, node in self._nodes.items():
            needs = needs_of(node, self._board.of(name), self._contents.values())
            if needs is not None and self._pushing.due(needs, wanted.get(name, ())):
                self._submit(self._pushers, ("node", name), self._pushing.see_to, needs, self._contents)

    def _submit(self, pool: ThreadPoolExecutor, key: Hashable, work: Callable[..., None], *given: object) -> None:
        if key not in self._running:
            self._running[key] = pool.submit(work, *given)

    def _collect(self) -> None:
        """Forget what is done. No task's trouble is another one's."""
        for key, task in list(self._running.items()):
            if task.done():
                del self._running[key]
                # What was written meanwhile is read again.
                self._versions = Versions(self._versions.registry, self._versions.board, -1)
                if isinstance(error := task.exception(), DatabaseAwayError):
                    log.warning("%s", error)
                elif error is not None:
                    log.error("%s failed: %r", key, error, exc_info=error)
