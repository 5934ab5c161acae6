"""Nodes that are polled at a control URL: visitors are sent there only where their public URL leads to them as well."""

from __future__ import annotations

import pytest

from redirector.model.nodes import Health
from redirector.operations.node_rules import Addition, OperatorDecision
from tests.support.base_ports import free_ports
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker


def add(fleet: SteppedWorker, node: FakeNode, public_url: str) -> None:
    """Add a node that is polled where it is, and has another public URL."""
    fleet.worker.control.add(
        Addition(public_url, node.name, control_url=node.url, token=node.token), OperatorDecision()
    )


def nowhere() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


def alarms(fleet: SteppedWorker) -> str:
    return " ".join(fleet.admin("GET", "/api/fleet").get_json()["alarms"])


def test_a_node_whose_public_url_is_dead_gets_nobody_and_says_why(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    shut, well, url = nodes.add("shut", ready=9, capacity=9), nodes.add("well"), nowhere()
    add(fleet, shut, url)
    fleet.add(well)
    for _ in range(4):
        assert fleet.visit("/lab").headers["Location"].startswith(well.url)
        fleet.tick()
    assert fleet.seen(shut).health is Health.DOWN
    assert fleet.seen(shut).reason == f"visitors do not reach it at {url}: connection refused"
    assert f"shut is down: visitors do not reach it at {url}" in alarms(fleet)
    assert shut.spawns() == []


def test_a_node_whose_public_url_leads_to_another_gets_nobody(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    shut, other = nodes.add("shut", ready=9, capacity=9), nodes.add("other")
    well = nodes.add("well")
    add(fleet, shut, other.url)
    fleet.add(well)
    fleet.tick(3)
    assert "another node answers there" in fleet.seen(shut).reason
    assert fleet.visit("/lab").headers["Location"].startswith(well.url)


def test_a_public_url_that_dies_and_comes_back_takes_its_node_along(
    nodes: FakeNodes, fleet: SteppedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redirector.loops.public_check.CHECK_SECONDS", 0.0)
    node, front = nodes.add("n1", ready=9), nodes.add("front")
    front.node_id = node.node_id
    add(fleet, node, front.url)
    fleet.add(nodes.add("n2"))
    fleet.tick()
    assert fleet.seen(node).health is Health.UP
    nodes.die(front)
    fleet.tick()
    assert fleet.seen(node).health is Health.SUSPECT
    fleet.tick(2)
    assert fleet.seen(node).health is Health.DOWN
    nodes.start(front)
    fleet.tick(4)
    assert fleet.seen(node).health is Health.UP


def test_a_public_url_that_answered_is_asked_seldom(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node, front = nodes.add("n1"), nodes.add("front")
    front.node_id = node.node_id
    add(fleet, node, front.url)
    fleet.tick(5)
    assert len(front.asked) == 1
    assert len(node.asked) >= 5


def test_a_redirector_that_reaches_no_public_url_at_all_says_so_and_goes_on(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    behind = [nodes.add("n1"), nodes.add("n2")]
    for node in behind:
        add(fleet, node, nowhere())
    fleet.tick(4)
    assert {fleet.seen(node).health for node in behind} == {Health.UP}
    assert fleet.visit("/lab").status_code == 302
    assert "whether visitors reach n1, n2 cannot be told" in alarms(fleet)
    fleet.add(nodes.add("n3", ready=0))
    fleet.tick(4)
    assert {fleet.seen(node).health for node in behind} == {Health.UP}, (
        "one that is reached condemns nobody in hindsight"
    )


def test_public_urls_are_not_asked_where_an_operator_says_so(
    nodes: FakeNodes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with stepped_worker(tmp_path_factory.mktemp("state"), TMPNB_CHECK_PUBLIC_URLS="0") as fleet:
        node = nodes.add("n1", ready=9)
        add(fleet, node, nowhere())
        fleet.add(nodes.add("n2", ready=0))
        assert fleet.seen(node).health is Health.UP
        assert alarms(fleet) == ""
