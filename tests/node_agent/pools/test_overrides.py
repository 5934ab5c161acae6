"""Tests of what operators change about pools at run time: rolled without a gap, durable, and overtaken by settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.errors import HostError, UnknownPool
from node_agent.pools.overrides import PoolOverrides, changed
from node_agent.pools.specs import PoolSpec
from node_agent.sandboxes import Sandbox
from tests.support.node_pools import Bench, one_bench
from tmpnb_common.wire import DEFAULT_POOL

SPEC = PoolSpec(DEFAULT_POOL, "old", warm=8, capacity=8)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench(specs=[SPEC, PoolSpec("r", "r:1", warm=1, capacity=2)]) as bench:
        bench.settle(lambda: bench.stats().available == 8 and bench.pools.stats()["r"].available == 1)
        yield bench


def change(bench: Bench, name: str = DEFAULT_POOL, **values: object) -> PoolSpec:
    wanted = {"image": None, "warm": None, "capacity": None, **values}
    return bench.overrides.change(bench.pools, name, **wanted)  # type: ignore[arg-type]  # each test gives the right ones


def images(bench: Bench, pool: str = DEFAULT_POOL) -> set[str]:
    return {each.image for each in bench.table.all() if each.pool == pool and each.state == "ready"}


def test_another_image_comes_without_a_moment_with_nothing_available_and_sessions_live_on(bench: Bench) -> None:
    visitor = bench.claims.claim(DEFAULT_POOL)
    assert isinstance(visitor, Sandbox)
    change(bench, image="new")
    fewest = []

    def rolled() -> bool:
        fewest.append(bench.stats().available)
        return images(bench) == {"new"} and bench.stats().available == 7

    bench.settle(rolled, "the pool to roll")
    assert min(fewest) >= 4
    assert max(bench.stats().claimed + count for count in fewest) <= 8
    assert bench.table.get(visitor.name).state == "claimed"
    assert bench.stats().image == "new"
    assert images(bench, "r") == {"r:1"}, "the other pool is left alone"


def test_an_image_that_does_not_start_leaves_most_of_the_old_ones_for_visitors(bench: Bench) -> None:
    bench.engine.refuses = "no such image"
    change(bench, image="broken")
    bench.settle(lambda: "no such image" in bench.stats().problem, "the failure to show")
    for _ in range(5):
        bench.turn()
    assert bench.stats().available >= 6
    assert images(bench) == {"old"}


def the_last_of_the_old_image(bench: Bench) -> tuple[Sandbox, str]:
    """Pool `r` is full: one session, and one ready sandbox, beside which its successor, named second, is starting."""
    assert isinstance(bench.claims.claim("r"), Sandbox)
    bench.settle(lambda: bench.pools.stats()["r"].available == 1, "the second one")
    bench.engine.silent = True
    change(bench, "r", image="r:2")
    before = set(bench.engine.running)
    bench.settle(lambda: bool(bench.engine.running.keys() - before), "its successor to start")
    [successor] = bench.engine.running.keys() - before
    [last] = [each for each in bench.table.all() if (each.pool, each.state) == ("r", "ready")]
    assert last.image == "r:1"
    return last, successor


def test_the_last_ready_one_of_a_full_pool_goes_when_its_successor_is_ready_and_not_before(bench: Bench) -> None:
    last, successor = the_last_of_the_old_image(bench)
    for _ in range(5):
        bench.turn()
        assert bench.table.get(last.name).state == "ready"
    assert bench.pools.ready(successor)
    assert bench.table.get(last.name).state == "ending", "at once: no visitor can have both"
    assert bench.pools.stats()["r"].available == 1
    assert images(bench, "r") == {"r:2"}


def test_a_visitor_who_takes_the_last_one_meanwhile_takes_the_place_of_its_successor(bench: Bench) -> None:
    last, successor = the_last_of_the_old_image(bench)
    claimed = bench.claims.claim("r")
    assert isinstance(claimed, Sandbox)
    assert claimed.name == last.name
    assert bench.pools.ready(successor)
    stats = bench.pools.stats()["r"]
    assert (stats.available, stats.claimed, stats.capacity) == (0, 2, 2)
    assert not isinstance(bench.claims.claim("r"), Sandbox)


@pytest.mark.parametrize("capacity", [1, 2, 3, 8])
def test_a_roll_ends_however_small_the_pool(capacity: int) -> None:
    with one_bench(warm=capacity, capacity=capacity) as bench:
        bench.fill()
        change(bench, image="new")
        fewest = []

        def rolled() -> bool:
            fewest.append(bench.stats().available)
            return images(bench) == {"new"} and bench.stats().available == capacity

        bench.settle(rolled, "the pool to roll")
        assert min(fewest) > 0
        assert max(fewest) <= capacity


def test_a_sandbox_of_the_old_image_that_was_starting_is_given_up(bench: Bench) -> None:
    bench.engine.silent = True
    for _ in range(2):
        bench.claims.claim(DEFAULT_POOL)
    change(bench, capacity=10)
    bench.settle(lambda: bench.stats().starting > 0, "a start")
    bench.engine.silent = False
    change(bench, image="new")
    assert bench.stats().starting == 0
    bench.settle(lambda: "new" in images(bench), "a new one")


def test_a_smaller_pool_ends_ready_sandboxes_and_no_session(bench: Bench) -> None:
    for _ in range(3):
        bench.claims.claim(DEFAULT_POOL)
    change(bench, capacity=4)
    bench.settle(lambda: (bench.stats().available, bench.stats().claimed) == (1, 3), "the pool to shrink")
    assert bench.stats().capacity == 4


def test_a_larger_pool_fills_itself(bench: Bench) -> None:
    change(bench, "r", capacity=4, warm=4)
    bench.settle(lambda: bench.pools.stats()["r"].available == 4, "the pool to grow")


def test_a_pool_that_is_not_in_the_settings_cannot_be_changed(bench: Bench) -> None:
    with pytest.raises(UnknownPool, match="no pool 'gpu'"):
        change(bench, "gpu", capacity=1)


def test_a_change_survives_a_restart(bench: Bench) -> None:
    change(bench, image="new", capacity=5)
    again = PoolOverrides(bench.run_dir / "pools.json", [SPEC, PoolSpec("r", "r:1", warm=1, capacity=2)])
    assert again.specs()[0] == PoolSpec(DEFAULT_POOL, "new", warm=5, capacity=5)
    assert again.specs()[1].image == "r:1"


def test_settings_that_were_edited_since_speak_last_each_for_itself(bench: Bench) -> None:
    change(bench, image="new", capacity=5)
    edited = PoolSpec(DEFAULT_POOL, "newest", warm=8, capacity=8)
    assert PoolOverrides(bench.run_dir / "pools.json", [edited]).specs() == [
        PoolSpec(DEFAULT_POOL, "newest", warm=5, capacity=5)
    ]


def test_a_change_back_to_what_the_settings_say_leaves_no_trace(bench: Bench) -> None:
    change(bench, image="new")
    change(bench, image="old")
    assert json.loads((bench.run_dir / "pools.json").read_text()) == {"pools": {}}


def test_more_kept_warm_than_may_exist_is_refused_and_nothing_changes(bench: Bench) -> None:
    with pytest.raises(ValueError, match="warm is 9, more than the capacity, 8"):
        change(bench, warm=9)
    assert bench.overrides.specs()[0] == SPEC


def test_a_pool_that_was_warm_as_a_whole_stays_so_and_one_that_was_not_keeps_its_number() -> None:
    assert changed(SPEC, image=None, warm=None, capacity=12).warm == 12
    part = PoolSpec(DEFAULT_POOL, "old", warm=3, capacity=8)
    assert changed(part, image=None, warm=None, capacity=12).warm == 3
    assert changed(part, image=None, warm=None, capacity=2).warm == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"pools": []}',
        '{"pools": {"default": {"image": "new"}}}',
        '{"pools": {"default": {"image": {"was": "old"}}}}',
        '{"pools": {"default": {"capacity": {"was": 8, "now": "9"}}}}',
        '{"pools": {"default": {"x": {"now": 1}}}}',
    ],
)
def test_a_damaged_file_is_refused_for_it_might_have_named_an_image(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pools.json"
    path.write_text(text)
    with pytest.raises(HostError, match="does not hold changes of pools"):
        PoolOverrides(path, [SPEC])
