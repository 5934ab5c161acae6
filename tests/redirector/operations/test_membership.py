"""Nodes that join and leave by themselves: they may touch nobody's row but their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from redirector.operations.node_rules import OperatorDecision
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

JOIN_TOKEN = "a-join-token-for-tests"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[SteppedWorker]:
    with stepped_worker(tmp_path, TMPNB_JOIN_TOKEN=JOIN_TOKEN) as fleet:
        yield fleet


def call(fleet: SteppedWorker, verb: str, node: FakeNode, token: str = JOIN_TOKEN, **more: Any) -> TestResponse:
    body = {"url": node.url, "token": node.token, **more}
    return fleet.web.post(f"/api/{verb}", json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_node_joins_under_its_own_name_and_keeps_it_when_it_comes_again(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("physics", ready=2)
    first, second = call(fleet, "join", node), call(fleet, "join", node)
    assert (first.status_code, first.json) == (201, {"name": "physics"})
    assert (second.status_code, second.json) == (200, {"name": "physics"})
    fleet.tick()
    assert fleet.visit().status_code == 302


def test_a_node_joins_with_an_address_for_control_calls(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    call(fleet, "join", node, url="http://node1.example.org", control_url=node.url)
    (row,) = fleet.worker.registry.all().values()
    assert (row.url, row.address) == ("http://node1.example.org", node.url)


@pytest.mark.parametrize("token", ["", "wrong-token-of-some-length", "an-admin-token-for-tests"])
def test_only_the_join_token_lets_a_node_in(nodes: FakeNodes, fleet: SteppedWorker, token: str) -> None:
    node = nodes.add("n1")
    assert call(fleet, "join", node, token).status_code in (401, 403)
    assert fleet.worker.registry.all() == {}
    assert node.asked == [], "and nobody is asked before"


def test_the_join_token_opens_nothing_else(fleet: SteppedWorker) -> None:
    assert fleet.admin("GET", "/api/nodes", token=JOIN_TOKEN).status_code == 403


def test_two_join_tokens_are_valid_while_one_is_replaced(nodes: FakeNodes, tmp_path: Path) -> None:
    tokens = tmp_path / "join-tokens"
    tokens.write_text(f"the-new-join-token-for-tests\n{JOIN_TOKEN}\n")
    tokens.chmod(0o600)
    with stepped_worker(tmp_path, TMPNB_JOIN_TOKEN_FILE=str(tokens)) as fleet:
        assert call(fleet, "join", nodes.add("n1"), token=JOIN_TOKEN).status_code == 201
        assert call(fleet, "join", nodes.add("n2"), token="the-new-join-token-for-tests").status_code == 201
        assert call(fleet, "join", nodes.add("n3"), token="another-join-token-for-tests").status_code == 403


def test_without_a_join_token_no_node_joins_by_itself(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path / "other") as fleet:
        answer = call(fleet, "join", nodes.add("n1"))
        assert (answer.status_code, answer.get_json()["status"]) == (503, "no_join_token")


def test_what_does_not_prove_to_be_a_node_does_not_join(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    assert call(fleet, "join", node, token=JOIN_TOKEN, url="http://127.0.0.1:1").status_code == 502
    bad = fleet.web.post(
        "/api/join",
        json={"url": node.url, "token": "not-its-token-at-all"},
        headers={"Authorization": f"Bearer {JOIN_TOKEN}"},
    )
    assert (bad.status_code, bad.get_json()["status"]) == (502, "bad_token")
    assert call(fleet, "join", node, url="").status_code == 400
    assert fleet.worker.registry.all() == {}


def test_another_host_cannot_take_over_a_nodes_row(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node, thief = nodes.add("n1"), nodes.add("thief", token="the-token-of-the-thief")
    call(fleet, "join", node)
    taken = call(fleet, "join", thief, url=node.url, control_url=thief.url)
    assert (taken.status_code, taken.get_json()["status"]) == (403, "forbidden")
    assert call(fleet, "leave", thief, url=node.url).status_code == 403
    assert fleet.row(node).address == node.url
    assert fleet.row(node).intent == "active"
    assert thief.asked == []


def moved(nodes: FakeNodes, node: FakeNode, **fields: Any) -> FakeNode:
    """The same node, started again at another address."""
    return nodes.add(node.name, **{"node_id": node.node_id, "ready": node.ready, **fields})


def test_a_node_whose_url_changed_moves_with_its_name_and_what_operators_decided(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=2)
    call(fleet, "join", node)
    fleet.tick()
    fleet.worker.control.intend("n1", "draining", OperatorDecision(by="ada", force=True))
    nodes.die(node)

    again = moved(nodes, node)
    answer = call(fleet, "join", again)
    assert (answer.status_code, answer.json) == (200, {"name": "n1"})
    row = fleet.row(node)
    assert (row.url, row.intent, row.intent_by) == (again.url, "draining", "ada")
    assert again.fleet_state == "draining", "and it is told so"

    fleet.worker.control.intend("n1", "active", OperatorDecision(by="ada"))
    fleet.tick(2)
    assert fleet.visit().headers["Location"].startswith(again.url)
    told = fleet.admin("GET", "/api/events").get_json()["events"]
    assert [event["reason"] for event in told if event["kind"] == "node_moved"] == [f"from {node.url} to {again.url}"]


def test_a_node_that_is_still_reached_by_its_old_url_moves_all_the_same(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    call(fleet, "join", node, control_url=node.url, url="http://old.example.org")
    assert call(fleet, "join", node, control_url=node.url, url="http://new.example.org").status_code == 200
    row = fleet.row(node)
    assert (row.url, row.control_url) == ("http://new.example.org", node.url)


def test_who_only_has_a_nodes_id_does_not_get_its_visitors(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    """The id stands in everyone's stats; the token is what proves it."""
    node = nodes.add("n1")
    call(fleet, "join", node)
    nodes.die(node)
    answer = call(fleet, "join", moved(nodes, node, token="the-token-of-the-thief"))
    assert (answer.status_code, answer.get_json()["status"]) == (409, "duplicate_url")
    assert fleet.row(node).url == node.url


