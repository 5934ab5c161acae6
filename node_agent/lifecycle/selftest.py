"""Proves that a pool's sandboxes work: a trial one starts, shows its landing page and computes in a kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node_agent.errors import EngineError, HostError, UnknownPool
from node_agent.jupyter.kernel_session import KernelError
from node_agent.jupyter.trial import Patience, compute
from node_agent.lifecycle.starter import Starter
from node_agent.pools.pools import Pools
from node_agent.pools.specs import PoolSpec
from node_agent.pools.table import SandboxTable
from node_agent.pools.trials import PoolTrial
from node_agent.runtimes.contract import Runtime
from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import base_path

START_SECONDS = 120.0
"""Longest start that is tried this way. `TMPNB_NODE_START_SECONDS` may be longer, for images that nobody waits for."""

QUEUE_SECONDS = 30.0
"""For how long an operator's trial waits for the node's own to end."""

CELL_SECONDS = 30.0
"""A kernel on a busy host takes a few; what takes longer serves nobody."""


@dataclass(frozen=True, slots=True)
class SelftestResult:
    """What a trial came to."""

    passed: bool
    message: str
    tried: bool = True
    """Whether a sandbox was tried at all; if not, nothing is known of the pool."""
    measured: Mapping[str, float | int | str] = field(default_factory=dict)


class SelftestRunner:
    """Runs trials one at a time. A trial sandbox is nobody's: it is in no count, and takes nothing but memory."""

    def __init__(
        self,
        runtime: Runtime,
        table: SandboxTable,
        pools: Pools,
        starter: Starter,
        *,
        run_cell: Callable[[Path, str, str, float], str],
        start_seconds: float,
        monotonic: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        """Trials whose cells `run_cell` runs, given socket, base path, code and seconds; it may raise `KernelError`."""
        self._runtime = runtime
        self._table = table
        self._pools = pools
        self._starter = starter
        self._run_cell = run_cell
        self._start_seconds = min(start_seconds, START_SECONDS)
        self._monotonic = monotonic
        self._stop = stop
        self._one_at_a_time = threading.Lock()

    def run(self, pool: str, *, patience: float = 0.0) -> SelftestResult:
        """Try one sandbox of a pool; it is gone afterwards. Blocks for as long as that takes.

        Waits up to `patience` seconds for another trial to end.

        Raises:
            UnknownPool: there is no such pool.
        """
        spec = self._pools.spec(pool)
        if spec is None:
            raise UnknownPool(pool)
        if not self._one_at_a_time.acquire(timeout=patience):
            return SelftestResult(passed=False, tried=False, message="another selftest is running on this node")
        try:
            if not self._pools.has_room():
                message = "the memory of this node has no room for a trial sandbox"
                return SelftestResult(passed=False, tried=False, message=message)
            sandbox = self._starter.register(spec, "trial")
            try:
                outcome = self._try(sandbox, spec)
            finally:
                self._table.end(sandbox.name, "selftest")
            if outcome.tried:
                reason = "" if outcome.passed else outcome.message
                self._pools.record_trial(spec.name, PoolTrial(spec.image, self._monotonic(), reason))
            return outcome
        finally:
            self._one_at_a_time.release()

    def _try(self, sandbox: Sandbox, spec: PoolSpec) -> SelftestResult:
        measured: dict[str, float | int | str] = {"pool": spec.name, "image": spec.image}
        socket, base = self._table.socket(sandbox), base_path(sandbox.key)
        begun = self._monotonic()
        try:
            self._starter.launch(sandbox)
            patience = Patience(self._start_seconds, lambda: self._monotonic() - begun, self._stop.wait)
            problem = self._starter.await_page(sandbox, spec.landing, patience, state="trial")
            if problem is None:
                return SelftestResult(passed=False, tried=False, message="it was ended", measured=measured)
            if problem:
                return self._failed(sandbox, problem, measured)
            ready = self._monotonic()
            measured["start_seconds"] = round(ready - begun, 2)
            measured["printed"] = compute(lambda cell: self._run_cell(socket, base, cell, CELL_SECONDS), spec.cell)
            measured["cell_seconds"] = round(self._monotonic() - ready, 2)
            measured["memory_bytes"] = self._runtime.usage(sandbox.name).memory
        except (EngineError, HostError, KernelError) as error:
            return self._failed(sandbox, str(error), measured)
        took = f"ready after {measured['start_seconds']} s, the cell took {measured['cell_seconds']} s"
        return SelftestResult(passed=True, message=f"a sandbox of pool {spec.name} works: {took}", measured=measured)

    def _failed(self, sandbox: Sandbox, reason: str, measured: Mapping[str, float | int | str]) -> SelftestResult:
        return SelftestResult(passed=False, message=self._starter.with_log_tail(sandbox, reason), measured=measured)
