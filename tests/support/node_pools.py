"""Pools, starter and reconciler over a fake engine, put together as the agent does it."""

from __future__ import annotations

import itertools
import random
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from node_agent import unix_http
from node_agent.content.store import BlobStore
from node_agent.jupyter import client as jupyter_client
from node_agent.jupyter import filling as jupyter_filling
from node_agent.jupyter.kernel_session import KernelError
from node_agent.lifecycle.filling import HomeFiller
from node_agent.lifecycle.landings import Landings
from node_agent.lifecycle.reconciler import Reconciler
from node_agent.lifecycle.selftest import SelftestRunner
from node_agent.lifecycle.sessions import SessionWatch
from node_agent.lifecycle.starter import Starter
from node_agent.pools.claims import SandboxClaims
from node_agent.pools.counters import Counters
from node_agent.pools.culling import Limits
from node_agent.pools.ledger import Ledger
from node_agent.pools.overrides import PoolOverrides
from node_agent.pools.pools import Pools
from node_agent.pools.specs import Memory, PoolSpec
from node_agent.pools.table import SandboxTable
from tests.support.node_fakes import Clock, FakeEngine, FakeRuntime
from tests.support.waiting import wait_until
from tmpnb_common.wire import DEFAULT_POOL, PoolStats

COPY_BYTES = 1000
"""The largest file of a content that each home gets a copy of."""

LIMITS = Limits(idle=3600, max_age=14400, unvisited=60)


class FakeKernel:
    """Runs the cell of a selftest."""

    def __init__(self) -> None:
        self.prints = "42"
        self.error: KernelError | None = None
        self.cells: list[str] = []

    def run(self, socket: Path, base_path: str, code: str, within: float) -> str:
        assert unix_http.listens(socket)
        assert (base_path[:6], within > 1) == ("/user/", True)
        self.cells.append(code)
        if self.error:
            raise self.error
        return self.prints


@dataclass
class Bench:
    """One agent's parts without its HTTP. Beats happen when the test asks for them."""

    run_dir: Path
    engine: FakeEngine
    clock: Clock
    table: SandboxTable
    pools: Pools
    claims: SandboxClaims
    counters: Counters
    sessions: SessionWatch
    reconciler: Reconciler
    draining: threading.Event
    stop: threading.Event
    overrides: PoolOverrides
    selftest: SelftestRunner
    kernel: FakeKernel
    landings: Landings
    blobs: BlobStore
    filler: HomeFiller
    monotonic: Clock = field(default_factory=Clock)

    def turn(self) -> None:
        """One whole turn of the loop, as a beat makes it."""
        self.reconciler.tick(self.clock())
        self.reconciler.act(self.clock())

    def stats(self) -> PoolStats:
        return self.pools.stats()[DEFAULT_POOL]

    def settle(self, condition: Callable[[], bool], what: str = "the pool to settle") -> None:
        """Turn until something is true."""

        def turned() -> bool:
            self.turn()
            return condition()

        wait_until(turned, 20, what)

    def fill(self) -> None:
        self.settle(lambda: self.stats().available == self.stats().capacity, "a full pool")

    def close(self) -> None:
        self.reconciler.stop()
        # The loop ends its threads when it finds itself stopped.
        self.reconciler.run()


def make_bench(
    run_dir: Path,
    engine: FakeEngine,
    clock: Clock,
    *,
    warm: int = 3,
    capacity: int = 3,
    start_seconds: float = 60,
    specs: Sequence[PoolSpec] = (),
    memory: Memory | None = None,
    trial_seconds: float = 0.0,
) -> Bench:
    """A bench with these pools, or with the default one of that size."""
    ledger = Ledger(run_dir)
    ledger.prepare()
    ledger.recover()
    draining, stop = threading.Event(), threading.Event()
    numbers = itertools.count()
    overrides = PoolOverrides(run_dir / "pools.json", specs or [PoolSpec(DEFAULT_POOL, "an-image", warm, capacity)])
    counters = Counters()
    table = SandboxTable(ledger, counters)
    pools = Pools(overrides.specs(), table, counters, draining=draining.is_set, memory=memory)
    claims = SandboxClaims(
        table,
        pools,
        counters,
        listens=unix_http.listens,
        random_ticket=lambda: f"random-{next(numbers)}-{secrets.token_hex(8)}",
    )

    blobs = BlobStore(
        run_dir / "content",
        copy_bytes=COPY_BYTES,
        limit_bytes=1 << 20,
        blob_bytes=1 << 19,
        uses=lambda digest: table.content_uses(digest) + pools.content_uses(digest),
    )
    blobs.prepare()
    filler = HomeFiller(table, blobs, jupyter_filling.fill, homes={})
    runtime = FakeRuntime(engine)
    landings = Landings(jupyter_client.page_status)
    starter = Starter(
        runtime,
        table,
        pools,
        jupyter_client.landing_problem,
        start_seconds=start_seconds,
        clock=clock,
        rng=random.SystemRandom(),
        stop=stop,
        acquire_assets=lambda image, _name: f"/static/{image}",
        landings=landings,
        contents=lambda: blobs.root,
    )
    monotonic = Clock(time.monotonic())
    kernel = FakeKernel()
    selftest = SelftestRunner(
        runtime,
        table,
        pools,
        starter,
        run_cell=kernel.run,
        start_seconds=start_seconds,
        monotonic=monotonic,
        stop=stop,
    )
    sessions = SessionWatch(
        runtime,
        table,
        pools,
        jupyter_client.activity,
        limits=lambda _pool: LIMITS,
        clock=clock,
        monotonic=monotonic,
    )
    reconciler = Reconciler(
        runtime,
        table,
        pools,
        starter,
        sessions,
        limits=lambda _pool: LIMITS,
        workers=4,
        clock=clock,
        monotonic=monotonic,
        stop=stop,
        try_out=selftest.run,
        trial_seconds=trial_seconds,
        adopted=filler.finish,
    )
    return Bench(
        run_dir,
        engine,
        clock,
        table,
        pools,
        claims,
        counters,
        sessions,
        reconciler,
        draining,
        stop,
        overrides,
        selftest,
        kernel,
        landings,
        blobs,
        filler,
        monotonic,
    )


@contextmanager
def one_bench(
    *,
    warm: int = 3,
    capacity: int = 3,
    start_seconds: float = 60,
    specs: Sequence[PoolSpec] = (),
    memory: Memory | None = None,
    trial_seconds: float = 0.0,
) -> Iterator[Bench]:
    """A bench on a host of its own; what runs there ends with it."""
    # Short: socket paths end at 107 bytes, and pytest's own directories are long.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        clock = Clock()
        engine = FakeEngine(clock)
        bench = make_bench(
            Path(root),
            engine,
            clock,
            warm=warm,
            capacity=capacity,
            start_seconds=start_seconds,
            specs=specs,
            memory=memory,
            trial_seconds=trial_seconds,
        )
        try:
            yield bench
        finally:
            bench.close()
            engine.stop()
