"""Tests of bounds on requests under way at once: what one visitor, or all of them, can take of nginx."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product

import pytest

from node_agent.proxy.nginx.shares import shares
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, OTHER, Front, run_nginx
from tests.support.waiting import wait_until

CONNECTIONS = 400
"""Of one worker; the product gives at least 8,192."""


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with run_nginx(connections=CONNECTIONS, CAPACITY="1") as front:
        assert f"worker_connections {CONNECTIONS};" in (front.run_dir / "nginx.conf").read_text()
        yield front


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.clear()


def respond(request: Request) -> None:
    if not request.headers.get("Upgrade"):
        request.answer(200, b"a page")
        return
    request.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    request.wfile.flush()
    request.rfile.read(1)
    request.close_connection = True


def open_websockets(front: Front, key: str, count: int, held: ExitStack) -> list[bytes]:
    """Open so many and keep them until `held` ends; the status line of each."""
    lines = []
    for _ in range(count):
        browser = held.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=10))
        browser.sendall(
            f"GET /user/{key}/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
        )
        lines.append(browser.recv(4096).partition(b"\r\n")[0])
    return lines


def test_one_visitors_websockets_leave_room_for_every_other_visitor(front: Front) -> None:
    one = shares(CONNECTIONS).one
    for key in (KEY, OTHER):
        front.sandbox(key, respond)
    with ExitStack() as held:
        lines = open_websockets(front, KEY, one + 3, held)
        assert [b" 101 " in line for line in lines] == [True] * one + [False] * 3
        assert b" 429 " in lines[-1]
        refused = front.ask(f"/user/{KEY}/lab")
        assert (refused.status, refused.header("Retry-After")) == (429, "1")
        assert b"close a few of its tabs" in refused.body
        assert front.ask(f"/user/{OTHER}/lab").status == 200
    # Whoever leaves gives them back.
    wait_until(lambda: front.ask(f"/user/{KEY}/lab").status == 200, 10, "the visitor's own page")


def test_all_visitors_together_leave_room_for_the_agent_and_its_numbers(front: Front) -> None:
    bounds = shares(CONNECTIONS)
    keys = [letter * 8 + "2" * 26 for letter in "abcdefgh"]
    for key in keys:
        front.sandbox(key, respond)
    front.agent(lambda request: request.answer(200, b"{}"))
    with ExitStack() as held:
        lines = [line for key in keys for line in open_websockets(front, key, bounds.one, held)]
        assert sum(b" 101 " in line for line in lines) == bounds.all
        for path in ("/stats", "/api/spawn", "/healthz", "/"):
            assert front.ask(path).status == 200


@pytest.mark.parametrize("path", [f"/user/{'x' * 34}/api/contents", "/static/0123456789abcdef/lab/x.js", "/", "/-/x"])
def test_half_sent_requests_without_a_sandbox_take_nothing_from_those_who_have_one(front: Front, path: str) -> None:
    bounds = shares(CONNECTIONS)
    front.sandbox(KEY, respond)
    with ExitStack() as held:
        for _ in range(bounds.all):
            stranger = held.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=10))
            stranger.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode())
        wait_until(lambda: front.ask("/healthz").status == 429, 10, "the bound on one address")
        assert front.ask(f"/user/{KEY}/lab").status == 200


def test_nor_do_those_of_many_addresses(front: Front) -> None:
    bounds = shares(CONNECTIONS)
    front.sandbox(KEY, respond)
    with ExitStack() as held:
        for number, letters in zip(range(bounds.all), product("abcdefghijklmn", repeat=2), strict=False):
            source = (f"127.0.0.{2 + number // bounds.stranger}", 0)
            address = ("127.0.0.1", front.port)
            stranger = held.enter_context(socket.create_connection(address, timeout=10, source_address=source))
            key = "".join(letters) + "2" * 32
            stranger.sendall(f"POST /user/{key}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode())
            assert b" 410 " in stranger.recv(4096)
        assert front.ask(f"/user/{KEY}/lab").status == 200


def test_one_sandboxes_pages_ask_the_agent_only_so_often(front: Front) -> None:
    for key in (KEY, OTHER):
        front.sandbox(key, respond)
    front.agent(lambda request: request.answer(200, b"{}"))
    statuses = [front.ask(f"/-/left/{KEY}").status for _ in range(200)]
    assert statuses[:40] == [200] * 40
    assert 429 in statuses
    assert front.ask(f"/-/left/{OTHER}").status == 200
    assert front.ask(f"/user/{KEY}/lab").status == 200


@pytest.mark.parametrize("connections", [1, 7, 256, 8192, 9256, 65536])
def test_all_shares_fit_into_one_worker_and_none_is_all_of_it(connections: int) -> None:
    bounds = shares(connections)
    assert 1 <= bounds.one <= bounds.all
    assert 1 <= bounds.stranger <= bounds.all
    if connections >= 16:
        assert 2 * bounds.all < connections
        assert bounds.one <= bounds.all / 4


def test_a_browsers_hundred_streams_fit_into_a_share_of_the_nginx_that_nodes_have() -> None:
    assert shares(8192).one >= 100
