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

NOW = 1000.0
NODES = {name: a_node(name) for name in ("n1", "n2", "n3")}


def test_a_node_may_go_while_the_others_have_room() -> None:
    seen_of = board(n1=seen(), n2=seen(said=stats(1, 5)), n3=seen(said=stats(0, 5)))
    refuse_unless_spared("n1", NODES, seen_of, 10, now=NOW)


def test_the_last_node_that_takes_visitors_stays() -> None:
    others = board(n1=seen(), n2=seen(Health.DOWN), n3=seen(Health.JOINING))
    with pytest.raises(LastNodeError):
        refuse_unless_spared("n1", NODES, others, 0, now=NOW)


def test_a_node_stays_when_the_others_have_too_little_free() -> None:
    n2, n3 = seen(said=stats(1, 10), asked_at=NOW), seen(said=stats(0, 10), asked_at=NOW - 12)
    full = board(n1=seen(said=stats(3, 10), asked_at=NOW - 20), n2=n2, n3=n3)
    with pytest.raises(TooLittleFreeError, match="by numbers up to 12 s old") as caught:
        refuse_unless_spared("n1", NODES, full, 10, now=NOW)
    assert caught.value.fields() == {"percent": 5.0, "least": 10, "stats_age_seconds": 12.0}
    refuse_unless_spared("n1", NODES, full, 5, now=NOW)


def test_what_can_start_is_free_too() -> None:
    coming = board(n1=seen(), n2=seen(said=stats(0, 10, startable=4)), n3=seen(said=stats(0, 10)))
    refuse_unless_spared("n1", NODES, coming, 20, now=NOW)


def test_a_node_without_a_free_slot_may_go_from_a_full_fleet() -> None:
    full = board(n1=seen(said=stats(0, 5)), n2=seen(said=stats(0, 5)), n3=seen(said=stats(0, 5)))
    refuse_unless_spared("n1", NODES, full, 50, now=NOW)


@pytest.mark.parametrize("health", [Health.DOWN, Health.JOINING])
def test_a_node_that_takes_nobody_may_go(health: Health) -> None:
    refuse_unless_spared(
        "n1", NODES, board(n1=seen(health), n2=seen(said=stats(0, 5)), n3=seen(Health.DOWN)), 50, now=NOW
    )


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


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/nodes/n1/drain"), ("DELETE", "/api/nodes/n1")])
def test_the_guards_count_what_nodes_have_free_now_not_at_the_last_poll(
    tmp_path: Path, nodes: FakeNodes, method: str, path: str
) -> None:
    with stepped_worker(tmp_path, TMPNB_MIN_FREE_PERCENT="50") as fleet:
        n2 = nodes.add("n2", ready=5, capacity=5)
        fleet.add(nodes.add("n1", ready=5), n2)
        n2.ready, n2.claimed = 0, 5
        refusal = fleet.admin(method, path, json={})
        assert refusal.get_json()["status"] == "too_little_free"
        assert "as the nodes say now" in refusal.get_json()["message"]
        n2.ready, n2.claimed = 5, 0
        assert fleet.admin(method, path, json={}).status_code == 200
