"""The process of event streams without gunicorn: its server, client and socket, with a stub for the redirector."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from redirector.errors import FleetConfigError
from redirector.settings import table
from redirector.streams import launch, server
from redirector.streams.listening import listen
from tests.support.event_streams import EVENT_SOURCE, PAGE, opened

TICKET = "t" * 30
SPEC = "gh/org/course/HEAD"


def waiting(place: int) -> dict[str, Any]:
    return {"phase": "waiting", "message": f"place {place} of 90\n"}


class Redirector:
    """Answers as it is told, one answer after the other, and notes what it was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any, dict[str, str]]] = []

    @contextmanager
    def serving(self) -> Iterator[int]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        stub = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield stub.server_port
        finally:
            stub.shutdown()
            thread.join()
            stub.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(launch, "FIRST_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("redirector.streams.queue_news.ASK_SECONDS", 0.01)
    # The tests' own logging stays as it is.
    monkeypatch.setattr(server, "dictConfig", lambda _config: None)


def heard(redirector: Redirector, root: Path, path: str = f"/build/{SPEC}", **headers: str) -> list[dict[str, Any]]:
    """The events of one stream, of a process that is told to end once its client has read them."""
    listener = socket.create_server(("127.0.0.1", 0))
    events: list[dict[str, Any]] = []
    before = signal.signal(signal.SIGTERM, lambda *_: None)

    def visit() -> None:
        try:
            url = f"http://127.0.0.1:{port}{path}"
            with opened(url, {**EVENT_SOURCE, **headers}) as stream:
                events.extend(event.data for event in stream)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    port = listener.getsockname()[1]
    with redirector.serving() as entry:
        settings = table.load(
            {
                "TMPNB_STATE": str(root),
                "TMPNB_LISTEN": f"127.0.0.1:{entry}",
                "TMPNB_TRUSTED_PROXIES": "1",
                "TMPNB_ALLOW_ORIGIN": PAGE,
            }
        )
        visitor = Thread(target=visit)
        visitor.start()
        try:
            server.run(settings, listener.detach())
        finally:
            visitor.join()
            signal.signal(signal.SIGTERM, before)
    return events


def test_it_passes_on_what_the_proxy_said_of_the_client_and_tells_each_step(tmp_path: Path) -> None:
    ready = {"phase": "ready", "message": "m\n", "url": "http://n/user/k/"}
    redirector = Redirector(
        (200, {"events": [waiting(90)], "id": TICKET, "ask_seconds": 0.0, "far_back": True}),
        (200, {"places": {TICKET: waiting(80)}}),
        (200, {"places": {}}),
        (200, {"events": [{"phase": "launching", "message": "m\n"}, ready], "id": "a.b", "ask_seconds": None}),
    )
    events = heard(redirector, tmp_path, **{"X-Forwarded-For": "192.0.2.1"})
    assert [event["phase"] for event in events] == ["waiting", "waiting", "launching", "ready"]
    assert [path for path, _, _ in redirector.asked] == ["/api/launch", "/api/places", "/api/places", "/api/launch"]
    assert redirector.asked[0][1] == {"spec": SPEC, "id": ""}
    assert redirector.asked[0][2]["x-forwarded-for"] == "192.0.2.1"
    assert redirector.asked[1][1] == {"tickets": [TICKET]}
    assert redirector.asked[3][1] == {"spec": SPEC, "id": TICKET}


def test_whoever_comes_past_the_proxy_in_front_is_judged_by_their_own_address(tmp_path: Path) -> None:
    redirector = Redirector((200, {"events": [{"phase": "failed", "message": "m\n", "status_code": 404}]}))
    heard(redirector, tmp_path)
    assert redirector.asked[0][2]["x-forwarded-for"] == "127.0.0.1"


def test_headers_in_any_bytes_are_passed_on(tmp_path: Path) -> None:
    redirector = Redirector((200, {"events": [{"phase": "failed", "message": "m\n", "status_code": 404}]}))
    heard(redirector, tmp_path, **{"X-Forwarded-For": "ü"})
    assert redirector.asked[0][2]["x-forwarded-for"] == "ü"


def test_without_a_proxy_in_front_there_are_no_streams(tmp_path: Path) -> None:
    with pytest.raises(FleetConfigError, match="TMPNB_TRUSTED_PROXIES"):
        table.load({"TMPNB_STATE": str(tmp_path), "TMPNB_STREAMS_LISTEN": "127.0.0.1:8001"})


@pytest.mark.parametrize("nonsense", [(500, "oh"), (200, "no JSON"), (200, {"events": 1}), (503, {"status": "x"})])
def test_nonsense_of_the_redirector_is_asked_again(tmp_path: Path, nonsense: tuple[int, Any]) -> None:
    done = (200, {"events": [{"phase": "failed", "message": "m\n", "status_code": 404}]})
    assert [event["phase"] for event in heard(Redirector(nonsense, done), tmp_path)] == ["failed"]


def test_what_the_redirector_refuses_is_the_end(tmp_path: Path) -> None:
    refused = Redirector((400, {"status": "bad_request", "message": "no such spec"}))
    [event] = heard(refused, tmp_path)
    assert event == {"phase": "failed", "message": "no such spec\n", "status_code": 400}


def test_who_may_not_launch_is_told_so_before_anything_is_asked(tmp_path: Path) -> None:
    redirector = Redirector((200, {}))
    [event] = heard(redirector, tmp_path, Origin="https://other.example")
    assert event["status_code"] == 403
    assert redirector.asked == []


def test_a_unix_socket_is_for_everybody_on_the_host_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    for _ in range(2):
        listen(f"unix:{path}").close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
    with listen("127.0.0.1:0") as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("address", ["unix:/no/such/directory/s.sock", "192.0.2.1:80"])
def test_where_it_cannot_listen_the_setting_is_named(address: str) -> None:
    with pytest.raises(FleetConfigError, match="TMPNB_STREAMS_LISTEN"):
        listen(address)


def test_without_an_address_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FleetConfigError, match="TMPNB_STREAMS_LISTEN"):
        server.run(table.load({"TMPNB_STATE": str(tmp_path)}))


@pytest.mark.parametrize(
    ("listened", "reached"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
    ],
)
def test_the_redirector_is_asked_where_it_listens(listened: str, reached: str) -> None:
    assert server.entry_url(listened) == reached
