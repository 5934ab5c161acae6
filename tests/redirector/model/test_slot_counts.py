"""Numbers that operators act on: they add up, and old ones count nowhere as current."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redirector.admin_api.fleet_view import view_of_fleet
from redirector.admin_api.node_view import view_of_node
from redirector.counters.prometheus import FleetSample, exposition
from redirector.model.board import Board
from redirector.model.health import DOWN_AFTER
from redirector.model.nodes import Health, Node
from redirector.model.slot_counts import counts_now, counts_of, is_current
from redirector.model.snapshot import FleetSnapshot
from redirector.settings import table as config
from redirector.web.dashboard.cards import node_card
from tests.support.fleet_values import a_node, any_fleets, seen, stats

STATES = ("available", "starting", "startable", "claimed", "ending", "unusable")
SETTINGS = config.load({})
Fleet = tuple[dict[str, Node], Board]


def fleet_numbers(fleet: Fleet) -> dict[str, Any]:
    return asdict(view_of_fleet(FleetSnapshot(1000.0, *fleet), SETTINGS, "http://entry"))


@given(any_fleets())
def test_every_slot_of_the_fleet_is_in_exactly_one_state(fleet: Fleet) -> None:
    nodes, board = fleet
    shown = fleet_numbers(fleet)
    assert sum(shown[state] for state in STATES) == shown["capacity"] + shown["over"]
    for name, node in nodes.items():
        counts = asdict(counts_now(node, board.of(name)))
        assert sum(counts[state] for state in STATES) == counts["capacity"] + counts["over"]
        assert all(count >= 0 for count in counts.values())


@given(any_fleets())
def test_the_fleets_numbers_are_the_sums_of_its_nodes_whose_numbers_are_current(fleet: Fleet) -> None:
    nodes, board = fleet
    shown, each = (
        fleet_numbers(fleet),
        [asdict(view_of_node(node, board.of(name), 1000.0)) for name, node in nodes.items()],
    )
    for word in (*STATES, "capacity", "over"):
        assert shown[word] == sum(node[word] for node in each if node["current"])
    left_out = [node for node in each if not node["current"]]
    assert shown["not_counted"] == {"nodes": len(left_out), "claimed": sum(node["claimed"] for node in left_out)}


@given(any_fleets())
def test_old_numbers_count_nowhere_as_current(fleet: Fleet) -> None:
    nodes, board = fleet
    text = exposition(FleetSample(1000.0, nodes, board, {}, {}, database_up=True, version="1")).decode()
    for name, node in nodes.items():
        if is_current(board.of(name)):
            continue
        shown = asdict(view_of_node(node, board.of(name), 1000.0))
        for numbers in (shown, *shown["pools"].values()):
            assert {numbers[word] for word in (*STATES, "capacity") if word != "claimed"} == {0}
        assert not {"ready", "starting", "free"} & node_card(node, board.of(name), 1000.0)["slots"].keys()
        measured = [line for line in text.splitlines() if line.startswith("tmpnb_node_slots") and f'"{name}"' in line]
        assert all(line.endswith(" 0.0") for line in measured)


@given(any_fleets())
def test_a_node_that_takes_no_visitors_offers_no_slot_in_any_pool(fleet: Fleet) -> None:
    nodes, board = fleet
    for name, node in nodes.items():
        shown = asdict(view_of_node(node, board.of(name), 1000.0))
        if shown["reason"].startswith(("draining", "down", "joining")):
            assert not any(pool["available"] or pool["startable"] for pool in (shown, *shown["pools"].values()))


@given(st.integers(0, 9), st.sampled_from(Health))
def test_numbers_are_current_until_as_many_polls_failed_as_make_a_node_down(failures: int, health: Health) -> None:
    expected = failures < DOWN_AFTER and health in (Health.UP, Health.SUSPECT)
    assert is_current(seen(health, failures=failures)) is expected


def test_more_sandboxes_than_slots_are_said_to_be_more() -> None:
    counts = counts_of(stats(available=1, capacity=4, claimed=5))
    assert (counts.capacity, counts.claimed, counts.unusable, counts.over) == (4, 5, 0, 2)


def test_a_node_that_is_down_says_why_and_what_was() -> None:
    known = seen(Health.DOWN, stats(2, 4, claimed=2), reason="connection refused", failures=3, asked_at=960.0)
    shown = asdict(view_of_node(a_node(intent="draining", intent_reason="disk"), known, 1000.0))
    assert (shown["reason"], shown["health_reason"]) == ("draining: disk", "connection refused")
    assert (shown["capacity"], shown["available"], shown["claimed"], shown["current"]) == (0, 0, 2, False)
    assert shown["last_known"] == {"available": 2, "capacity": 4, "starting": 0, "startable": 0, "claimed": 2}
    assert shown["stats_age_seconds"] == 40.0
