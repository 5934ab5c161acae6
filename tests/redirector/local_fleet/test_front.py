"""nginx before the redirector of a local fleet, in front of stand-ins and of a real redirector."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from redirector.local_fleet import front
from redirector.local_fleet.child import Child
from redirector.local_fleet.plan import ChildPlan, inherited
from tests.support.base_ports import free_ports
from tests.support.live_entry import live_entry
from tests.support.redirector_front import SHIPPED
from tests.support.waiting import wait_until

LOCAL = front.render(Path("/run/tmpnb-1"), listen="127.0.0.1:8000", redirector="127.0.0.1:8001")


@dataclass(frozen=True)
class LocalFront:
    """nginx as `tmpnb up` runs it."""

    url: str
    run_root: Path

    def get(self, path: str, client: str = "127.0.0.1", **headers: str) -> requests.Response:
        """Ask from an address of this host, over a connection of its own. Header names take `_` for `-`."""
        with requests.Session() as session:
            session.mount("http://", _From(client))
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return session.get(f"{self.url}{path}", headers=named, allow_redirects=False, timeout=20)


class _From(HTTPAdapter):
    """Connects from one of this host's addresses."""

    def __init__(self, client: str) -> None:
        self._client = client
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, source_address=(self._client, 0), **more)


@contextmanager
def local_front(redirector: int) -> Iterator[LocalFront]:
    """Put it before a port; it answers once this returns."""
    # Its workers are another user if root starts them, and pytest's directories are closed to others.
    run_root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    run_root.chmod(0o711)
    (port,) = free_ports(1)
    text = front.render(run_root, listen=f"127.0.0.1:{port}", redirector=f"127.0.0.1:{redirector}")
    front.write(run_root, text)
    child = Child(ChildPlan("front", front.command(run_root), inherited(os.environ), run_root / "log"))
    child.start()
    try:
        wait_until(lambda: _listens(port) or child.poll_death(), 10, "nginx")
        assert child.is_running, child.last_words()
        yield LocalFront(f"http://127.0.0.1:{port}", run_root)
    finally:
        child.kill()
        shutil.rmtree(run_root)


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, **self.headers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[LocalFront]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with local_front(server.server_port) as local:
            yield local
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def alone() -> Iterator[LocalFront]:
    """With nothing behind it."""
    with local_front(free_ports(1)[0]) as local:
        yield local


def test_the_redirector_is_told_who_asks_and_nothing_that_the_client_made_up(echo: LocalFront) -> None:
    made_up = {
        "X_Forwarded_For": "203.0.113.9",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Port": "1",
        "X_Forwarded_Prefix": "/evil",
        "Forwarded": "for=203.0.113.9",
    }
    seen = echo.get("/lab/tree/build/a%2Fb.ipynb?x=%2F", "127.0.0.7", Host="localhost:1234", **made_up).json()
    assert seen["path"] == "/lab/tree/build/a%2Fb.ipynb?x=%2F"
    assert {name: seen.get(name) for name in ("Host", *(name.replace("_", "-") for name in made_up))} == {
        "Host": "localhost:1234",
        "X-Forwarded-For": "127.0.0.7",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "localhost:1234",
        "X-Forwarded-Port": None,
        "X-Forwarded-Prefix": None,
        "Forwarded": None,
    }


def test_the_redirector_gets_its_own_cookies_and_those_of_no_other_program_here(echo: LocalFront) -> None:
    theirs = "_xsrf=2|abc; username-localhost-8888=secret"
    assert (
        echo.get("/", Cookie=f"{theirs}; tmpnb=a; x=y; tmpnb-operator=b").json()["Cookie"]
        == "tmpnb=a; tmpnb-operator=b"
    )
    assert "Cookie" not in echo.get("/", Cookie=theirs).json()


def test_too_many_cookies_of_other_programs_keep_nobody_out(echo: LocalFront) -> None:
    many = "; ".join(f"c{number}=" + "x" * 3900 for number in range(12))
    assert echo.get("/lab", Cookie=many).json()["path"] == "/lab"


