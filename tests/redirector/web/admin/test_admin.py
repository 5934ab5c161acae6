"""The admin API: who gets in, what nodes look like, and one shape for every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.test import TestResponse

from redirector.admin_api.answers import ChangeView, NodesView
from redirector.admin_api.views import FleetView
from tests.support.fleet_node import FakeNode, Mood
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

CALLS = [
    ("GET", "/api/nodes"),
    ("POST", "/api/nodes"),
    ("GET", "/api/nodes/n1"),
    ("DELETE", "/api/nodes/n1"),
    ("POST", "/api/nodes/n1/drain"),
    ("POST", "/api/nodes/n1/resume"),
    ("GET", "/api/fleet"),
    ("GET", "/api/events"),
    ("GET", "/api/sessions"),
    ("DELETE", "/api/sessions/abcdefgh"),
    ("POST", "/api/say"),
    ("POST", "/hosts"),
    ("DELETE", "/hosts"),
]


def is_error(answer: TestResponse, status: int, code: str) -> bool:
    raw = answer.get_json()
    assert (answer.status_code, raw["status"]) == (status, code), raw
    assert raw["message"].strip()
    return True


def add(fleet: SteppedWorker, node: FakeNode, **fields: Any) -> TestResponse:
    return fleet.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token, **fields})


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_token_configured_nobody_gets_in(tmp_path: Path, method: str, path: str) -> None:
    with stepped_worker(tmp_path, TMPNB_ADMIN_TOKEN="") as fleet:
        assert is_error(fleet.admin(method, path), 503, "no_admin_token")
        assert is_error(
            fleet.web.open(path, method=method, headers={"Authorization": "Bearer "}), 503, "no_admin_token"
        )


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_the_token(fleet: SteppedWorker, method: str, path: str) -> None:
    for header in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}):
        answer = fleet.web.open(path, method=method, headers=header)
        assert is_error(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert is_error(fleet.admin(method, path, token="wrong"), 403, "forbidden")
    assert is_error(fleet.admin(method, path, token="wröng"), 403, "forbidden")


def test_both_spellings_and_both_tokens_are_valid(tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_ADMIN_TOKEN="the-first-of-two-tokens the-second-of-two-tokens") as fleet:
        for token in ("the-first-of-two-tokens", "the-second-of-two-tokens"):
            for scheme in ("Bearer", "token", "bearer"):
                header = {"Authorization": f"{scheme} {token}"}
                assert fleet.web.get("/api/nodes", headers=header).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", sorted({path for _, path in CALLS} | {"/stats", "/api/spawn", "/healthz", "/nope"}))
def test_every_error_has_one_shape_and_no_answer_is_kept(fleet: SteppedWorker, method: str, path: str) -> None:
    answer = fleet.admin(method, path, data=b"not json")
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.status_code >= 400:
        assert answer.content_type == "application/json"
        assert {"status", "message"} <= set(answer.get_json())
    assert answer.status_code != 500


def test_a_node_is_added_shown_drained_resumed_and_removed(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=3)
    added = add(fleet, node, reason="more room")
    assert added.status_code == 201
    assert added.get_json()["health"] == "joining"
    assert add(fleet, node).status_code == 200
    assert add(fleet, nodes.add("n2")).status_code == 201
    fleet.tick()

    shown = fleet.admin("GET", "/api/nodes/n1").get_json()
    assert (shown["health"], shown["reason"], shown["eligible"], shown["available"]) == ("up", "", True, 3)
    assert "token" not in shown

    drained = fleet.admin("POST", "/api/nodes/n1/drain", json={"reason": "disk", "by": "ann"}).get_json()
    assert drained["changed"]
    assert drained["node"]["intent"] == "draining"
    assert drained["node"]["reason"] == "draining: disk"
    assert fleet.admin("POST", "/api/nodes/n1/drain").get_json()["changed"] is False
    fleet.tick()
    shown = fleet.admin("GET", "/api/nodes/n1").get_json()
    assert (shown["pending"], shown["drained"], shown["available"]) == (False, True, 0)

    assert fleet.admin("POST", "/api/nodes/n1/resume").get_json()["node"]["intent"] == "active"
    assert fleet.admin("DELETE", "/api/nodes/n1", json={"reason": "sold"}).get_json() == {"removed": "n1"}
    assert is_error(fleet.admin("GET", "/api/nodes/n1"), 404, "unknown_node")
    kinds = [event["kind"] for event in fleet.admin("GET", "/api/events").get_json()["events"]]
    assert [kind for kind in kinds if kind != "node_up"] == [
        "node_added",
        "node_added",
        "drain",
        "resume",
        "node_removed",
    ]


@pytest.mark.parametrize("name", ["nobody", "--all", "a/b", "..", "%00", "x" * 300])
def test_unknown_names_are_404_never_500(fleet: SteppedWorker, name: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/drain"), ("POST", "/resume")):
        assert fleet.admin(method, f"/api/nodes/{name}{path}").status_code in (404, 405)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"url": ""},
        {"url": 5},
        {"url": "node1"},
        {"url": "http://node1?x"},
        {"url": "http://node1", "name": "--all"},
        {"url": "http://node1", "reason": "two\nlines"},
    ],
)
def test_a_bad_node_is_a_bad_request(fleet: SteppedWorker, fields: dict[str, object]) -> None:
    assert is_error(fleet.admin("POST", "/api/nodes", json=fields), 400, "bad_request")


def test_duplicates_say_what_is_there(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    add(fleet, node)
    answer = add(fleet, node, name="n2")
    assert is_error(answer, 409, "duplicate_url")
    assert answer.get_json()["name"] == "n1"
    answer = add(fleet, nodes.add("n2"), name="n1")
    assert is_error(answer, 409, "duplicate_name")
    assert answer.get_json()["url"] == node.url


@pytest.mark.silence
@pytest.mark.parametrize(
    ("mood", "token", "code"),
    [("garbled", "a-node-token-for-tests", "not_a_node"), ("well", "wrong", "bad_token")],
)
def test_a_node_that_proves_nothing_is_a_bad_gateway(
    nodes: FakeNodes, fleet: SteppedWorker, mood: Mood, token: str, code: str
) -> None:
    assert is_error(add(fleet, nodes.add("n1", mood=mood), token=token), 502, code)


def test_an_unreachable_node_is_a_bad_gateway(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    nodes.die(node)
    assert is_error(add(fleet, node), 502, "unreachable")


def test_guards_refuse_and_force_overrides(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=1))
    assert is_error(fleet.admin("POST", "/api/nodes/n1/drain"), 409, "last_node")
    fleet.visit()
    answer = fleet.admin("DELETE", "/api/nodes/n1")
    assert is_error(answer, 409, "has_sessions")
    assert answer.get_json()["claimed"] == 1
    assert fleet.admin("DELETE", "/api/nodes/n1", json={"force": True}).status_code == 200


def test_if_match_keeps_two_operators_apart(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"), nodes.add("n2"))
    seen = fleet.admin("GET", "/api/nodes/n1").get_json()["version"]
    header = {"If-Match": f'"{seen}"'}
    assert fleet.admin("POST", "/api/nodes/n1/drain", headers=header).status_code == 200
    answer = fleet.admin("POST", "/api/nodes/n1/resume", headers=header)
    assert is_error(answer, 412, "changed")
    assert answer.get_json()["version"] == seen + 1
    assert fleet.admin("POST", "/api/nodes/n1/resume", headers={"If-Match": "*"}).status_code == 200
    assert is_error(fleet.admin("POST", "/api/nodes/n1/drain", headers={"If-Match": "new"}), 400, "bad_request")


@pytest.mark.parametrize("query", ["since=x", "limit=-1", "limit=100000", "since=" + "9" * 40])
def test_events_are_asked_for_with_numbers(fleet: SteppedWorker, query: str) -> None:
    assert is_error(fleet.admin("GET", f"/api/events?{query}"), 400, "bad_request")


def test_the_fleet_adds_up(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=3), nodes.add("n2", ready=2), nodes.add("n3", ready=5))
    fleet.admin("POST", "/api/nodes/n3/drain")
    fleet.tick()
    shown = fleet.admin("GET", "/api/fleet").get_json()
    assert (shown["available"], shown["capacity"]) == (5, 15)
    assert shown["nodes"] == {"up": 2, "draining": 1}
    assert shown["alarms"] == []
    assert shown["poller"]["holder"]
    assert shown["poller"]["age_seconds"] >= 0


def test_the_operators_tools_can_read_all_of_it(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"), nodes.add("old", protocol=0))
    listed = msgspec.json.decode(fleet.admin("GET", "/api/nodes").data, type=NodesView)
    assert [node.name for node in listed.nodes] == ["n1", "old"]
    assert msgspec.json.decode(fleet.admin("POST", "/api/nodes/old/drain").data, type=ChangeView).changed
    assert msgspec.json.decode(fleet.admin("GET", "/api/fleet").data, type=FleetView).capacity == 10


def test_with_the_database_away_operators_get_a_clear_error(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))
    fleet.worker.database.close()
    fleet.settings.state.joinpath("fleet.db").unlink()
    fleet.settings.state.joinpath("fleet.db").mkdir()
    answer = fleet.admin("POST", "/api/nodes/n1/drain", json={"force": True})
    assert is_error(answer, 503, "database_away")
    assert int(answer.headers["Retry-After"]) > 0
    assert fleet.visit().status_code == 302


def test_the_calls_of_tmpnb_redirector_still_work(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    old = nodes.add("old", protocol=0)
    for _ in range(2):
        assert fleet.admin("POST", "/hosts", json={"host": old.url}).status_code == 200
    fleet.tick()
    assert list(fleet.visit("/stats").get_json()["hosts"]) == [old.url]
    assert is_error(fleet.admin("POST", "/hosts", json={"host": "ftp://x"}), 400, "bad_request")
    assert is_error(fleet.admin("POST", "/hosts"), 400, "bad_request")
    assert fleet.admin("DELETE", "/hosts", json={"host": f"{old.url}/"}).status_code == 200
    assert is_error(fleet.admin("DELETE", "/hosts", json={"host": old.url}), 404, "unknown_node")
