"""Watches the sessions of visitors: looks at each at its own pace, notes who or what is at work, and culls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from node_agent.errors import EngineError
from node_agent.jupyter.client import Activity
from node_agent.lifecycle.tasks import settle
from node_agent.pools.culling import Limits, Look, at_work, check_due, why_cull
from node_agent.pools.pools import Pools
from node_agent.pools.table import SandboxTable
from node_agent.pools.trials import EARLY_SECONDS, End
from node_agent.runtimes.contract import Runtime, Usage
from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import base_path, redact

log = logging.getLogger("lifecycle")

WORKERS = 8
"""Threads that look at sandboxes."""


class SessionWatch:
    """Looks at claimed sandboxes and ends those whose time is over."""

    def __init__(
        self,
        runtime: Runtime,
        table: SandboxTable,
        pools: Pools,
        activity: Callable[[Path, str], Activity | None],
        *,
        limits: Callable[[str], Limits],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """A watch; `limits` are those of a pool, `activity` asks the server at a socket below a base path."""
        self._runtime = runtime
        self._table = table
        self._pools = pools
        self._activity = activity
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._workers = ThreadPoolExecutor(WORKERS, "check")
        self._checking: dict[str, Future[None]] = {}
        self._looks: dict[str, Look] = {}
        """The last one at each session."""

    def tick(self, now: float) -> None:
        """Have those looked at whose turn it is, and end those whose time is over."""
        self._check(now)
        self._cull(now)
        self._pools.judge(self._monotonic())

    def close(self) -> None:
        """Wait for the looks that are under way; begin no other."""
        self._workers.shutdown(cancel_futures=True)

    def end(self, sandbox: Sandbox, reason: str, detail: str = "") -> None:
        """Take a sandbox out of use, unless it is already, and note how its session ended."""
        if sandbox.state != "ending" and self._table.end(sandbox.name, reason):
            if sandbox.claimed_at is not None:
                early = reason == "dead" and self._clock() - sandbox.claimed_at < EARLY_SECONDS
                self._pools.record_end(sandbox.pool, End(self._monotonic(), early))
            log.info("ended sandbox=%s reason=%s detail=%r", sandbox.name, reason, redact(detail))

    def _check(self, now: float) -> None:
        self._table.record_visits()
        living = set()
        for sandbox in self._table.all():
            living.add(sandbox.name)
            before = self._looks.setdefault(sandbox.name, Look(sandbox.claimed_at or now))
            due = check_due(sandbox, self._limits(sandbox.pool), before.at, now)
            if due and sandbox.name not in self._checking:
                self._checking[sandbox.name] = self._workers.submit(self._look, sandbox, before)
        self._looks = {name: look for name, look in self._looks.items() if name in living}
        settle(self._checking)

    def _look(self, sandbox: Sandbox, before: Look) -> None:
        """Look at one session, and note who or what was at work in it since the look before."""
        used = measure(self._runtime, self._table, sandbox)
        activity = self._activity(self._table.socket(sandbox), base_path(sandbox.key)) or before.activity
        program = activity is not None and activity.terminals and self._runs_program(sandbox)
        seconds = used.processor_seconds if used else before.processor_seconds
        look = Look(self._clock(), activity, seconds, program)
        self._looks[sandbox.name] = look
        if at_work(before, look):
            self._table.record_activity(sandbox.name, look.at)
        if activity is not None and (activity.busy or activity.connected):
            self._table.record_page(sandbox.name, look.at)
        self._table.record_busy(sandbox.name, activity is not None and activity.busy)

    def _runs_program(self, sandbox: Sandbox) -> bool:
        """Whether somebody has started a program in a terminal of a sandbox that is not done yet."""
        try:
            return self._runtime.runs_program(sandbox.name)
        except EngineError as error:
            log.debug("processes of sandbox=%s: %s", sandbox.name, error)
            return False

    def _cull(self, now: float) -> None:
        for sandbox in self._table.all():
            reason = why_cull(sandbox, self._limits(sandbox.pool), now)
            # Whoever is being asked what they do may have come back a moment ago.
            if reason and (reason == "max_age" or sandbox.name not in self._checking):
                self.end(sandbox, reason)


def measure(runtime: Runtime, table: SandboxTable, sandbox: Sandbox) -> Usage | None:
    """Note how much memory a sandbox uses now, and return all that it uses; None: the engine does not say."""
    try:
        usage = runtime.usage(sandbox.name)
    except EngineError as error:
        # What it used last still counts, and an engine that is away is said elsewhere.
        log.debug("memory of sandbox=%s: %s", sandbox.name, error)
        return None
    table.record_memory(sandbox.name, usage.memory)
    return usage
