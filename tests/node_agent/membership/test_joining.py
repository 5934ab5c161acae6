"""A node that joins a fleet by itself, against a redirector that says what the test wants."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from node_agent import cli
from node_agent.errors import NodeConfigError
from node_agent.membership import joining
from node_agent.membership.joining import Departure, Membership
from tests.support.waiting import wait_until


class FakeEntry:
    """Answers `/api/join` and `/api/leave` with what it was given, the last for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = [(201, {"name": "n1"})]
        self.location = ""
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        entry = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                entry.asked.append((self.path, self.headers["Authorization"], body))
                status, answer = entry.answers.pop(0) if len(entry.answers) > 1 else entry.answers[0]
                raw = json.dumps(answer).encode()
                self.send_response(status)
                if entry.location:
                    self.send_header("Location", entry.location)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEntry]:
    monkeypatch.setattr(joining, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(joining, "LEAVE_PAUSE", 0.01)
    entry = FakeEntry()
    yield entry
    entry.close()


def member(entry_url: str) -> Membership:
    return Membership(entry_url, "http://node.example.org", "http://10.0.0.7:8101", "the-join-token", "the-node-token")


def test_it_joins_with_its_addresses_and_its_own_token(entry: FakeEntry) -> None:
    member(entry.url).join(threading.Event())
    body = {"url": "http://node.example.org", "control_url": "http://10.0.0.7:8101", "token": "the-node-token"}
    assert entry.asked == [("/api/join", "Bearer the-join-token", body)]


def test_it_goes_on_trying_and_says_each_reason_once(entry: FakeEntry, caplog: pytest.LogCaptureFixture) -> None:
    refused = (502, {"status": "unreachable", "message": "it cannot be reached"})
    entry.answers = [refused, refused, (503, {"status": "database_away"}), (200, {"name": "n1"})]
    member(entry.url).join(threading.Event())
    assert len(entry.asked) == 4
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["not joined yet"] * 2


def test_it_stops_trying_when_told_to(entry: FakeEntry) -> None:
    entry.answers = [(403, {"status": "forbidden"})]
    stop = threading.Event()
    trying = threading.Thread(target=member(entry.url).join, args=[stop])
    trying.start()
    wait_until(lambda: entry.asked, 5)
    stop.set()
    trying.join(5)
    assert not trying.is_alive()


def test_its_tokens_follow_no_redirect(entry: FakeEntry) -> None:
    elsewhere = FakeEntry()
    try:
        entry.answers = [(307, {}), (200, {"name": "n1"})]
        entry.location = f"{elsewhere.url}/api/join"
        member(entry.url).join(threading.Event())
        assert elsewhere.asked == []
        assert len(entry.asked) == 2
    finally:
        elsewhere.close()


def test_no_token_is_shown_where_it_is_logged() -> None:
    shown = repr(member("http://entry.example.org"))
    assert "the-join-token" not in shown
    assert "the-node-token" not in shown


def test_it_leaves_when_the_fleet_says_that_no_session_is_left(entry: FakeEntry) -> None:
    entry.answers = [(200, {"left": False, "claimed": 2}), (503, {}), (200, {"left": True})]
    member(entry.url).leave(threading.Event())
    assert [path for path, _, _ in entry.asked] == ["/api/leave"] * 3


def test_a_node_that_is_not_on_the_list_has_left(entry: FakeEntry) -> None:
    entry.answers = [(404, {"status": "unknown_node"})]
    member(entry.url).leave(threading.Event())
    assert len(entry.asked) == 1


def test_it_does_not_wait_for_ever_for_a_fleet_that_is_gone(entry: FakeEntry) -> None:
    gone = member("http://127.0.0.1:1")
    gone.leave(threading.Event())
    assert entry.asked == []


def test_term_means_to_leave_first_and_then_what_it_meant_before(entry: FakeEntry) -> None:
    entry.answers = [(200, {"left": False, "claimed": 1})]
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    try:
        Departure(member(entry.url)).heed_term()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: entry.asked, 5)
        assert not ended.is_set(), "a session is left"
        entry.answers = [(200, {"left": True})]
        assert ended.wait(5)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_term_ends_it_at_once(entry: FakeEntry) -> None:
    entry.answers = [(200, {"left": False, "claimed": 1})]
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    try:
        Departure(member(entry.url)).heed_term()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: entry.asked, 5)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended.is_set()
    finally:
        entry.answers = [(200, {"left": True})]
        wait_until(lambda: not [each for each in threading.enumerate() if each.name == "leaving"], 5)
        signal.signal(signal.SIGTERM, before)


def test_the_command_line_names_the_fleet_and_asks_for_its_token() -> None:
    environment = {"TMPNB_NODE_RUNTIME": "process", "TMPNB_NODE_JOIN_TOKEN": None, "TMPNB_NODE_JOIN_TOKEN_FILE": None}
    result = CliRunner().invoke(cli.agent, ["serve", "--join", "https://try.example.org"], env=environment)
    assert isinstance(result.exception, NodeConfigError)
    assert "needs the fleet's join token" in str(result.exception)


def test_the_command_line_takes_an_address_only() -> None:
    result = CliRunner().invoke(
        cli.agent, ["serve", "--join", "try.example.org"], env={"TMPNB_NODE_RUNTIME": "process"}
    )
    assert isinstance(result.exception, NodeConfigError)
    assert "TMPNB_NODE_JOIN is 'try.example.org'" in str(result.exception)
