"""Removes sandboxes that are out of use, several at a time, and tries again what could not be removed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from node_agent.errors import EngineError, HostError
from node_agent.lifecycle.removals import Removals
from node_agent.lifecycle.tasks import settle
from node_agent.pools.table import SandboxTable
from node_agent.runtimes.contract import Runtime

log = logging.getLogger("lifecycle")

WORKERS = 4
"""Threads that remove sandboxes."""


class Endings:
    """The removals that are under way or to be tried again. Only the loop's thread calls it."""

    def __init__(self, runtime: Runtime, table: SandboxTable, monotonic: Callable[[], float]) -> None:
        self._runtime = runtime
        self._table = table
        self._monotonic = monotonic
        self._workers = ThreadPoolExecutor(WORKERS, "end")
        self._under_way: dict[str, Future[None]] = {}
        self._removals = Removals()

    def turn(self, *, halted: bool) -> None:
        """Begin to remove all sandboxes of the table that are out of use, unless the engine is away: `halted`."""
        settle(self._under_way)
        if halted:
            return
        if line := self._removals.line(self._monotonic()):
            log.warning("%s", line)
        for sandbox in self._table.all():
            if sandbox.state == "ending":
                self.begin(sandbox.name)

    def begin(self, name: str) -> bool:
        """Begin to remove a sandbox; False if that is under way, or has failed and its pause is not over."""
        if name in self._under_way or not self._removals.due(name, self._monotonic()):
            return False
        self._under_way[name] = self._workers.submit(self._remove, name)
        return True

    def problem(self) -> str:
        """What has been in the way of removals for minutes; empty while nothing has."""
        return self._removals.problem(self._monotonic())

    def close(self) -> None:
        """Wait for the removals that are under way; begin no other."""
        self._workers.shutdown(cancel_futures=True)

    def _remove(self, name: str) -> None:
        try:
            self._runtime.end(name)
            self._table.release(name)
        except (EngineError, HostError) as error:
            self._removals.failed(name, str(error), self._monotonic())
        else:
            self._removals.done(name)
