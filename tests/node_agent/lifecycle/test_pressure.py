"""Tests of the host's memory as a bound beside the capacity: what is promised can be kept."""

from __future__ import annotations

from node_agent.pools.specs import Memory, PoolSpec
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import Bench, one_bench
from tmpnb_common.claims import Refusal
from tmpnb_common.wire import DEFAULT_POOL

MIB = 1 << 20
MEMORY = Memory(total=500 * MIB, reserve=100 * MIB)


def settle_at(bench: Bench, available: int) -> None:
    bench.settle(lambda: bench.stats().available == available and not bench.stats().starting, "the pool to settle")


def test_a_burst_starts_no_more_than_the_reserves_hold_and_startable_says_so() -> None:
    with one_bench(capacity=50, warm=50, memory=MEMORY) as bench:
        assert bench.stats().startable == 5
        settle_at(bench, 5)
        for _ in range(3):
            bench.turn()
        assert len(bench.engine.running) == bench.engine.started == 5
        assert bench.stats().startable == 0
        assert bench.pools.memory_left() == 0


def test_a_sandbox_that_uses_more_than_its_reserve_keeps_others_from_starting() -> None:
    with one_bench(capacity=5, warm=3, memory=MEMORY) as bench:
        settle_at(bench, 3)
        claimed = bench.claims.claim(DEFAULT_POOL)
        assert isinstance(claimed, Sandbox)
        bench.table.record_memory(claimed.name, 320 * MIB)
        for _ in range(3):
            bench.turn()
        assert (bench.stats().available, bench.stats().startable) == (2, 0)
        bench.table.record_memory(claimed.name, 50 * MIB)
        settle_at(bench, 3)


def test_a_claim_that_memory_refuses_says_so() -> None:
    with one_bench(capacity=9, warm=9, memory=Memory(100 * MIB, 100 * MIB)) as bench:
        settle_at(bench, 1)
        assert isinstance(bench.claims.claim(DEFAULT_POOL), Sandbox)
        assert bench.claims.claim(DEFAULT_POOL) == Refusal("full", "the memory of this node is in use")


def test_pools_do_not_promise_the_same_memory_twice() -> None:
    specs = [PoolSpec(DEFAULT_POOL, "a", 0, 4), PoolSpec("r", "b", 0, 4)]
    with one_bench(specs=specs, memory=MEMORY) as bench:
        assert [pool.startable for pool in bench.pools.stats().values()] == [4, 1]


def test_a_ready_sandbox_of_a_large_image_counts_with_what_it_uses() -> None:
    with one_bench(capacity=5, warm=5, memory=MEMORY) as bench:
        bench.engine.memory_of_each = 240 * MIB
        bench.settle(lambda: bench.stats().available > 0 and not bench.stats().starting, "the pool to settle")
        for _ in range(3):
            bench.turn()
        used = [sandbox.memory for sandbox in bench.table.all()]
        assert used == [240 * MIB] * len(used)
        assert bench.stats().startable == 0


def test_a_claimed_sandbox_is_weighed_when_it_is_asked_for_its_activity() -> None:
    with one_bench(capacity=2, warm=2, memory=MEMORY) as bench:
        settle_at(bench, 2)
        claimed = bench.claims.claim(DEFAULT_POOL)
        assert isinstance(claimed, Sandbox)
        bench.engine.memory[claimed.name] = 250 * MIB
        assert claimed.claimed_at is not None
        bench.clock.now = claimed.claimed_at + 31
        bench.settle(lambda: bench.table.get(claimed.name).memory == 250 * MIB, "the weighing")
        assert bench.pools.memory_left() == 150 * MIB
