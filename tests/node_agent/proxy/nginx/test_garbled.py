"""What a sandbox sends that is no final answer of HTTP's: nginx passes it on, and no browser may find headers in it.

And what it sends that nobody fetches.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Front, run_nginx

EVIL = b"HTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nhi\n"

GARBLED = {
    "a line before it": b"\n" + EVIL,
    "four bytes before it": b"abcd" + EVIL,
    "another version": EVIL.replace(b"HTTP/1.1", b"HTTP/2"),
    "an old version": EVIL.replace(b"HTTP/1.1", b"HTTP/0.9"),
    "lone CRs": b"\n" + EVIL.replace(b"\r\n", b"\r") + b"\n\n",
    "a CR in the status": b"HTTP/1.1 200 O\rSet-Cookie: evil=1\r\n\r\nhi",
    "interim, then lines before": b"\nHTTP/1.1 100 Continue\n" + EVIL,
    "interim in disguise": b"HTTP/2 100 Continue\r\n\r\n" + EVIL,
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + EVIL,
    "interim with a length": b"HTTP/1.1 100 Continue\r\nContent-Length: 500\r\n\r\n" + EVIL,
    "interim twice": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + EVIL,
    "status 0": b"HTTP/1.1 000 None\r\n\r\n" + EVIL,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody" + EVIL,
    "more than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody" + EVIL,
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nbody\r\n0\r\n\r\n" + EVIL,
    "no content, with some": b"HTTP/1.1 204 No Content\r\nContent-Length: 400\r\n\r\n" + EVIL,
    "a folded header": b"HTTP/1.1 200 OK\r\nX-A: b\r\n Set-Cookie: evil=1\r\n\r\nhi",
    "a header with a space": b"HTTP/1.1 200 OK\r\nSet-Cookie : evil=1\r\n\r\nhi",
    "a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSet-Cookie: evil=1\r\n\r\n",
}


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with run_nginx() as front:
        yield front


def sent_to_browser(front: Front, sandbox_says: bytes, **headers: str) -> bytes:
    def respond(request: Request) -> None:
        request.wfile.write(sandbox_says)
        request.close_connection = True

    front.sandbox(KEY, respond)
    lines = [f"GET /user/{KEY}/lab HTTP/1.1", "Host: node1.example.org", *(f"{k}: {v}" for k, v in headers.items())]
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
        # The second request ends the connection, so that all that came is known.
        last = ["GET /nothing HTTP/1.1", "Host: node1.example.org", "Connection: close"]
        client.sendall("\r\n".join([*lines, "", *last, "", ""]).encode())
        received = b""
        while part := client.recv(65536):
            received += part
    return received


def headers_seen(received: bytes) -> list[bytes]:
    """The names of all headers that a lenient browser makes out: it skips what stands before an answer, takes a CR or
    a LF for the end of a line, and goes on after interim answers and behind a whole body.
    """
    names: list[bytes] = []
    while (start := received.find(b"HTTP/")) >= 0:
        head, _, rest = re.sub(b"\r\n", b"\n", received[start:]).partition(b"\n\n")
        status, *lines = re.split(b"[\r\n]", head)
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        names += fields
        if not re.match(rb"HTTP/\S* 1\d\d", status):
            closes = fields.get(b"connection") == b"close" or not {b"content-length", b"transfer-encoding"} & set(
                fields
            )
            length = int(fields.get(b"content-length", b"0"))
            whole = b"" if re.match(rb"HTTP/\S* (?:204|304)", status) else rest[:length]
            rest = b"" if closes else rest[len(whole) :]
            if b"transfer-encoding" in fields:
                rest = rest.partition(b"0\n\n")[2]
        received = rest
    return names


def test_the_browser_of_these_tests_would_see_such_a_header() -> None:
    assert b"set-cookie" in headers_seen(b"\n" + EVIL)
    assert b"set-cookie" in headers_seen(b"HTTP/1.1 100 Continue\r\n\r\n" + EVIL)
    assert b"set-cookie" in headers_seen(GARBLED["more than its length"])
    assert b"set-cookie" in headers_seen(GARBLED["lone CRs"])


@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize("name", GARBLED)
def test_no_header_of_a_sandbox_gets_through_in_what_is_no_answer(front: Front, name: str, websocket: bool) -> None:
    asked = {"Upgrade": "websocket", "Connection": "upgrade"} if websocket else {}
    received = sent_to_browser(front, GARBLED[name], **asked)
    assert b"set-cookie" not in headers_seen(received), received


@pytest.mark.parametrize("upgrade", ["", "websocket"])
def test_what_a_slow_client_does_not_fetch_fills_nothing_on_this_host(front: Front, upgrade: str) -> None:
    ends: SimpleQueue[str] = SimpleQueue()

    def respond(request: Request) -> None:
        request.connection.settimeout(1)
        request.close_connection = True
        try:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000_000)
            ends.put("nginx took it all")
        except TimeoutError:
            ends.put("it has to wait")

    front.sandbox(KEY, respond)
    asked = f"GET /user/{KEY}/files/large HTTP/1.1\r\nHost: x\r\nUpgrade: {upgrade}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.sendall(asked.encode())
        assert ends.get(timeout=30) == "it has to wait"


def test_an_answer_of_any_length_and_kind_is_passed_on_unchanged(front: Front) -> None:
    body = bytes(range(256)) * 4000
    front.sandbox(KEY, lambda request: request.answer(200, body, [("Content-Type", "application/octet-stream")]))
    assert front.ask(f"/user/{KEY}/api").body == body
