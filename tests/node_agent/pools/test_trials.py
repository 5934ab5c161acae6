"""Tests of when a pool is tried out, and of what that says to visitors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node_agent.jupyter.kernel_session import KernelError
from node_agent.pools.planning import Counts
from node_agent.pools.trials import End, PoolTrial, trial_due, unfit
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import Bench, one_bench
from tmpnb_common.wire import DEFAULT_POOL

GOOD, BAD = PoolTrial("an-image", 1000.0), PoolTrial("an-image", 1000.0, "no kernel started")


@pytest.mark.parametrize(
    ("counts", "last", "now", "due"),
    [
        (Counts(ready=3), None, 1000.0, True),
        (Counts(ready=3), GOOD, 4599.0, False),
        (Counts(ready=3), GOOD, 4600.0, True),
        (Counts(ready=3), BAD, 1119.0, False),
        (Counts(ready=3), BAD, 1120.0, True),
        (Counts(ready=3), PoolTrial("another", 1000.0), 1001.0, True),
        (Counts(ready=0, claimed=3), None, 1000.0, False),
        (Counts(ready=2, starting=1), None, 1000.0, False),
        (Counts(ready=3, outdated=1), None, 1000.0, False),
    ],
)
def test_a_pool_is_tried_at_first_and_now_and_then_while_that_takes_from_nobody(
    counts: Counts, last: PoolTrial | None, now: float, due: bool
) -> None:
    assert trial_due(counts, last, image="an-image", every=3600.0, now=now) is due
    assert not trial_due(counts, last, image="an-image", every=0.0, now=now)


def test_a_pool_is_unfit_while_its_last_trial_failed_for_the_image_that_it_runs() -> None:
    assert unfit(BAD, [], image="an-image", now=1001.0) == "a trial sandbox failed: no kernel started"
    assert unfit(BAD, [], image="a-new-image", now=1001.0) == ""
    assert unfit(GOOD, [], image="an-image", now=1001.0) == ""
    assert unfit(None, [], image="an-image", now=1001.0) == ""


@pytest.mark.parametrize(
    ("early", "late", "at", "fit"),
    [(2, 0, 1000.0, True), (3, 0, 1000.0, False), (3, 3, 1000.0, False), (3, 4, 1000.0, True), (3, 0, 300.0, True)],
)
def test_a_pool_is_unfit_while_many_sessions_die_within_seconds(early: int, late: int, at: float, fit: bool) -> None:
    ends = [End(at, early=True)] * early + [End(at, early=False)] * late
    assert (unfit(None, ends, image="an-image", now=1000.0) == "") is fit


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench(trial_seconds=3600.0) as bench:
        yield bench


def test_a_node_tries_each_image_by_itself_and_says_when_no_kernel_starts(bench: Bench) -> None:
    bench.kernel.error = KernelError("no kernel started")
    bench.fill()
    bench.settle(lambda: "no kernel started" in bench.stats().unfit, "the first trial")
    assert bench.stats().available == 3, "the trial took no visitor's place"
    assert len(bench.kernel.cells) == 1

    bench.kernel.error = None
    for _ in range(3):
        bench.turn()
    assert len(bench.kernel.cells) == 1, "it was tried a moment ago"
    bench.monotonic.advance(120)
    bench.settle(lambda: bench.stats().unfit == "", "the second trial")
    bench.settle(lambda: len(bench.engine.running) == 3, "the trials to be gone")


def test_a_node_whose_sessions_die_at_once_says_so(bench: Bench) -> None:
    for _ in range(3):
        bench.fill()
        claimed = bench.claims.claim(DEFAULT_POOL)
        assert isinstance(claimed, Sandbox)
        bench.clock.now = (claimed.claimed_at or 0) + 5
        bench.engine.die(claimed.name)
    bench.settle(lambda: bench.stats().claimed == 0, "the last one's end")
    assert "died within 60 s" in bench.stats().unfit
    bench.monotonic.advance(601)
    bench.turn()
    assert bench.stats().unfit == ""
