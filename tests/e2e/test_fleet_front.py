"""Behind the nginx that is shipped, clients who are slow or send too much cannot tie up the redirector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.redirector_front import Front, redirector_front
from tests.support.served import Served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SLOW = 60
"""Clients that never finish, of a redirector with four threads."""


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def front(nodes: FakeNodes, tmp_path: Path) -> Iterator[Front]:
    environ = {"TMPNB_WORKERS": "1", "TMPNB_THREADS": "4", "TMPNB_TRUSTED_PROXIES": "1"}
    with ExitStack() as stack:
        served = Served(tmp_path / "state", **environ)
        stack.callback(served.stop)
        served.wait_until_up()
        node = nodes.add("n1", ready=100, capacity=100)
        served.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
        wait_until(lambda: served.available() == 100, 15)
        yield stack.enter_context(redirector_front(served.port))


def test_requests_that_never_end_keep_nobody_out(front: Front) -> None:
    beginnings = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/spawn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /api/nodes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    )
    with ExitStack() as stack:
        for number in range(SLOW):
            slow = stack.enter_context(front.connect())
            slow.sendall(beginnings[number % len(beginnings)])
        assert [front.ask("GET", "/") for _ in range(8)] == [302] * 8


def test_requests_that_are_too_large_are_refused_at_the_door(front: Front) -> None:
    assert front.ask("POST", "/api/spawn", b"{" + b" " * 1_000_000) in (0, 413), "closed while sending, or refused"
    assert front.ask("GET", "/lab/" + "a" * 12_000) == 414
    assert front.ask("GET", "/", X_Large="a" * 40_000) == 302, "what nobody reads keeps nobody out"
    assert front.ask("GET", "/") == 302
