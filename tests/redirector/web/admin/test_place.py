"""Where the next visitor would go, and why not elsewhere."""

from __future__ import annotations

from typing import Any

from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker


def place(fleet: SteppedWorker, query: str = "") -> dict[str, Any]:
    return dict(fleet.admin("GET", f"/api/place{query}").get_json())


def test_every_node_has_a_reason_and_nothing_is_taken(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    best, some, busy, away = (nodes.add(f"n{number}", ready=ready) for number, ready in enumerate((5, 2, 0, 5)))
    fleet.add(best, some, busy, away)
    fleet.admin("POST", "/api/nodes/n3/drain", json={"reason": "kernel"})
    fleet.tick()
    found = place(fleet)
    reasons = {node["name"]: node["reason"] for node in found["nodes"]}
    assert (found["next"], found["verdict"]) == ("n0", "placed")
    assert "next" in reasons["n0"]
    assert "fewer free slots" in reasons["n1"]
    assert "nothing is free" in reasons["n2"]
    assert reasons["n3"] == "draining: kernel"
    assert not any(node.spawns() for node in (best, some, busy, away))


def test_a_full_fleet_says_so(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", ready=0))
    found = place(fleet)
    assert (found["next"], found["verdict"]) == (None, "full")


def test_pools_are_told_apart(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", ready=0, pools={"r": 3}), nodes.add("n2"))
    found = place(fleet, "?pool=r")
    assert found["next"] == "n1"
    assert found["nodes"][1]["reason"] == "has no pool r"
    assert place(fleet, "?pool=nonsense")["verdict"] == "unknown_pool"