def test_limits_count_the_address_that_a_client_comes_from_and_not_the_one_that_it_names() -> None:
    limits = {"TMPNB_CLIENT_FREE": "127.0.0.1/32", "TMPNB_CLIENT_BURST": "1", "TMPNB_CLIENT_PER_MINUTE": "1"}
    with live_entry(TMPNB_TRUSTED_PROXIES="1", **limits) as entry:
        entry.add("n1", capacity=10_000, ready=10_000)
        with local_front(int(entry.url.rpartition(":")[2])) as local:
            # This host's own address is not counted: wait with it until both workers know of the node.
            wait_until(lambda: {local.get("/").status_code for _ in range(20)} == {302}, 20, "the node to be in use")

            def taken(client: str, **headers: str) -> bool:
                return local.get("/", client, Accept="application/json", **headers).status_code == 302

            assert taken("127.0.0.2")
            assert not taken("127.0.0.2")
            assert not taken("127.0.0.2", X_Forwarded_For="127.0.0.1")
            assert not taken("127.0.0.2", X_Forwarded_For="127.0.0.1, 127.0.0.1")
            assert taken("127.0.0.3", X_Forwarded_For="127.0.0.2")


@pytest.mark.parametrize("path", ["/build/gh/org/course/main", "/build/gh/org/course/feature%2Fone?build_only=1"])
def test_while_nothing_serves_streams_a_launch_within_a_page_hears_so_in_an_event(alone: LocalFront, path: str) -> None:
    answer = alone.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    data, end = answer.text.removeprefix("retry: 60000\ndata: ").split("\n", 1)
    assert end == "\n"
    assert json.loads(data) == {
        "phase": "failed",
        "message": "Launches within a page are not possible at this moment; try again in a minute.\n",
        "status_code": 503,
    }


def test_an_event_comes_through_at_once_from_the_socket_that_serves_streams(alone: LocalFront) -> None:
    """The second event is only sent after the first has arrived."""
    arrived, asked = threading.Event(), []

    class Events(Echo):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: one\n\n")
            if arrived.wait(30):
                self.wfile.write(b"data: two\n\n")

        def address_string(self) -> str:
            return ""

    path = front.streams_socket(alone.run_root)
    with socketserver.ThreadingUnixStreamServer(str(path), Events) as server:
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        headers = {"Cookie": "tmpnb=a", "X-Forwarded-For": "203.0.113.9"}
        with requests.get(f"{alone.url}/build/gh/a/b%2Fc", headers=headers, stream=True, timeout=20) as answer:
            lines = answer.iter_lines()
            assert next(lines) == b"data: one"
            arrived.set()
            assert [line for line in lines if line] == [b"data: two"]
        server.shutdown()
        thread.join()
    path.unlink()
    [(asked_path, seen)] = asked
    assert asked_path == "/build/gh/a/b%2Fc"
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["Host"] == alone.url.removeprefix("http://")
    assert "Cookie" not in seen


@pytest.mark.parametrize("path", ["/", "/lab", "/c/demo"])
def test_while_the_redirector_is_away_people_get_a_page_that_tries_again(alone: LocalFront, path: str) -> None:
    answer = alone.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Content-Type"].startswith("text/html")
    assert 'http-equiv="refresh"' in answer.text


@pytest.mark.parametrize("path", ["/stats", "/healthz", "/api/nodes", "/api/nodes/n1/selftest", "/metrics"])
def test_while_the_redirector_is_away_programs_get_what_they_can_read(alone: LocalFront, path: str) -> None:
    answer = alone.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json()["status"] == "unavailable"


def test_nothing_that_anybody_asks_for_is_in_a_log(alone: LocalFront) -> None:
    for path in ("/a-secret", "/build/a-secret", "/api/a-secret"):
        alone.get(path)
    assert "a-secret" not in (alone.run_root / "log").read_text()


def told(text: str) -> set[str]:
    return set(re.findall(r"proxy_set_header [^;]+;", text))


def test_the_redirector_is_told_the_same_as_by_the_nginx_that_is_shipped() -> None:
    assert told(LOCAL) == told(SHIPPED.read_text()) | {'proxy_set_header Cookie "";'}
    [toward_streams] = re.findall(r"location \^~ /build/ \{(.*?)\}", LOCAL, re.DOTALL)
    assert told(toward_streams) == told(LOCAL) - {"proxy_set_header Cookie $tmpnb_cookies;"}
