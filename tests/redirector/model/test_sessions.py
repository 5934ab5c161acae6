"""Visitors' sessions through the redirector: listed, ended, spoken to."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model.sessions import parse_sessions
from tests.redirector.web.admin.test_admin import is_error
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker

SPANS = {"age_seconds": 60.5, "idle_seconds": 5, "ends_in_seconds": 600, "ends_reason": "idle", "memory_bytes": 2**20}


@pytest.fixture
def two(fleet: SteppedWorker, nodes: FakeNodes) -> tuple[FakeNode, FakeNode]:
    first = nodes.add("n1", claims={"a": "aaaaaaaa", "b": "bbbbbbbb"}, claimed=2, session=SPANS)
    second = nodes.add("n2", claims={"b": "bbbbbbbb", "c": "cccccccc"}, claimed=2)
    fleet.add(first, second)
    return first, second


def listed(fleet: SteppedWorker, query: str = "") -> Any:
    return fleet.admin("GET", f"/api/sessions{query}").get_json()


def events(fleet: SteppedWorker, kind: str) -> list[tuple[str, str, str]]:
    rows = fleet.admin("GET", "/api/events").get_json()["events"]
    return [(row["node"], row["by"], row["reason"]) for row in rows if row["kind"] == kind]


def test_every_nodes_sessions_are_listed(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    assert len(two) == 2
    shown = listed(fleet)
    assert [(one["node"], one["name"]) for one in shown["sessions"]] == [
        ("n1", "aaaaaaaa"),
        ("n1", "bbbbbbbb"),
        ("n2", "bbbbbbbb"),
        ("n2", "cccccccc"),
    ]
    assert {name: shown["sessions"][0][name] for name in SPANS} == SPANS
    assert shown["sessions"][2]["age_seconds"] is None, "an older node does not say"
    assert {one["node"] for one in listed(fleet, "?node=n2")["sessions"]} == {"n2"}
    assert is_error(fleet.admin("GET", "/api/sessions?node=n9"), 404, "unknown_node")


def test_a_node_that_does_not_answer_hides_no_other_nodes_sessions(
    fleet: SteppedWorker, nodes: FakeNodes, two: tuple[FakeNode, FakeNode]
) -> None:
    nodes.die(two[0])
    shown = listed(fleet)
    assert {one["node"] for one in shown["sessions"]} == {"n2"}
    assert [one["node"] for one in shown["unanswered"]] == ["n1"]
    missing = fleet.admin("DELETE", "/api/sessions/aaaaaaaa")
    assert is_error(missing, 404, "unknown_session")
    assert missing.get_json()["unanswered"] == ["n1"]


def test_a_session_is_ended_with_a_reason_in_the_history(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    ended = fleet.admin("DELETE", "/api/sessions/aaaaaaaa", json={"reason": "it mines", "by": "ann"})
    assert ended.get_json() == {"ended": "aaaaaaaa", "node": "n1", "changed": True}
    assert "aaaaaaaa" not in two[0].claims.values()
    assert events(fleet, "session_ended") == [("n1", "ann", "aaaaaaaa: it mines")]
    assert is_error(fleet.admin("DELETE", "/api/sessions/aaaaaaaa"), 404, "unknown_session")


def test_a_name_on_two_nodes_ends_neither_until_the_node_is_named(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]
) -> None:
    refused = fleet.admin("DELETE", "/api/sessions/bbbbbbbb")
    assert is_error(refused, 409, "ambiguous_session")
    assert refused.get_json()["nodes"] == ["n1", "n2"]
    assert fleet.admin("DELETE", "/api/sessions/bbbbbbbb", json={"node": "n2"}).get_json()["changed"] is True
    assert "bbbbbbbb" in two[0].claims.values()
    assert "bbbbbbbb" not in two[1].claims.values()


def test_a_session_that_ends_while_it_is_looked_at_was_over_already(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]
) -> None:
    two[0].nameless = ["goneaway"]
    ended = fleet.admin("DELETE", "/api/sessions/goneaway")
    assert (ended.status_code, ended.get_json()["changed"]) == (200, False)
    assert not events(fleet, "session_ended")


def test_what_is_said_reaches_all_nodes_and_the_history(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    body = {"text": "we stop at 18:00", "seconds": 3600, "by": "ann"}
    assert fleet.admin("POST", "/api/say", json=body).get_json() == {"nodes": ["n1", "n2"], "failed": []}
    assert [node.said for node in two] == ["we stop at 18:00"] * 2
    assert events(fleet, "say") == [("", "ann", "we stop at 18:00")]
    fleet.admin("POST", "/api/say", json={"text": "", "nodes": ["n2"]})
    assert [node.said for node in two] == ["we stop at 18:00", ""]
    assert [node for node, _, _ in events(fleet, "say_no_more")] == ["n2"]


def test_a_node_that_cannot_show_it_is_named(fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]) -> None:
    two[0].accepts_say = False
    told = fleet.admin("POST", "/api/say", json={"text": "we stop", "seconds": 60}).get_json()
    assert told["nodes"] == ["n2"]
    assert [(one["node"], "older" in one["reason"]) for one in told["failed"]] == [("n1", True)]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x" * 301, "seconds": 60},
        {"text": "two\nlines", "seconds": 60},
        {"text": "for how long?"},
        {"text": "we stop", "seconds": -1},
        {"text": "we stop", "seconds": 60, "nodes": "n1"},
    ],
)
def test_what_makes_no_notice_is_said_nowhere(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode], body: dict[str, object]
) -> None:
    assert is_error(fleet.admin("POST", "/api/say", json=body), 400, "bad_request")
    assert not any(node.said for node in two)


def test_an_unknown_node_among_the_named_leaves_the_others_alone(
    fleet: SteppedWorker, two: tuple[FakeNode, FakeNode]
) -> None:
    answer = fleet.admin("POST", "/api/say", json={"text": "we stop", "seconds": 60, "nodes": ["n1", "n9"]})
    assert is_error(answer, 404, "unknown_node")
    assert not two[0].said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {"name": st.just("abcdefgh") | st.text(max_size=70), "state": st.just("claimed") | JSON},
    optional=dict.fromkeys((*SPANS, "pool", "busy", "key", "url"), JSON),
)


@given(st.lists(ENTRY | JSON, max_size=4) | JSON)
def test_whatever_a_node_lists_becomes_sessions_that_can_be_shown(raw: object) -> None:
    for session in parse_sessions("n1", raw):
        assert len(session.name) < 34, "longer names could be keys"
        json.dumps(asdict(session), allow_nan=False)
