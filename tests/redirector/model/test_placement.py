"""Which node is asked next, and what a visitor is told who got nothing."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model.nodes import Health, Seen
from redirector.model.placement import SAMPLE, NodeOutcome, Ranking, choose, ranking_of, verdict
from tests.support.fleet_values import a_node, board, pools, seen, stats
from tmpnb_common.wire import PoolStats

NOBODY: frozenset[str] = frozenset()


def ranking(first: str = "", last: str = "", joining: bool = False, **coming: int) -> Ranking:
    return Ranking(tuple(first.split()), tuple(last.split()), {}, coming, joining)


def pick(field: Ranking, free: dict[str, int], lately: str = "", excluded: str = "") -> str | None:
    return choose(field, free, lately.split(), excluded.split(), Random(1))


def test_the_node_with_the_most_free_slots_is_asked_first() -> None:
    assert pick(ranking("a b c"), {"a": 1, "b": 3, "c": 2}) == "b"


def test_equals_are_asked_about_equally_often() -> None:
    rng = Random(7)
    names = ranking("a b c d")
    free = dict.fromkeys("abcd", 2)
    asked = Counter(choose(names, free, NOBODY, NOBODY, rng) for _ in range(4000))
    assert all(900 < asked[name] < 1100 for name in "abcd")


def test_a_node_that_refused_this_visitor_is_not_asked_again() -> None:
    assert pick(ranking("a b"), {"a": 5, "b": 1}, excluded="a") == "b"
    assert pick(ranking("a b"), {"a": 5, "b": 1}, excluded="a b") is None


def test_a_suspect_is_asked_only_when_nothing_else_is_free() -> None:
    assert pick(ranking("a", last="b"), {"a": 1, "b": 9}) == "a"
    assert pick(ranking("a", last="b"), {"a": 0, "b": 9}) == "b"


def test_with_nothing_free_the_node_with_the_most_to_come_is_asked() -> None:
    assert pick(ranking("a b", last="c", b=2, c=1), {"a": 0, "b": 0}) == "b"


def test_nobody_asks_again_a_node_that_refused_a_moment_ago() -> None:
    assert pick(ranking("a b", b=2), {"a": 0, "b": 0}, lately="b") == "a"
    assert pick(ranking("a b", b=2), {"a": 0, "b": 0}, lately="a b") is None


def test_a_node_that_refused_a_moment_ago_is_asked_once_it_has_free_slots_again() -> None:
    assert pick(ranking("a"), {"a": 1}, lately="a") == "a"


def test_no_nodes_no_choice() -> None:
    assert pick(ranking(), {}) is None


def test_in_a_great_fleet_the_one_node_with_a_free_slot_is_found() -> None:
    names = [f"n{number}" for number in range(20 * SAMPLE)]
    assert pick(ranking(" ".join(names)), {"n417": 1}) == "n417"


def test_in_a_great_fleet_with_room_a_sample_is_ranked() -> None:
    names = [f"n{number}" for number in range(20 * SAMPLE)]
    free = {name: 1 + number % 3 for number, name in enumerate(names)}
    chosen = {choose(ranking(" ".join(names)), free, NOBODY, NOBODY, Random(seed)) for seed in range(50)}
    assert {free[name] for name in chosen if name is not None} == {3}, "the fullest of a sample is among the fullest"
    assert len(chosen) > 25, "several redirectors do not all run to the same node"


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)), st.sets(st.sampled_from("abcdefgh")))
def test_while_anything_is_free_something_free_is_chosen(free: dict[str, int], excluded: set[str]) -> None:
    names = sorted(free)
    half = len(names) // 2
    chosen = choose(Ranking(tuple(names[:half]), tuple(names[half:])), free, NOBODY, excluded, Random(3))
    if any(free[name] for name in names if name not in excluded):
        assert chosen is not None
        assert free[chosen] > 0
    assert chosen not in excluded


@pytest.mark.parametrize(
    ("field", "free", "outcomes", "status"),
    [
        (ranking("a b"), {"a": 0, "b": 0}, {"a": "full", "b": "full"}, "full"),
        (ranking("a b"), {"a": 0, "b": 0}, {}, "full"),
        (ranking("a b"), {}, {"a": "full", "b": "starting"}, "starting"),
        (ranking("a b", b=1), {}, {"a": "full"}, "starting"),
        (ranking("a b"), {"b": 2}, {"a": "full"}, "starting"),
        (ranking("a", joining=True), {}, {"a": "full"}, "starting"),
        (ranking("a b"), {}, {"a": "failed", "b": "failed"}, "trouble"),
        (ranking("a b"), {"a": 2}, {"a": "failed", "b": "full"}, "full"),
        (ranking("a"), {}, {"a": "draining"}, "trouble"),
        (ranking(), {}, {}, "trouble"),
    ],
)
def test_full_starting_and_trouble_are_told_apart(
    field: Ranking, free: dict[str, int], outcomes: dict[str, NodeOutcome], status: str
) -> None:
    assert verdict(field, free, outcomes) == status


def test_the_fleet_is_sorted_by_standing_with_the_slots_of_the_pool() -> None:
    nodes = {name: a_node(name) for name in ("a", "b", "c", "d")}
    nodes["d"] = a_node("d", intent="draining")
    found = ranking_of(
        nodes,
        board(
            a=seen(said=stats(2, starting=1, startable=2)),
            b=seen(Health.SUSPECT),
            c=seen(Health.DOWN),
            d=seen(),
        ),
    )
    assert (found.first, found.last, found.joining) == (("a",), ("b",), False)
    assert (found.free["a"], found.coming["a"]) == (2, 3)


def test_a_node_that_says_that_a_pool_is_unfit_is_asked_for_that_one_when_nothing_else_is_free() -> None:
    sick = stats(pools={"default": PoolStats(5, 5, unfit="no kernel starts"), "r": PoolStats(5, 5)})
    well = stats(pools={"default": PoolStats(1, 5), "r": PoolStats(1, 5)})
    nodes, seen_of = {name: a_node(name) for name in ("n1", "n2")}, board(n1=seen(said=sick), n2=seen(said=well))
    fleet = ranking_of(nodes, seen_of)
    assert (fleet.first, fleet.last) == (("n2",), ("n1",))
    assert pick(fleet, {"n1": 5, "n2": 1}) == "n2"
    assert pick(fleet, {"n1": 5, "n2": 0}) == "n1"
    assert set(ranking_of(nodes, seen_of, "r").first) == {"n1", "n2"}


def test_a_node_without_the_pool_is_not_asked_for_it() -> None:
    nodes = {"a": a_node("a"), "b": a_node("b")}
    found = ranking_of(nodes, board(a=seen(said=stats(pools=pools(default=1, gpu=2))), b=seen()), "gpu")
    assert found.first == ("a",)
    assert found.free == {"a": 2}


def test_a_node_that_joins_promises_room_unless_it_drains() -> None:
    assert ranking_of({"a": a_node("a")}, board(a=Seen())).joining
    assert not ranking_of({"a": a_node("a", intent="draining")}, board(a=Seen())).joining


def test_doubting_moves_a_node_to_the_last() -> None:
    suspect = ranking("a b", last="c").with_suspect("a")
    assert (suspect.first, suspect.last) == (("b",), ("c", "a"))
    assert suspect.with_suspect("a") == suspect
    assert suspect.with_suspect("unknown") == suspect
