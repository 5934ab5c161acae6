"""Tests of what a sandbox sends in pieces: nginx passes it on at once, and silence does not end it."""

from __future__ import annotations

import http.client
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Front, run_nginx

PIECES = [b"<html><head></head>", b"<p>10 %</p>", b"<p>20 %</p>"]


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with run_nginx(MAX_AGE_SECONDS="14400") as front:
        yield front


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.clear()


@pytest.mark.parametrize(
    "kind", ["text/html", "text/event-stream", "application/x-ndjson", "application/json", "application/octet-stream"]
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_each_piece_reaches_the_visitor_before_the_next_one_is_made(
    front: Front, kind: str, encoding: str, framing: str
) -> None:
    """The sandbox goes on only once the visitor has what came before."""
    arrived = threading.Semaphore(0)

    def respond(request: Request) -> None:
        request.send_response_only(200)
        request.send_header("Content-Type", kind)
        request.send_header(*("Transfer-Encoding", "chunked") if framing == "chunked" else ("Connection", "close"))
        request.end_headers()
        for piece in PIECES:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            request.wfile.flush()
            if not arrived.acquire(timeout=10):
                break
        if framing == "chunked":
            request.wfile.write(b"0\r\n\r\n")
        request.close_connection = True

    front.sandbox(KEY, respond)
    with closing(http.client.HTTPConnection("127.0.0.1", front.port, timeout=5)) as browser:
        browser.request("GET", f"/user/{KEY}/progress", headers={"Accept-Encoding": encoding})
        answer = browser.getresponse()
        unpacked = zlib.decompressobj(31) if answer.getheader("Content-Encoding") == "gzip" else None
        text = b""
        for piece in PIECES:
            while piece.removeprefix(b"<html><head>") not in text:
                more = answer.read1(65536)
                assert more, "it has ended"
                text += unpacked.decompress(more) if unpacked else more
            arrived.release()


def test_a_page_whose_head_comes_in_two_pieces_begins_with_the_nodes_script_all_the_same(front: Front) -> None:
    def respond(request: Request) -> None:
        request.send_response_only(200)
        request.send_header("Content-Type", "text/html")
        request.end_headers()
        for piece in (b"<html><he", b"ad><title>", b"x" * 100_000, b"</title></head>"):
            request.wfile.write(piece)
            request.wfile.flush()
        request.close_connection = True

    front.sandbox(KEY, respond)
    body = front.ask(f"/user/{KEY}/page").body
    assert re.match(rb"<html><head><script [^>]*></script>.*<title>x{100000}</title></head>$", body, re.DOTALL)


def test_silence_ends_no_stream_before_its_session_ends(front: Front) -> None:
    """Not tried by waiting: of sandboxes' locations, in which nothing shorter is set."""
    config = (front.run_dir / "nginx.conf").read_text()
    locations = re.findall(r"^ *location (?:\^~ /user/|@websocket) \{\n.*?^ {8}\}", config, re.DOTALL | re.MULTILINE)
    assert len(locations) == 2
    for location in locations:
        for timeout in ("proxy_read_timeout", "proxy_send_timeout"):
            assert re.findall(rf"{timeout} (.*);", location) == ["14400s"]
        assert re.findall("[ _]send_timeout (.*);", location.replace("proxy_send", "")) == ["600s"]
