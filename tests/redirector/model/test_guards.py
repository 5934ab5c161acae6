"""What the fleet cannot spare."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.errors import LastNodeError, TooLittleFreeError
from redirector.model.guards import refuse_unless_spared
from redirector.model.nodes import Health
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_values import a_node, board, seen, stats
from tests.support.fleet_worker import stepped_worker

NODES = {name: a_node(name) for name in ("n1", "n2", "n3")}


def test_a_node_may_go_while_the_others_have_room() -> None:
    seen_of = board(n1=seen(), n2=seen(said=stats(1, 5)), n3=seen(said=stats(0, 5)))
    refuse_unless_spared("n1", NODES, seen_of, 10)


def test_the_last_node_that_takes_visitors_stays() -> None:
    others = board(n1=seen(), n2=seen(Health.DOWN), n3=seen(Health.JOINING))
    with pytest.raises(LastNodeError):
        refuse_unless_spared("n1", NODES, others, 0)


def test_a_node_stays_when_the_others_have_too_little_free() -> None:
    full = board(n1=seen(said=stats(3, 10)), n2=seen(said=stats(1, 10)), n3=seen(said=stats(0, 10)))
    with pytest.raises(TooLittleFreeError) as caught:
        refuse_unless_spared("n1", NODES, full, 10)
    assert caught.value.fields() == {"percent": 5.0, "least": 10}
    refuse_unless_spared("n1", NODES, full, 5)


def test_what_can_start_is_free_too() -> None:
    coming = board(n1=seen(), n2=seen(said=stats(0, 10, startable=4)), n3=seen(said=stats(0, 10)))
    refuse_unless_spared("n1", NODES, coming, 20)


def test_a_node_without_a_free_slot_may_go_from_a_full_fleet() -> None:
    full = board(n1=seen(said=stats(0, 5)), n2=seen(said=stats(0, 5)), n3=seen(said=stats(0, 5)))
    refuse_unless_spared("n1", NODES, full, 50)


@pytest.mark.parametrize("health", [Health.DOWN, Health.JOINING])
def test_a_node_that_takes_nobody_may_go(health: Health) -> None:
    refuse_unless_spared("n1", NODES, board(n1=seen(health), n2=seen(said=stats(0, 5)), n3=seen(Health.DOWN)), 50)


def test_the_api_refuses_what_would_leave_too_little_free(tmp_path: Path, nodes: FakeNodes) -> None:
    with stepped_worker(tmp_path, TMPNB_MIN_FREE_PERCENT="50") as fleet:
        fleet.add(nodes.add("n1", ready=5), nodes.add("n2", ready=2))
        for method, path in (("POST", "/api/nodes/n1/drain"), ("DELETE", "/api/nodes/n1")):
            refusal = fleet.admin(method, path, json={})
            assert refusal.status_code == 409
            assert refusal.get_json()["status"] == "too_little_free"
            assert refusal.get_json()["percent"] == 40.0
        assert fleet.admin("POST", "/api/nodes/n2/drain", json={}).status_code == 200
        fleet.admin("POST", "/api/nodes/n2/resume", json={})
        fleet.tick()
        assert fleet.admin("POST", "/api/nodes/n1/drain", json={"force": True}).status_code == 200
