"""Tests of the trial of a pool: what passes, what does not, and that nothing of it is left or counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from node_agent.errors import UnknownPool
from node_agent.jupyter.kernel_session import CellError, KernelError
from node_agent.pools.specs import Memory, PoolSpec
from tests.support.node_pools import Bench, one_bench
from tmpnb_common.wire import DEFAULT_POOL


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench(start_seconds=0.3) as bench:
        bench.fill()
        yield bench


def test_a_sandbox_that_computes_passes_says_what_it_took_and_is_gone(bench: Bench) -> None:
    before = set(bench.engine.running)
    outcome = bench.selftest.run(DEFAULT_POOL)
    assert outcome.passed
    assert outcome.measured["image"] == "an-image"
    assert {"start_seconds", "cell_seconds", "memory_bytes"} <= outcome.measured.keys()
    assert bench.stats().available == 3, "the pool is as full as it was"
    bench.settle(lambda: set(bench.engine.running) == before, "the trial to be gone")
    assert bench.stats().available == 3


def test_a_trial_is_never_handed_out_nor_swept_away(bench: Bench) -> None:
    seen = []

    def look(*_: object) -> str:
        bench.turn()
        seen.append(bench.stats())
        assert [bench.claims.claim(DEFAULT_POOL) for _ in range(4)][3] is not None
        seen.append(bench.stats())
        return "42"

    bench.selftest._run_cell = look
    assert bench.selftest.run(DEFAULT_POOL).passed
    assert [(stats.available, stats.claimed, stats.starting) for stats in seen] == [(3, 0, 0), (0, 3, 0)]


@pytest.mark.parametrize("prints", ["[1] 42", "ans = 42", ""])
def test_a_kernel_of_another_language_passes_whatever_it_makes_of_the_common_cell(bench: Bench, prints: str) -> None:
    bench.kernel.prints = prints
    outcome = bench.selftest.run(DEFAULT_POOL)
    assert outcome.passed
    assert outcome.measured["printed"] == prints


def test_a_kernel_that_does_not_understand_the_common_cell_has_computed_all_the_same(bench: Bench) -> None:
    bench.kernel.error = CellError("the code failed: 6: command not found")
    assert bench.selftest.run(DEFAULT_POOL).passed


def test_a_cell_of_the_pools_own_has_to_succeed() -> None:
    with one_bench(specs=[PoolSpec(DEFAULT_POOL, "an-image", 1, 1, cell="library(ggplot2)")]) as bench:
        bench.fill()
        assert bench.selftest.run(DEFAULT_POOL).passed
        assert bench.kernel.cells == ["library(ggplot2)"]
        bench.kernel.error = CellError("the code failed: there is no package called ggplot2")
        outcome = bench.selftest.run(DEFAULT_POOL)
        assert not outcome.passed
        assert "there is no package called ggplot2" in outcome.message


def test_a_kernel_that_dies_does_not_pass_and_says_why_with_the_servers_last_words(bench: Bench) -> None:
    bench.kernel.error = KernelError("no kernel started")
    outcome = bench.selftest.run(DEFAULT_POOL)
    assert not outcome.passed
    assert "no kernel started; it said last: the last words of" in outcome.message


def test_an_image_that_does_not_start_does_not_pass_and_says_why(bench: Bench) -> None:
    bench.engine.refuses = "no such image"
    outcome = bench.selftest.run(DEFAULT_POOL)
    assert (outcome.passed, outcome.message) == (False, "no such image")
    assert not bench.stats().problem, "a trial that fails does not hold up the pool"


def test_a_landing_page_that_never_comes_does_not_pass(bench: Bench) -> None:
    bench.engine.landing_status = 500
    bench.monotonic.advance(0)
    bench.selftest._start_seconds = 0.0
    outcome = bench.selftest.run(DEFAULT_POOL)
    assert "within 0 s" in outcome.message


def test_an_unknown_pool_is_an_error(bench: Bench) -> None:
    with pytest.raises(UnknownPool):
        bench.selftest.run("gpu")


def test_one_trial_at_a_time(bench: Bench) -> None:
    inner = []

    def again(*_: object) -> str:
        inner.append(bench.selftest.run(DEFAULT_POOL))
        return "42"

    bench.selftest._run_cell = again
    assert bench.selftest.run(DEFAULT_POOL).passed
    assert inner[0].message == "another selftest is running on this node"
    assert not inner[0].passed


def test_an_operators_trial_waits_for_the_one_that_the_node_has_begun_by_itself(bench: Bench) -> None:
    outcomes = []
    second = threading.Thread(target=lambda: outcomes.append(bench.selftest.run(DEFAULT_POOL, patience=10)))

    def meanwhile(*_: object) -> str:
        bench.selftest._run_cell = lambda *_: "42"
        second.start()
        return "42"

    bench.selftest._run_cell = meanwhile
    assert bench.selftest.run(DEFAULT_POOL).passed
    second.join(10)
    assert [outcome.passed for outcome in outcomes] == [True]


def test_a_host_without_memory_for_a_trial_says_so() -> None:
    with one_bench(memory=Memory(total=50, reserve=100)) as bench:
        assert "no room" in bench.selftest.run(DEFAULT_POOL).message
