"""Fault cases that trusted systems test, where no other test here has them yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from redirector.model.nodes import Health
from redirector.operations.node_rules import OperatorDecision
from redirector.placing.outcomes import Placed, Refused
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker
from tests.support.waiting import wait_until


def drain(fleet: SteppedWorker, name: str) -> None:
    fleet.worker.control.intend(name, "draining", OperatorDecision(by="ada", force=True))


def drained(fleet: SteppedWorker, name: str) -> bool:
    return bool(fleet.admin("GET", f"/api/nodes/{name}").get_json()["drained"])


def test_the_drain_of_an_empty_node_ends_at_once(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))
    drain(fleet, "n1")
    fleet.tick()
    assert drained(fleet, "n1")


@pytest.mark.silence
def test_claims_that_are_under_way_when_a_drain_begins_end_in_a_sandbox(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    leaving = nodes.add("leaving", ready=50, capacity=50, claim_seconds=0.15)
    fleet.add(leaving, nodes.add("staying", ready=20, capacity=20))
    with ThreadPoolExecutor(8) as visitors:
        visits = [visitors.submit(fleet.place) for _ in range(20)]
        wait_until(leaving.spawns, 5)
        drain(fleet, "leaving")
        results = [visit.result() for visit in visits]
    assert all(isinstance(result, Placed) for result in results)


def test_a_node_that_dies_while_draining_drains_on_when_it_is_back(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", claimed=1)
    fleet.add(node)
    drain(fleet, "n1")
    nodes.die(node)
    fleet.tick(3)
    assert fleet.seen(node).health is Health.DOWN
    assert fleet.row(node).intent == "draining"
    node.fleet_state, node.generation = "active", 0  # even if it forgot
    node.restart()
    nodes.start(node)
    fleet.tick(3)
    assert node.fleet_state == "draining"
    assert not drained(fleet, "n1"), "its session is still there"


def test_a_redirector_that_starts_again_goes_on_draining(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=3, claimed=1)
    fleet.add(node)
    drain(fleet, "n1")
    fleet.worker.stop()
    with stepped_worker(fleet.settings.state) as successor:
        successor.tick()
        assert successor.visit().status_code == 503
        assert successor.row(node).intent == "draining"
    assert node.spawns() == []


@pytest.mark.silence
def test_when_no_node_answers_in_time_it_is_trouble_and_not_full(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    hung = [nodes.add(f"n{number}", ready=3) for number in range(2)]
    fleet.add(*hung)
    for node in hung:
        node.claim_mood = "hanging"
    result = fleet.place()
    assert isinstance(result, Refused)
    assert result.reason == "trouble"


@pytest.mark.silence
def test_an_answer_that_was_late_and_asked_for_again_is_one_sandbox(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=5, claim_seconds=0.9)
    fleet.add(node)
    with ThreadPoolExecutor(1) as visitor:
        visit = visitor.submit(fleet.place)
        wait_until(node.spawns, 5)
        node.claim_seconds = 0.0
        result = visit.result()
    assert isinstance(result, Placed)
    wait_until(lambda: len(node.spawns()) == 2, 5)
    assert node.claimed == 1
    assert len({asked.body["tickets"][0]["ticket"] for asked in node.spawns()}) == 1


@pytest.mark.silence
def test_many_who_come_at_once_to_a_node_that_hangs_all_get_a_sandbox_elsewhere(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    hung = nodes.add("hung", ready=90, capacity=90)
    fleet.add(hung, nodes.add("well", ready=30, capacity=30))
    hung.claim_mood = "hanging"
    with ThreadPoolExecutor(16) as crowd:
        results = list(crowd.map(lambda _: fleet.place(), range(30)))
    assert [result.node for result in results if isinstance(result, Placed)] == ["well"] * 30
