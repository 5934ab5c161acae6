"""Tests of HTTP toward sandboxes: whatever they do, the agent gets an answer or an error, in time."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_agent import unix_http
from node_agent.jupyter import client as jupyter_client
from node_agent.jupyter.client import Activity
from tests.support.node_fakes import Request, UnixServer

BASE = "/user/abc/"


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        yield Path(root) / "s"


@contextmanager
def server(path: Path, respond: Callable[[Request], None]) -> Iterator[None]:
    running = UnixServer(path, respond)
    try:
        yield
    finally:
        running.stop()


@contextmanager
def raw_server(path: Path, talk: Callable[[socket.socket], None]) -> Iterator[None]:
    """One connection, on which `talk` says what it likes."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.recv(65536)
                talk(connection)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


def failure(path: Path, within: float = 5.0) -> str:
    with pytest.raises(unix_http.NoAnswerError) as caught:
        unix_http.request(path, "GET", "/", within=within)
    return str(caught.value)


def test_an_answer_has_its_status_and_its_body(path: Path) -> None:
    with server(path, lambda request: request.answer(418, b"tea")):
        assert unix_http.request(path, "GET", "/", within=5) == unix_http.UnixResponse(418, b"tea")


def test_a_body_is_sent_with_its_headers(path: Path) -> None:
    def echo(request: Request) -> None:
        length = int(request.headers["Content-Length"])
        request.answer(200, request.headers["X-Word"].encode() + request.rfile.read(length))

    with server(path, echo):
        answer = unix_http.request(path, "PUT", "/", within=5, body=b"body", headers={"X-Word": "word"})
    assert answer.body == b"wordbody"


def test_nobody_there_is_said(path: Path) -> None:
    assert failure(path) == "No such file or directory"


def test_a_server_that_says_nothing_is_given_up_on_in_time(path: Path) -> None:
    done = threading.Event()

    def say_nothing(_connection: socket.socket) -> None:
        done.wait(10)

    with raw_server(path, say_nothing):
        assert failure(path, within=0.2) == "no answer in time"
        done.set()


def test_an_answer_in_drops_cannot_outlast_the_deadline(path: Path) -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.02):
            connection.sendall(b"X: y\r\n" if not done.is_set() else b"")

    with raw_server(path, drip):
        assert failure(path, within=0.3) in ("no answer in time", "what came is no HTTP (HTTPException)")
        done.set()


def test_an_endless_body_is_cut(path: Path) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with raw_server(path, endless):
        assert len(unix_http.request(path, "GET", "/", within=5).body) == unix_http.MAX_BODY


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_said(path: Path, said: bytes) -> None:
    with raw_server(path, lambda connection: connection.sendall(said)):
        assert failure(path)


def test_a_listener_listens_and_a_left_socket_file_does_not(path: Path) -> None:
    assert not unix_http.listens(path)
    with server(path, lambda request: request.answer(200)):
        assert unix_http.listens(path)
    assert path.exists()
    assert not unix_http.listens(path)


def test_a_server_too_busy_to_take_one_more_connection_listens_nonetheless(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(8)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(str(path))
        assert unix_http.listens(path)
        for each in waiting:
            each.close()


def test_a_landing_page_that_answers_200_is_no_problem(path: Path) -> None:
    seen: list[str] = []

    def respond(request: Request) -> None:
        seen.append(request.path)
        request.answer(200)

    with server(path, respond):
        assert jupyter_client.landing_problem(path, BASE, "/lab") == ""
    assert seen == ["/user/abc/lab"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_landing_page_that_answers_anything_else_is_a_problem(path: Path, status: int) -> None:
    with server(path, lambda request: request.answer(status)):
        assert jupyter_client.landing_problem(path, BASE, "/lab") == f"its landing page /lab answered {status}"


def test_a_landing_page_without_a_server_is_a_problem(path: Path) -> None:
    assert jupyter_client.landing_problem(path, BASE, "/lab") == "its landing page /lab gave No such file or directory"


def activity(path: Path, kernels: bytes, terminals: bytes = b"[]") -> Activity | None:
    def respond(request: Request) -> None:
        request.answer(200, terminals if "/api/terminals" in request.path else kernels)

    with server(path, respond):
        return jupyter_client.activity(path, BASE)


def test_activity_is_the_latest_message_of_a_kernel_or_terminal_and_whether_a_kernel_computes(path: Path) -> None:
    kernels = (
        b'[{"execution_state": "idle", "last_activity": "2026-01-01T00:00:07Z"},'
        b' {"execution_state": "busy", "last_activity": "2026-01-01T00:00:05Z"}]'
    )
    terminals = b'[{"name": "1", "last_activity": "2026-01-01T00:00:09Z"}]'
    assert activity(path, kernels, terminals) == Activity("2026-01-01T00:00:09Z", busy=True, terminals=True)


def test_kernels_at_rest_are_not_busy(path: Path) -> None:
    kernels = b'[{"execution_state": "idle", "last_activity": "2026-01-01T00:00:07Z"}]'
    assert activity(path, kernels) == Activity("2026-01-01T00:00:07Z", busy=False)


def test_a_server_without_terminals_has_kernels_all_the_same(path: Path) -> None:
    with server(path, lambda request: request.answer(*((404,) if "terminals" in request.path else (200, b"[]")))):
        assert jupyter_client.activity(path, BASE) == Activity("", busy=False)


def test_looking_is_no_activity_to_jupyter(path: Path) -> None:
    seen: list[str] = []

    def respond(request: Request) -> None:
        seen.append(request.path)
        request.answer_json([])

    with server(path, respond):
        jupyter_client.activity(path, BASE)
    assert seen == ["/user/abc/api/kernels?no_track_activity=1", "/user/abc/api/terminals?no_track_activity=1"]


@pytest.mark.parametrize("kernels", [b"", b"null", b"{}", b"\xff", b"[" * 100_000, b'"busy"'])
def test_kernels_that_make_no_sense_are_no_activity(path: Path, kernels: bytes) -> None:
    assert activity(path, kernels) is None


@pytest.mark.parametrize("kernels", [b"[1, null]", b'[{"execution_state": ["busy"]}]', b'[{"last_activity": {}}]'])
def test_a_kernel_that_makes_no_sense_is_not_busy(path: Path, kernels: bytes) -> None:
    seen = activity(path, kernels)
    assert seen is not None
    assert not seen.busy


@pytest.mark.parametrize(
    ("connections", "connected"),
    [
        (b"1", True),
        (b"3", True),
        *((each, False) for each in (b"0", b"-1", b"null", b'"1"', b"[1]", b"{}", b"1.5", b"NaN")),
    ],
)
def test_a_page_is_connected_where_a_kernel_says_so_in_a_number(
    path: Path, connections: bytes, connected: bool
) -> None:
    seen = activity(path, b'[{"connections": 0}, {"connections": ' + connections + b"}]")
    assert seen is not None
    assert seen.connected is connected


def test_a_list_that_is_longer_than_kernels_make_it_is_not_read(path: Path) -> None:
    """A megabyte of empty lists would take thirty of the agent's memory."""
    assert activity(path, b"[" + b"[]," * jupyter_client.LIST_LIMIT + b"[]]") is None


def test_a_time_of_any_length_costs_no_memory(path: Path) -> None:
    seen = activity(path, b'[{"last_activity": "' + b"9" * 50_000 + b'"}]')
    assert seen is not None
    assert len(seen.newest) == jupyter_client.TIME_LIMIT


def test_a_server_that_is_gone_has_no_activity(path: Path) -> None:
    assert jupyter_client.activity(path, BASE) is None
