"""What operators see of sessions, and what they say to their pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from node_agent.membership.announcement import TEXT_LIMIT, AnnouncementStore
from node_agent.pools.culling import closed_end
from node_agent.sandboxes import Sandbox
from node_agent.web import create_app
from tests.support.node_pools import LIMITS, Bench, one_bench
from tests.support.node_web import AUTH, make_node
from tmpnb_common.wire import DEFAULT_POOL


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench() as bench:
        bench.fill()
        yield bench


@pytest.fixture
def client(bench: Bench, tmp_path: Path) -> FlaskClient:
    return create_app(make_node(bench, tmp_path)).test_client()


def claim(bench: Bench) -> Sandbox:
    claimed = bench.claims.claim(DEFAULT_POOL)
    assert isinstance(claimed, Sandbox)
    return claimed


def say(client: FlaskClient, **body: object) -> Any:
    return client.put("/api/say", json=body, headers=AUTH)


def heard(client: FlaskClient, sandbox: Sandbox) -> object:
    return client.get(f"/-/left/{sandbox.key}").get_json().get("say", "")


def test_a_session_is_listed_with_its_age_rest_memory_and_end(client: FlaskClient, bench: Bench) -> None:
    session = claim(bench)
    bench.table.record_memory(session.name, 2**20)
    bench.table.record_visit(session.name)
    bench.clock.now = (session.claimed_at or 0) + 30
    listed = client.get("/api/sandboxes", headers=AUTH).get_json()["sandboxes"]
    (shown,) = [each for each in listed if each["state"] == "claimed"]
    assert (shown["age_seconds"], shown["idle_seconds"], shown["busy"], shown["memory_bytes"]) == (30, 30, False, 2**20)
    assert shown["ends_in_seconds"] == min(LIMITS.idle, LIMITS.max_age) - 30
    assert shown["ends_reason"] in ("idle", "max_age")
    assert session.key not in client.get("/api/sandboxes", headers=AUTH).text


def test_a_session_that_nobody_has_opened_is_listed_with_the_end_that_it_has_until_then(
    client: FlaskClient, bench: Bench
) -> None:
    session = claim(bench)
    bench.clock.now = session.claimed_at or 0
    listed = client.get("/api/sandboxes", headers=AUTH).get_json()["sandboxes"]
    (shown,) = [each for each in listed if each["state"] == "claimed"]
    assert (shown["ends_in_seconds"], shown["ends_reason"]) == (LIMITS.unvisited, "unvisited")
    page = client.get(f"/-/left/{session.key}").get_json()
    assert page["reason"] in ("idle", "max_age"), "whoever asks there has come"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_that_asks_for_the_time_left_is_there(client: FlaskClient, bench: Bench, method: str) -> None:
    session = bench.claims.claim(DEFAULT_POOL, "a-ticket", embedded=True)
    assert isinstance(session, Sandbox)
    limits = replace(LIMITS, closed=100)
    began = session.claimed_at or 0
    assert closed_end(session, limits) == began + 100
    bench.clock.now = began + 90
    assert client.open(f"/-/left/{session.key}", method=method).status_code == 200
    assert closed_end(bench.table.get(session.name), limits) == began + 190


def test_a_session_that_ends_is_listed_as_ending_and_ends_once(client: FlaskClient, bench: Bench) -> None:
    session = claim(bench)
    path = f"/api/sandboxes/{session.name}"
    assert client.delete(path, headers=AUTH).get_json()["changed"] is True
    listed = client.get("/api/sandboxes", headers=AUTH).get_json()["sandboxes"]
    assert [each["ends_reason"] for each in listed if each["name"] == session.name] == ["ending"]
    assert client.delete(path, headers=AUTH).get_json()["changed"] is False


def test_what_is_said_reaches_every_page_until_its_time_is_over(client: FlaskClient, bench: Bench) -> None:
    before = claim(bench)
    assert heard(client, before) == ""
    assert say(client, text="we stop at 18:00", seconds=60).status_code == 200
    assert heard(client, before) == heard(client, claim(bench)) == "we stop at 18:00"
    bench.clock.now += 60
    assert heard(client, before) == ""


def test_what_is_said_is_taken_back_by_an_empty_text(client: FlaskClient, bench: Bench) -> None:
    session = claim(bench)
    say(client, text="we stop", seconds=60)
    assert say(client, text="").status_code == 200
    assert heard(client, session) == ""


def test_what_is_said_outlives_the_agent(tmp_path: Path) -> None:
    file, now = tmp_path / "announcement.json", 1000.0
    AnnouncementStore(file, lambda: now).put("we stop", 60)
    again = AnnouncementStore(file, lambda: now)
    assert again.current.text == "we stop"
    now = 1060.0
    assert again.current.text == ""


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"text": 7, "until": "x"}', '{"text": "x"', "\0"])
def test_a_damaged_announcement_stops_no_node(tmp_path: Path, content: str) -> None:
    file = tmp_path / "announcement.json"
    file.write_text(content)
    assert AnnouncementStore(file, lambda: 0.0).current.text == ""


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x" * (TEXT_LIMIT + 1), "seconds": 60},
        {"text": "two\nlines", "seconds": 60},
        {"text": "\u202eright to left", "seconds": 60},
        {"text": "for how long?"},
        {"text": "no time", "seconds": 0},
        {"text": "too long", "seconds": 10**9},
        {"text": "odd", "seconds": "60"},
        {"text": 7, "seconds": 60},
    ],
)
def test_what_makes_no_notice_is_refused_and_nothing_is_said(
    client: FlaskClient, bench: Bench, body: dict[str, object]
) -> None:
    assert say(client, **body).status_code == 400
    assert heard(client, claim(bench)) == ""


def test_a_key_in_what_is_said_is_cut_to_the_name(client: FlaskClient, bench: Bench) -> None:
    session = claim(bench)
    say(client, text=f"see /user/{session.key}/lab", seconds=60)
    assert session.key not in str(heard(client, session))
