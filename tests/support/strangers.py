"""A stranger behind a socket who answers every request with the bytes that a test gives, and corpora of such bytes."""

from __future__ import annotations

import itertools
import json
import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

Say = Callable[[bytes], Iterable[bytes]]
"""The pieces of the answer to a request."""

HEAD = b"HTTP/1.1 200 OK\r\n"


class Stranger:
    """Answers one connection after the other, in a thread of its own, at a TCP port or a path."""

    def __init__(self, path: Path | None = None) -> None:
        self.say: Say = lambda _request: ()
        self._listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if path is None else str(path))
        self._listener.listen()
        self.url = "" if path is not None else f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, name="stranger")
        self._closing = False
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        # Wakes whoever waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    for piece in self.say(_request(connection)):
                        connection.sendall(piece)
                except OSError:
                    continue


def _request(connection: socket.socket) -> bytes:
    """One whole request: what is left unread when a connection closes would take the answer with it."""
    read = b""
    while b"\r\n\r\n" not in read and (more := connection.recv(65536)):
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return head


def always(answer: bytes) -> Say:
    """The same to whatever is asked."""
    return lambda _request: (answer,)


def whole(body: bytes, *headers: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer as it should be."""
    return b"\r\n".join([status, *headers, b"Content-Length: %d" % len(body), b"Connection: close", b"", body])


FLOODS: dict[str, tuple[bytes, bytes]] = {
    "a chunk of a negative size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"A"),
    "a chunk of a huge size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", b"A"),
    "endless chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n"),
    "an endless extension of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a=", b"b"),
    "endless trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"A: b\r\n"),
    "endless interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless headers of interim answers": (b"HTTP/1.1 100 Continue\r\n", b"A: b\r\n"),
    "an endless status line": (b"HTTP/1.1 200 ", b"A"),
    "endless headers": (HEAD, b"A: b\r\n"),
    "an endless header": (HEAD + b"A: ", b"b"),
    "a body longer than all memory": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", b"A"),
    "a body without an end": (HEAD + b"\r\n", b" "),
    "a body that unpacks to more": (HEAD + b"Content-Encoding: gzip, gzip, deflate, br\r\n\r\n", b"\x1f\x8b"),
}
"""What comes first, and what comes over and over again."""


def flood(start: bytes, again: bytes, size: int) -> Iterator[bytes]:
    """So many bytes."""
    yield start
    piece = again * (65536 // len(again))
    yield from itertools.repeat(piece, size // len(piece))


def endless(start: bytes, again: bytes, size: int) -> Say:
    """Such a flood to whatever is asked."""
    return lambda _request: flood(start, again, size)


STATUS_LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 302 Found",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 429 Too Many",
    b"HTTP/1.1 503 Unavailable",
    b"HTTP/1.1 000 X",
    b"HTTP/1.1 099 X",
    b"HTTP/1.1 999999999999 X",
    b"HTTP/1.1 -1 X",
    b"HTTP/1.1 \xb2\xb3\xb9 X",
    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0",
    b"HTTP/1.1  200 \x00\xff",
    b"HTTP/0.9 200 OK",
    b"HTTP/2 200",
    b"HTTP/1.1",
    b"HTTP/",
    b"SSH-2.0-OpenSSH_9.9",
    b"ICY 200 OK",
    b"",
)
HEADERS = (
    b"Content-Type: multipart/x; boundary*=a; boundary*0=b",
    b"Content-Type: multipart/mixed; boundary*0*=utf-16''%ff; boundary*1=b",
    b"Content-Type: multipart/mixed; boundary*=no-such-charset'en'%00",
    b"Content-Type: message/rfc822",
    b"Content-Type: message/delivery-status",
    b"Content-Type: text/html; charset=\xff\xfe",
    b"Content-Type: ;;;;=\"'",
    b"Content-Transfer-Encoding: base64",
    b"Content-Encoding: gzip",
    b"Content-Encoding: gzip, deflate, br, zstd, x",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: -1",
    b"Content-Length: 1_0",
    b"Content-Length: 0x10",
    b"Content-Length: 2, 3",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: \xb2",
    b"Location: http://[",
    b"Location: //evil\\@x:99999/",
    b"Location: \x00\xff",
    b"Location: /stats",
    b"Set-Cookie: =;;; expires=\xff; path=\x00",
    b"Set-Cookie: a=b; max-age=99999999999999999999999; expires=Thu, 99 Xxx 99999999999 99:99:99",
    b"Connection: keep-alive, upgrade",
    b"Keep-Alive: timeout=-1, max=x",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Accept: \xff",
    b"Retry-After: \xff",
    b" folded: over the line before",
    b"no colon at all",
    b": no name",
    b"From nobody at all",
    b"A\x00B: c",
    b"\xff\xfe: \xff\xfe",
    b"X: " + b"y" * 70_000,
    b"Date: Xxx, 99 Xxx 99999 99:99:99 +9999",
)
CHUNKS = (
    b"2\r\n{}\r\n0\r\n\r\n",
    b"-1\r\n{}",
    b"+2\r\n{}\r\n0\r\n\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n",
    b"1_0\r\n{}",
    b"ffffffffffffffffffffffff\r\n{}",
    b"\xb2\r\n{}",
    b"\r\n{}",
    b"2;" + b"a" * 70_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}0\r\n\r\n",
    b"0\r\nA\r\n: \x00\r\n\r\n",
)
VALUES = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"-Infinity",
    b"9" * 400,
    b"9" * 5000,
    b"9007199254740993",
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\xff"',
    b'"' + b"x" * 5000 + b'"',
    b'"9999-12-31T23:59:59.999999-23:59"',
    b'"0001-01-01T00:00:00+23:59"',
    b'"http://user:pass@[::1]:99999/"',
    b'"//evil/"',
    b'"/\\\\evil"',
    b"[]",
    b"{}",
    b"[null]",
    b'[{"id": 5, "name": null}]',
    b'{"a": {"b": [1, 2]}}',
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"[" * 900 + b"]" * 900,
)


def mutated(bodies: Sequence[Any], count: int, seed: int) -> Iterator[bytes]:
    """So many answers that are as good as one of these JSON bodies but for a few things."""
    rng = random.Random(seed)
    for number in range(count):
        body = json.dumps(bodies[number % len(bodies)]).encode()
        status, headers = b"HTTP/1.1 200 OK", [b"Content-Type: application/json"]
        for _ in range(rng.randint(1, 3)):
            match rng.randrange(6):
                case 0:
                    status = rng.choice(STATUS_LINES)
                case 1:
                    headers.insert(rng.randrange(len(headers) + 1), rng.choice(HEADERS))
                case 2:
                    body = _with_other_value(body, rng)
                case 3:
                    body = b"%s%s" % (body[: rng.randrange(len(body) + 1)], rng.randbytes(rng.randrange(9)))
                case 4:
                    headers.append(b"Transfer-Encoding: chunked")
                    body = rng.choice(CHUNKS)
                case _:
                    headers[rng.randrange(2) :] = rng.choices(HEADERS, k=rng.choice((2, 5, 120)))
        answer = whole(body, *headers, status=status)
        if rng.random() < 0.3:
            at = rng.randrange(len(answer))
            answer = answer[:at] + rng.randbytes(rng.randrange(4)) + answer[at + rng.randrange(4) :]
        yield answer


def _with_other_value(body: bytes, rng: random.Random) -> bytes:
    """One value of the JSON text is replaced by an odd one."""
    colons = [at for at in range(len(body)) if body[at : at + 2] == b": "]
    if not colons:
        return rng.choice(VALUES)
    at = rng.choice(colons) + 2
    ends = [end for end in (body.find(b",", at), body.find(b"}", at)) if end >= 0]
    return body[:at] + rng.choice(VALUES) + body[min(ends, default=len(body)) :]
