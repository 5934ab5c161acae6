"""Tests of a node's calls about contents: blobs, pools that hold one, homes that are filled after the claim."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from node_agent.web import create_app
from tests.support.blobs import digest_of, tar_of
from tests.support.node_fakes import FakeJupyter
from tests.support.node_pools import COPY_BYTES, Bench, make_bench, one_bench
from tests.support.node_web import AUTH, make_node
from tests.support.waiting import wait_until
from tmpnb_common.wire import parse_stats

TICKET = "a-ticket-0123456789-0123456789"
OTHER_TICKET = "another-ticket-0123456789-0123"

LESSON = {"lesson 1.ipynb": b'{"cells": []}', "data/möwen.csv": b"a,b\n1,2\n", ".hidden": b"no"}
BLOB = tar_of(LESSON)
DIGEST = digest_of(BLOB)
LARGE = tar_of({"data.bin": b"x" * (COPY_BYTES + 1), "a.txt": b"a"})


@pytest.fixture
def bench() -> Iterator[Bench]:
    with one_bench() as bench:
        bench.fill()
        yield bench


@pytest.fixture
def client(bench: Bench, tmp_path: Path) -> FlaskClient:
    return create_app(make_node(bench, tmp_path)).test_client()


def put(client: FlaskClient, blob: bytes, digest: str = "") -> TestResponse:
    return client.put(f"/api/blobs/{digest or digest_of(blob)}", data=blob, headers=AUTH)


def claim(client: FlaskClient, content: str, ticket: str = TICKET) -> str:
    """The name of a sandbox that is claimed for a visitor who comes for a content."""
    body = {"tickets": [{"ticket": ticket, "content": content}]}
    [outcome] = client.post("/api/spawn", json=body, headers=AUTH).get_json()["claims"]
    return str(outcome["name"])


def fill(client: FlaskClient, name: str, ticket: str = TICKET, seconds: float = 10) -> Any:
    body = {"ticket": ticket, "wait_seconds": seconds}
    answer = client.post(f"/api/sandboxes/{name}/content", json=body, headers=AUTH)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def said(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["status"]


# Blobs


def test_a_blob_comes_once_is_listed_and_goes(client: FlaskClient) -> None:
    assert put(client, BLOB).status_code == 201
    assert put(client, BLOB).status_code == 200
    listed = client.get("/api/blobs", headers=AUTH).get_json()
    [blob] = listed["blobs"]
    assert (listed["works"], blob["digest"], blob["files"], blob["uses"]) == (True, DIGEST, 2, 0)
    assert blob["copied_bytes"] == sum(len(body) for name, body in LESSON.items() if name != ".hidden")
    assert client.delete(f"/api/blobs/{DIGEST}", headers=AUTH).status_code == 204
    assert client.get("/api/blobs", headers=AUTH).get_json()["blobs"] == []


def test_stats_say_whether_the_node_takes_blobs(bench: Bench, client: FlaskClient) -> None:
    assert parse_stats(client.get("/stats").data).holds_content
    bench.blobs.problem = "the disk fails"
    assert not parse_stats(client.get("/stats").data).holds_content
    assert said(put(client, BLOB)) == (409, "off")
    body = {"tickets": [{"ticket": TICKET, "content": DIGEST}]}
    [outcome] = client.post("/api/spawn", json=body, headers=AUTH).get_json()["claims"]
    assert (outcome["status"], outcome["message"]) == ("bad_request", "this node takes no contents")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/blobs"),
        ("PUT", f"/api/blobs/{DIGEST}"),
        ("DELETE", f"/api/blobs/{DIGEST}"),
        ("POST", "/api/sandboxes/abcdefgh/content"),
    ],
)
def test_contents_are_for_holders_of_the_token(client: FlaskClient, method: str, path: str) -> None:
    assert client.open(path, method=method, json={}).status_code == 403


def test_what_is_no_blob_is_refused_and_leaves_nothing(bench: Bench, client: FlaskClient) -> None:
    assert said(put(client, BLOB, "0" * 64)) == (400, "bad_blob")
    assert said(put(client, b"garbage" * 300)) == (400, "bad_blob")
    assert said(put(client, BLOB, "nothing")) == (400, "bad_request")
    assert said(put(client, b"x" * (1 << 20))) == (413, "too_large")
    assert said(client.delete(f"/api/blobs/{DIGEST}", headers=AUTH)) == (404, "unknown_blob")
    assert [path.name for path in bench.blobs.root.iterdir()] == [".work"]


def test_a_fifth_blob_at_a_time_is_put_off(client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    real = bench.blobs.put

    def slow(*given: Any) -> Any:
        begun.release()
        assert go.wait(30)
        return real(*given)

    monkeypatch.setattr(bench.blobs, "put", slow)
    senders = [threading.Thread(target=put, args=[client.application.test_client(), BLOB]) for _ in range(4)]
    for sender in senders:
        sender.start()
    for _ in senders:
        assert begun.acquire(timeout=30)
    assert said(put(client, BLOB)) == (503, "busy")
    go.set()
    for sender in senders:
        sender.join(30)
    assert put(client, BLOB).status_code == 200


# Pools


def test_a_pool_s_ready_sandboxes_are_replaced_by_ones_with_the_content(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    before = set(bench.engine.running)
    answer = client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    assert (answer.status_code, answer.get_json()["content"]) == (200, DIGEST)
    assert bench.stats().stale == 3
    bench.settle(lambda: bench.stats().stale == 0 and bench.stats().available == 3, "sandboxes with the content")
    assert not before & set(bench.engine.running)
    launches = [running.launch for running in bench.engine.running.values()]
    assert {launch.content for launch in launches} == {DIGEST}
    assert {launch.filling for launch in launches} == {bench.blobs.home(DIGEST)}
    assert bench.stats().content == DIGEST
    assert said(client.delete(f"/api/blobs/{DIGEST}", headers=AUTH)) == (409, "in_use")


def test_a_pool_is_never_empty_while_its_content_changes(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    least = 3

    def rolled() -> bool:
        nonlocal least
        least = min(least, bench.stats().available)
        return bench.stats().stale == 0

    bench.settle(rolled, "the roll")
    assert least >= 1


def test_sessions_keep_what_they_were_given(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    name = claim(client, "")
    client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    bench.settle(lambda: bench.stats().stale == 0, "the roll")
    assert bench.table.get(name).state == "claimed"


def test_a_pool_takes_no_content_that_is_not_there_or_fills_its_homes(
    bench: Bench, tmp_path: Path, client: FlaskClient
) -> None:
    assert said(client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)) == (409, "missing_blob")
    assert said(client.put("/api/pools/nope", json={"content": DIGEST}, headers=AUTH)) == (404, "unknown_pool")
    assert said(client.put("/api/pools/default", json={"content": "x"}, headers=AUTH)) == (400, "bad_request")
    node = make_node(bench, tmp_path, homes={"default": 30})
    small = create_app(node).test_client()
    put(small, BLOB)
    assert said(small.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)) == (409, "larger_than_home")
    assert bench.stats().content == ""


def test_a_pool_s_content_outlives_the_agent_and_so_do_the_sandboxes_with_it(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    bench.settle(lambda: bench.stats().stale == 0 and bench.stats().available == 3, "the roll")
    before = set(bench.engine.running)
    bench.close()
    bench = make_bench(bench.run_dir, bench.engine, bench.clock)
    try:
        bench.turn()
        assert (bench.stats().content, bench.stats().stale, bench.stats().available) == (DIGEST, 0, 3)
        assert set(bench.engine.running) == before
        assert bench.blobs.uses(DIGEST) == 4
    finally:
        bench.close()


def test_an_empty_content_takes_the_pool_back(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    client.put("/api/pools/default", json={"content": ""}, headers=AUTH)
    bench.settle(lambda: bench.stats().stale == 0 and bench.stats().available == 3, "empty homes again")
    assert client.delete(f"/api/blobs/{DIGEST}", headers=AUTH).status_code == 204


# Homes of visitors


def home(bench: Bench, name: str) -> FakeJupyter:
    return bench.engine.jupyter(name)


@pytest.mark.parametrize("copies", [True, False], ids=["launcher", "api"])
def test_a_home_is_filled_once_after_the_claim(bench: Bench, client: FlaskClient, *, copies: bool) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    jupyter = home(bench, name)
    jupyter.copies = copies
    assert jupyter.home == {}
    assert fill(client, name) == {"state": "done", "message": ""}
    assert jupyter.home == {path: body for path, body in LESSON.items() if path != ".hidden"}
    jupyter.home["lesson 1.ipynb"] = b"what the visitor made of it"
    del jupyter.home["data/möwen.csv"]
    asked = len(jupyter.requests)
    assert fill(client, name)["state"] == "done"
    assert len(jupyter.requests) == asked, "what is done is not done again"


def test_whatever_is_written_through_the_api_is_a_plain_file_and_overwrites_nothing(
    bench: Bench, client: FlaskClient
) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    jupyter = home(bench, name)
    jupyter.copies = False
    jupyter.home["lesson 1.ipynb"] = b"what the visitor made of it"
    assert fill(client, name)["state"] == "done"
    assert jupyter.home["lesson 1.ipynb"] == b"what the visitor made of it"
    assert [(model["path"], model["type"]) for model in jupyter.models] == [
        ("data", "directory"),
        ("data/möwen.csv", "file"),
    ]


def test_large_files_are_links_where_the_server_can_make_them(bench: Bench, client: FlaskClient) -> None:
    put(client, LARGE)
    name = claim(client, digest_of(LARGE))
    assert fill(client, name)["state"] == "done"
    place = bench.blobs.root / digest_of(LARGE) / "large" / "data.bin"
    assert home(bench, name).home == {"data.bin": f"-> {place}".encode(), "a.txt": b"a"}
    other = claim(client, digest_of(LARGE), OTHER_TICKET)
    home(bench, other).copies = False
    state = fill(client, other, OTHER_TICKET)
    assert state["state"] == "failed"
    assert "TMPNB_NODE_CONTENT_COPY" in state["message"]
    assert home(bench, other).home == {}


def test_a_blob_that_comes_later_is_filled_in_without_another_call(bench: Bench, client: FlaskClient) -> None:
    name = claim(client, DIGEST)
    assert fill(client, name) == {"state": "missing", "message": ""}
    put(client, BLOB)
    wait_until(lambda: bench.table.get(name).filled, 20, "the home to be filled")
    assert len(home(bench, name).home) == 2
    assert fill(client, name)["state"] == "done"


def test_an_agent_finishes_what_the_one_before_it_was_asked_for(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    bench.close()
    bench = make_bench(bench.run_dir, bench.engine, bench.clock)
    try:
        bench.turn()
        wait_until(lambda: bench.table.get(name).filled, 20, "the home to be filled")
        assert len(home(bench, name).home) == 2
        # And the next one does not do it again.
        home(bench, name).home.clear()
        bench.close()
        bench = make_bench(bench.run_dir, bench.engine, bench.clock)
        bench.turn()
        assert bench.table.get(name).filled
    finally:
        bench.close()
    assert home(bench, name).home == {}


def test_whoever_does_not_wait_hears_that_it_runs(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    home(bench, name).slow = go = threading.Event()
    assert fill(client, name, seconds=0)["state"] == "running"
    go.set()
    assert fill(client, name)["state"] == "done"


def test_a_sandbox_that_lies_or_dies_spoils_only_itself(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    for status in (b"507 No", b"302 Found\r\nLocation: http://10.0.0.1/", b"99999 x", b"\x00"):
        home(bench, name).raw = b"HTTP/1.1 " + status + b"\r\nContent-Length: 99999999\r\n\r\n" + b"[" * 200_000
        state = fill(client, name)
        assert state["state"] == "failed"
        assert "/user/" not in state["message"]
    home(bench, name).raw = b""
    assert fill(client, name)["state"] == "done"
    other = claim(client, DIGEST, OTHER_TICKET)
    bench.engine.die(other)
    assert fill(client, other, OTHER_TICKET)["state"] == "failed"


def test_a_ticket_fills_its_own_sandbox_only(client: FlaskClient) -> None:
    put(client, BLOB)
    mine, theirs = claim(client, DIGEST), claim(client, DIGEST, OTHER_TICKET)
    assert mine != theirs
    body = {"ticket": TICKET}
    for name in (theirs, "nobodys1"):
        answer = client.post(f"/api/sandboxes/{name}/content", json=body, headers=AUTH)
        assert said(answer) == (404, "unknown_sandbox")


def test_a_claim_that_is_given_up_does_not_leave_its_files_to_the_next_visitor(
    bench: Bench, client: FlaskClient
) -> None:
    put(client, BLOB)
    body = {"tickets": [{"ticket": TICKET, "attempt": OTHER_TICKET, "content": DIGEST}]}
    [outcome] = client.post("/api/spawn", json=body, headers=AUTH).get_json()["claims"]
    fill(client, outcome["name"])
    assert client.post("/api/abandon", json={"attempts": [OTHER_TICKET]}, headers=AUTH).get_json() == {"released": 1}
    assert bench.table.find(outcome["name"], "ready", "claimed") is None


def test_a_visitor_of_the_pool_s_own_content_needs_no_filling(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    client.put("/api/pools/default", json={"content": DIGEST}, headers=AUTH)
    bench.settle(lambda: bench.stats().stale == 0 and bench.stats().available == 3, "the roll")
    name = claim(client, DIGEST)
    assert fill(client, name)["state"] == "done"
    assert not [path for path in home(bench, name).requests if "fill" in path]


def test_a_blob_is_kept_while_a_living_sandbox_was_given_it(bench: Bench, client: FlaskClient) -> None:
    put(client, BLOB)
    name = claim(client, DIGEST)
    fill(client, name)
    assert said(client.delete(f"/api/blobs/{DIGEST}", headers=AUTH)) == (409, "in_use")
    client.delete(f"/api/sandboxes/{name}", headers=AUTH)
    bench.settle(lambda: bench.table.find(name) is None, "the end of the sandbox")
    assert client.delete(f"/api/blobs/{DIGEST}", headers=AUTH).status_code == 204
