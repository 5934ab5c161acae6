"""No log of the shipped nginx in front holds a key, a ticket or a query, also not of what is no request."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redirector_front import Front
from tests.support.waiting import wait_until

SECRET = "hush"
REQUESTS = [
    b"GET /wait/hush?hush HTTP/1.1\r\nHost: x\r\nReferer: https://x/wait/hush\r\nConnection: close",
    b"GET /wait/hush/lab HTTP/1.1\r\nHost: x\r\nConnection: close",
    b"GET //wait//hush HTTP/1.1\r\nHost: x\r\nConnection: close",
    b"GET /%77ait/hush HTTP/1.1\r\nHost: x\r\nConnection: close",
    b"GET https://x/user/hush/lab?hush HTTP/1.1\r\nHost: x\r\nConnection: close",
    b"GET /lab?hush=/wait/hush HTTP/1.1\r\nHost: x\r\nConnection: close",
    b"GET /wait/hush hush HTTP/1.1",
    b"GET /wait/hush HTTP/9.9",
    b"GET wait/hush?hush",
    b"get /wait/hush HTTP/1.1",
    b"hush /wait/hush",
    b"GET /wait/hush HTTP/1.1\r\nhush\x00",
    b"GET /wait/" + b"hush" * 10_000 + b" HTTP/1.1",
]


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="front-") as root:
        yield Path(root)


@pytest.fixture(scope="module")
def front(root: Path) -> Iterator[Front]:
    """Before a redirector that is away: its socket is not there, which nginx takes for worse than a refusal."""
    front = Front(root, f"unix:{root}/none.sock")
    try:
        wait_until(lambda: front.ask("GET", "/healthz") == 503, 15, "nginx")
        yield front
    finally:
        front.stop()


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: str(request[:40]))
def test_nothing_of_a_request_but_its_kind_is_logged(front: Front, root: Path, request_: bytes) -> None:
    log = root / "tmpnb.access.log"
    before = len(log.read_text().splitlines())
    with front.connect() as connection:
        connection.sendall(request_ + b"\r\n\r\n")
        while connection.recv(65536):
            pass
    wait_until(lambda: len(log.read_text().splitlines()) > before, 10, "its line")
    for path in root.glob("*log"):
        assert SECRET not in path.read_text(), path


def test_a_line_says_when_who_and_what(front: Front, root: Path) -> None:
    front.ask("GET", "/wait/a-ticket")
    wait_until(lambda: "/wait/..." in (root / "tmpnb.access.log").read_text(), 10, "its line")
    assert '127.0.0.1 "GET /wait/..." 503' in (root / "tmpnb.access.log").read_text()
