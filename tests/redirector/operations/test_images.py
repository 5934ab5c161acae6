"""Moving pools to other images, proving them, and ending sessions at a set hour."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

import pytest
from sqlalchemy import text

from redirector.loops.session_ends import is_due, watched_since, why_void
from redirector.model.board import Board
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_values import a_node
from tests.support.fleet_worker import SteppedWorker, stepped_worker
from tests.support.waiting import wait_until
from tmpnb_common.wire import NodeStats


def test_a_pool_moves_to_another_image_and_the_way_back_is_known(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1", image="old")
    fleet.add(node)
    asked = {"image": "new", "by": "ann", "reason": "security"}
    answer = fleet.admin("PUT", "/api/nodes/n1/pools/default", json=asked)
    assert answer.get_json() == {"changed": True, "image_before": "old", "capacity_before": None}
    assert node.image == "new"
    fleet.tick()
    pool = fleet.admin("GET", "/api/nodes/n1").get_json()["pools"]["default"]
    assert (pool["image"], pool["image_before"]) == ("new", "old")
    event = fleet.admin("GET", "/api/events").get_json()["events"][-1]
    assert (event["kind"], event["by"], event["reason"]) == ("roll", "ann", "default: old -> new; security")


def test_moving_to_the_image_that_is_there_changes_nothing(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1", image="old"))
    fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": "new"})
    answer = fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": "new"})
    assert answer.get_json() == {"changed": False, "image_before": None, "capacity_before": None}
    fleet.tick()
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["pools"]["default"]["image_before"] == "old"


def fleet_alarms(fleet: SteppedWorker) -> list[str]:
    fleet.tick()
    return list(fleet.admin("GET", "/api/fleet").get_json()["alarms"])


def test_a_node_that_comes_back_with_another_image_than_it_was_moved_to_is_an_alarm(
    fleet: SteppedWorker, nodes: FakeNodes
) -> None:
    node = nodes.add("n1", image="old")
    fleet.add(node)
    assert fleet_alarms(fleet) == [], "what was never moved is the node's own business"
    fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": "new"})
    assert fleet_alarms(fleet) == []
    node.image = "old"
    assert fleet_alarms(fleet) == [
        "n1 runs old in pool default, though it was moved to new; where that is meant: tmpnb roll old --pool default"
    ]
    fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": "old"})
    assert fleet_alarms(fleet) == []


def test_a_pool_is_resized_and_a_node_that_comes_back_with_another_size_is_an_alarm(
    fleet: SteppedWorker, nodes: FakeNodes
) -> None:
    node = nodes.add("n1", ready=2, capacity=5)
    fleet.add(node)
    path = "/api/nodes/n1/pools/default"
    answer = fleet.admin("PUT", path, json={"capacity": 8, "warm": 3, "by": "ann", "reason": "a class"})
    assert answer.get_json() == {"changed": True, "image_before": None, "capacity_before": 5}
    assert node.asked[-1].body == {"capacity": 8, "warm": 3}
    event = fleet.admin("GET", "/api/events").get_json()["events"][-1]
    assert (event["kind"], event["by"]) == ("resize", "ann")
    assert event["reason"] == "default: 5 -> 8 sandboxes, 3 of them ready; a class"
    assert fleet_alarms(fleet) == []
    node.capacity = 5
    assert fleet_alarms(fleet) == [
        (
            "n1 has 5 slots in pool default, though it was resized to 8; "
            "where that is meant: tmpnb node resize n1 --pool default --capacity 5"
        )
    ]
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["pools"]["default"]["capacity_ordered"] == 8
    metrics = fleet.admin("GET", "/metrics").get_data(as_text=True)
    assert 'tmpnb_node_pool_order_unmet{node="n1",pool="default",what="capacity"} 1.0' in metrics
    assert 'tmpnb_node_pool_order_unmet{node="n1",pool="default",what="image"} 0.0' in metrics
    assert fleet.admin("PUT", path, json={"capacity": 5}).get_json()["changed"] is False
    assert fleet_alarms(fleet) == []


def test_a_move_and_a_resize_of_a_pool_are_both_remembered(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1", image="old", capacity=5)
    fleet.add(node)
    path = "/api/nodes/n1/pools/default"
    fleet.admin("PUT", path, json={"image": "new"})
    fleet.admin("PUT", path, json={"capacity": 8})
    fleet.admin("PUT", path, json={"image": "newer"})
    node.image, node.capacity = "old", 5
    assert len(fleet_alarms(fleet)) == 2
    pool = fleet.admin("GET", "/api/nodes/n1").get_json()["pools"]["default"]
    assert (pool["image_before"], pool["image_ordered"], pool["capacity_ordered"]) == ("new", "newer", 8)


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("nobody/pools/default", {"image": "new"}, (404, "unknown_node")),
        ("n1/pools/elsewhere", {"image": "new"}, (404, "unknown_pool")),
        ("n1/pools/default", {}, (400, "bad_request")),
        ("n1/pools/default", {"image": 7}, (400, "bad_request")),
        ("n1/pools/elsewhere", {"capacity": 2}, (404, "unknown_pool")),
        ("n1/pools/default", {"capacity": -1}, (400, "bad_request")),
        ("n1/pools/default", {"warm": 10_001}, (400, "bad_request")),
        ("n1/pools/default", {"image": "new", "capacity": 2}, (400, "bad_request")),
    ],
)
def test_a_move_that_cannot_be_is_refused(
    fleet: SteppedWorker, nodes: FakeNodes, path: str, body: dict[str, object], refusal: tuple[int, str]
) -> None:
    fleet.add(nodes.add("n1"))
    answer = fleet.admin("PUT", f"/api/nodes/{path}", json=body)
    assert (answer.status_code, answer.get_json()["status"]) == refusal


def test_an_image_is_fetched_before_anything_moves(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    coming = {"there": False, "progress": "40 % of 300 MiB", "problem": ""}
    node = nodes.add("n1", image="old", fetches={"new": [coming]})
    fleet.add(node, nodes.add("n2"))
    path = "/api/nodes/n1/pools/default/fetch"
    assert fleet.admin("POST", path, json={"image": "new"}).get_json() == coming
    assert node.image == "old"
    assert fleet.admin("POST", path, json={}).status_code == 400
    older = fleet.admin("POST", "/api/nodes/n2/pools/default/fetch", json={"image": "new"}).get_json()
    assert older["there"], "it does not know the call, and fetches when it is moved"


def test_a_selftest_says_what_it_measured(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1", image="fine", bad_images={"broken"})
    fleet.add(node)
    passed = fleet.admin("POST", "/api/nodes/n1/selftest", json={})
    assert passed.get_json() == {"passed": True, "message": "a cell ran", "measured": {"start_seconds": 1.5}}
    node.image = "broken"
    failed = fleet.admin("POST", "/api/nodes/n1/selftest", json={}).get_json()
    assert (failed["passed"], failed["message"]) == (False, "the kernel never answered")


def test_a_node_that_does_not_answer_is_a_plain_error(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    nodes.die(node)
    for method, path in (("POST", "selftest"), ("PUT", "pools/default")):
        answer = fleet.admin(method, f"/api/nodes/n1/{path}", json={"image": "new"})
        assert (answer.status_code, answer.get_json()["status"]) == (502, "node_failed")


def test_a_drain_with_an_hour_ends_the_sessions_that_are_left_then(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2", ready=9, capacity=9))
    node.claims = {"a-ticket": "one", "another": "two"}
    node.claimed = 2
    later = {"end_sessions_at": time.time() + 3600}
    assert fleet.admin("POST", "/api/nodes/n1/drain", json=later).get_json()["changed"]
    fleet.tick(2)
    assert node.claimed == 2, "their hour has not come"
    now = {"end_sessions_at": time.time() - 1, "by": "ann"}
    assert fleet.admin("POST", "/api/nodes/n1/drain", json=now).get_json()["changed"]
    fleet.tick(2)
    assert node.claimed == 0
    kinds = [event["kind"] for event in fleet.admin("GET", "/api/events").get_json()["events"]]
    assert "sessions_ended" in kinds


def test_the_history_names_the_hour_at_which_a_drain_ends_sessions(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": 4102488000, "reason": "disk"})
    last = fleet.admin("GET", "/api/events").get_json()["events"][-1]
    assert (last["kind"], last["reason"]) == ("drain_with_end", "sessions end at 2100-01-01 12:00 UTC: disk")
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["intent_reason"] == "disk"


@pytest.mark.parametrize("past", [1_000_000, 1, pytest.param(-3600, id="an hour ago")])
def test_a_drain_with_an_hour_that_is_past_is_refused_and_ends_nothing(
    fleet: SteppedWorker, nodes: FakeNodes, past: float
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2", ready=9, capacity=9))
    node.claims, node.claimed = {"a-ticket": "one"}, 1
    hour = past if past > 0 else time.time() + past
    refused = fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": hour})
    assert (refused.status_code, refused.get_json()["status"]) == (400, "bad_request")
    fleet.tick(2)
    assert (node.claimed, fleet.row(node).intent) == (1, "active")


@pytest.mark.parametrize("away", [False, True])
def test_no_session_ends_by_what_the_poller_knew_once(
    fleet: SteppedWorker, nodes: FakeNodes, tmp_path: Path, away: bool
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2", ready=9, capacity=9))
    node.claims, node.claimed = {"a-ticket": "one"}, 1
    with stepped_worker(tmp_path) as other:
        other.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": time.time() - 1})
        fleet.worker.sync_loop.tick()
        other.admin("POST", "/api/nodes/n1/resume", json={})
    if away:
        with fleet.worker.database.writing() as connection:
            connection.execute(text("ALTER TABLE nodes RENAME TO nodes_away"))
    with ThreadPoolExecutor(2) as executor:
        fleet.worker.poller.tick(executor, Flag())
    assert fleet.worker.fleet_state.nodes["n1"].intent == "draining", "it has not heard of the other's change of mind"
    assert node.claimed == 1


def test_a_drain_without_an_hour_never_ends_a_session() -> None:
    draining = a_node(intent="draining")
    assert not is_due(draining, sessions=3, now=2e9)
    assert not is_due(a_node(end_sessions_at=1.0), sessions=3, now=2e9), "it takes visitors"
    assert is_due(a_node(intent="draining", end_sessions_at=1.0), sessions=3, now=2.0)


def test_an_hour_counts_while_somebody_polls_and_after_an_order_that_is_newer() -> None:
    stats = NodeStats(available=0, capacity=3, protocol=1, generation=4)
    order = a_node(intent="draining", intent_since=100.0, end_sessions_at=200.0, generation=4)
    assert why_void(order, stats, since=150.0) == ""
    assert why_void(order, stats, since=201.0) == "its hour passed while no redirector polled"
    assert why_void(replace(order, intent_since=300.0), stats, since=250.0) == "", "an operator meant at once"
    assert "older" in why_void(replace(order, generation=3), stats, since=150.0)


def test_a_handover_is_no_gap_in_polling_and_a_night_is_one() -> None:
    assert watched_since(Board(published_at=100.0), 110.0) == 100.0
    assert watched_since(Board(published_at=100.0), 200.0) == 200.0
    assert watched_since(Board(published_at=100.0), 50.0) == 50.0, "a clock was set back"


@pytest.mark.silence
@pytest.mark.parametrize("passed", [True, False], ids=["its hour has passed", "its hour comes later"])
def test_a_registry_from_a_backup_ends_no_session_of_a_node_that_was_resumed_since(
    fleet: SteppedWorker, nodes: FakeNodes, passed: bool
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2", ready=9, capacity=9))
    hour = time.time() + (-1 if passed else 0.5)
    fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": hour})
    backup = fleet.row(node)
    fleet.admin("POST", "/api/nodes/n1/resume", json={})
    fleet.tick(2)
    node.claims, node.claimed = {"a-ticket": "one", "another": "two"}, 2
    with fleet.worker.registry.changing() as change:
        change.put(backup)
    fleet.tick(2)
    wait_until(lambda: time.time() > hour, 5, "the old hour")
    fleet.tick(3)
    assert node.claimed == 2
    assert (node.fleet_state, fleet.row(node).end_sessions_at) == ("draining", 0.0)
    events = fleet.admin("GET", "/api/events").get_json()["events"]
    [dropped] = [event["reason"] for event in events if event["kind"] == "end_dropped"]
    assert "backup" in dropped


def test_an_hour_that_passed_while_nobody_polled_ends_no_session(
    fleet: SteppedWorker, nodes: FakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2", ready=9, capacity=9))
    node.claims, node.claimed = {"a-ticket": "one"}, 1
    fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": time.time() + 60})
    fleet.tick()
    # As when the redirector was off for the night: whoever polls begins anew, with a board of yesterday.
    for watch in (fleet.worker.poller, fleet.worker.poller._polls):
        monkeypatch.setattr(watch, "_clock", lambda: time.time() + 3600)
    fleet.worker.poller._ticks = 0
    fleet.tick(3)
    assert node.claimed == 1
    assert (node.fleet_state, fleet.row(node).end_sessions_at) == ("draining", 0.0)


def test_resuming_forgets_the_hour(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": time.time() + 60})
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["end_sessions_at"] > 0
    fleet.admin("POST", "/api/nodes/n1/resume", json={})
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["end_sessions_at"] == 0


@pytest.mark.parametrize("hour", ["noon", -1, True, 1e300])
def test_an_hour_that_is_none_is_refused(fleet: SteppedWorker, nodes: FakeNodes, hour: object) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    answer = fleet.admin("POST", "/api/nodes/n1/drain", json={"end_sessions_at": hour})
    assert answer.status_code == 400
    assert fleet.worker.registry.all()["n1"].intent == "active"


def test_a_removal_forgets_the_way_back(fleet: SteppedWorker, nodes: FakeNodes) -> None:
    node = nodes.add("n1", image="old")
    fleet.add(node, nodes.add("n2"))
    fleet.admin("PUT", "/api/nodes/n1/pools/default", json={"image": "new"})
    fleet.admin("DELETE", "/api/nodes/n1", json={})
    fleet.add(node)
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["pools"]["default"]["image_before"] == ""
