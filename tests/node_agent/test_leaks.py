"""Nothing leaks: after many claims and culls everything is as it was before the first."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from node_agent.pool_settings import DEFAULT
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import Bench, one_bench
from tests.support.waiting import wait_until

ROUNDS, POOL = 20, 10


@dataclass(frozen=True)
class Counts:
    """What could be left behind."""

    sandboxes: int
    directories: int
    tickets: int
    files: int
    threads: int


def counts(bench: Bench) -> Counts:
    return Counts(
        sandboxes=len(bench.engine.running),
        directories=sum(len(list((bench.run_dir / name).iterdir())) for name in ("ready", "user")),
        tickets=len(list((bench.run_dir / "tickets").iterdir())),
        # The fake sandboxes live in this process: a few of their threads and sockets, those at work, come and go.
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
    )


def settled(bench: Bench) -> bool:
    return (
        bench.stats().available == POOL
        and len(bench.engine.running) == POOL
        and not (len(bench.pools.sandboxes()) - POOL)
    )


def test_after_200_claims_and_culls_everything_is_as_before() -> None:
    with one_bench(warm=POOL, capacity=POOL) as bench:
        everybody = one_round(bench, 0)
        before = counts(bench)
        for number in range(1, ROUNDS + 1):
            everybody |= one_round(bench, number)
        wait_until(lambda: counts(bench) == before, 10, f"{counts(bench)} to be {before} again")
    assert len(everybody) == (ROUNDS + 1) * POOL, "each visitor had a sandbox of their own"
    assert (before.sandboxes, before.directories, before.tickets) == (POOL, POOL, 0)


def one_round(bench: Bench, number: int) -> set[str]:
    """Everything is claimed and culled, and the pool is full again."""
    bench.settle(lambda: settled(bench), "a full pool")
    claimed = [bench.pools.claim(DEFAULT, f"ticket-{number:04}-{visitor:04}-0123456789") for visitor in range(POOL)]
    names = {each.name for each in claimed if isinstance(each, Sandbox)}
    for number_of_visitor, name in enumerate(sorted(names)):
        if number_of_visitor % 2:
            bench.pools.end(name, "idle")
        else:
            bench.engine.die(name)
    bench.settle(lambda: settled(bench), "a full pool again")
    return names