def test_a_copied_host_is_refused_while_the_first_one_runs(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    call(fleet, "join", node)
    answer = call(fleet, "join", moved(nodes, node))
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["name"]) == (409, "copied_node", "n1")
    assert fleet.row(node).url == node.url


def test_a_node_that_leaves_is_drained_first_and_goes_when_its_last_session_has_ended(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=3)
    call(fleet, "join", node)
    fleet.tick()
    assert fleet.visit().status_code == 302
    assert call(fleet, "leave", node).json == {"name": "n1", "left": False, "claimed": 1}
    assert node.fleet_state == "draining"
    node.claimed = 0
    assert call(fleet, "leave", node).json == {"name": "n1", "left": True, "claimed": 0}
    assert fleet.worker.registry.all() == {}
    assert call(fleet, "leave", node).status_code == 404


def test_a_node_that_starts_again_on_its_way_out_takes_visitors_again(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", claimed=1)
    call(fleet, "join", node)
    call(fleet, "leave", node)
    call(fleet, "join", node)
    assert (fleet.row(node).intent, node.fleet_state) == ("active", "active")


def test_joining_again_does_not_undo_what_an_operator_decided(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    call(fleet, "join", node)
    fleet.worker.control.intend("n1", "draining", OperatorDecision(by="ada", force=True))
    call(fleet, "join", node)
    assert fleet.row(node).intent == "draining"


def test_who_joined_and_left_is_in_the_history(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    call(fleet, "join", node)
    fleet.tick()
    call(fleet, "leave", node)
    events = fleet.admin("GET", "/api/events").get_json()["events"]
    mine = [event["kind"] for event in events if event["by"] == "the node itself"]
    assert mine == ["node_added", "drain", "node_removed"]
