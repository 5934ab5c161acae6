"""What operators are shown is asked of the nodes at that moment."""

from __future__ import annotations

import pytest

from tests.redirector.web.admin.test_admin import is_error
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker


def test_a_drain_tells_how_many_are_left_now_not_at_the_last_poll(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    n1, n2 = nodes.add("n1"), nodes.add("n2")
    fleet.add(n1, n2)
    n1.claimed, n1.ready = 2, 3
    drained = fleet.admin("POST", "/api/nodes/n1/drain").get_json()["node"]
    assert (drained["claimed"], drained["drained"], drained["pending"]) == (2, False, False)
    assert drained["stats_age_seconds"] < 1
    n1.claimed = 0
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["drained"] is True


def test_the_fleet_counts_visitors_who_were_placed_a_moment_ago(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    before = fleet.admin("GET", "/api/fleet").get_json()
    assert (before["claimed"], before["available"]) == (0, 10)
    for _ in range(2):
        assert fleet.web.post("/api/spawn").status_code == 200
    shown = fleet.admin("GET", "/api/fleet").get_json()
    assert (shown["claimed"], shown["available"], shown["capacity"]) == (2, 8, 10)
    assert sum(node["claimed"] for node in fleet.admin("GET", "/api/nodes").get_json()["nodes"]) == 2


def test_a_node_that_does_not_answer_is_shown_with_the_age_of_its_numbers(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    n1 = nodes.add("n1", claimed=2, ready=3)
    fleet.add(n1, nodes.add("n2"))
    nodes.die(n1)
    shown = fleet.admin("GET", "/api/nodes/n1").get_json()
    assert shown["unanswered"]
    assert shown["claimed"] == 2
    refused = fleet.admin("DELETE", "/api/nodes/n1")
    assert is_error(refused, 409, "has_sessions")
    assert "does not answer" in refused.get_json()["message"]


def test_another_node_at_the_address_tells_nothing_about_this_one(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    n1 = nodes.add("n1", claimed=2, ready=3)
    fleet.add(n1, nodes.add("n2"))
    n1.node_id, n1.claimed = "another", 0
    shown = fleet.admin("GET", "/api/nodes/n1").get_json()
    assert (shown["claimed"], shown["unanswered"]) == (2, "another node answers at its address")
    assert fleet.admin("GET", "/api/fleet").get_json()["claimed"] == 2


@pytest.mark.silence
def test_a_silent_node_is_not_waited_for_beyond_its_time(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    n1, n2 = nodes.add("n1"), nodes.add("n2", claimed=1, ready=4)
    fleet.add(n1, n2)
    n1.mood = "hanging"
    n2.claimed = 3
    assert fleet.admin("GET", "/api/fleet").get_json()["claimed"] == 3
