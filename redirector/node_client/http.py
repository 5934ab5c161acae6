"""HTTP to a machine that may be ill or hostile: a whole answer within a time and a size, or a reason why not.

urllib3 bounds each wait for bytes and the body that it returns, so that an answer that trickles or floods in its
headers or its framing would never end. Here every read of an answer is within one budget of time and bytes.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import BinaryIO

import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    LocationParseError,
    NameResolutionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Url, parse_url
from urllib3.util.connection import create_connection

from redirector.model.nodes import Failure, FailureKind
from redirector.node_client.resolver import NameLookup
from tmpnb_common.bounded_http import PlainConnection, TlsConnection, within_budget
from tmpnb_common.bounded_reading import Budget, TooLongError

POOLS = 4096
"""Hosts to which connections are kept open: more than a fleet has nodes."""

POOL_SIZE = 32
"""Connections to one host that are kept open: as many as one worker has threads."""

CONNECTION_SECONDS = 30.0
"""The longest age of a connection that is used again: by then a name that has moved leads to its new address."""

NAMES = NameLookup()
"""One for the whole process: what one caller learns serves all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send."""

    method: str
    url: str
    limit: int
    """The longest body, in bytes, that is read."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | BinaryIO | None = None
    """JSON, unless the headers say otherwise; of a file the headers say the length."""
    repeatable: bool = True
    """Doing it twice is doing it once, so that it may be sent again when a kept-open connection proves to be closed."""


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """A whole answer."""

    status: int
    body: bytes
    location: str = ""


class BoundedHttp:
    """Sends requests over kept-open connections. Safe to use from several threads.

    It follows no redirect, so that no header ever goes to another origin.
    """

    def __init__(self, user_agent: str) -> None:
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        self._pools = urllib3.PoolManager(num_pools=POOLS, maxsize=POOL_SIZE, block=False, retries=False)
        self._pools.pool_classes_by_scheme = {"http": _PromptPlainPool, "https": _PromptTlsPool}

    def send(self, request: Request, seconds: float) -> NodeResponse | Failure:
        """Send a request; `seconds` is for all of it: connecting, sending, and the answer to its last byte."""
        deadline = time.monotonic() + seconds
        answer = self._once(request, seconds)
        left = deadline - time.monotonic()
        if request.repeatable and isinstance(answer, Failure) and answer.reason == CLOSED and left > 0:
            return self._once(request, left)
        return answer

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        """Reading the system's authorities takes some 30 ms, so it waits for the first https address."""
        return ssl.create_default_context()

    def _once(self, request: Request, seconds: float) -> NodeResponse | Failure:
        headers = {**self._headers, **request.headers}
        if request.body is not None:
            headers.setdefault("Content-Type", "application/json")
        response: BaseHTTPResponse | None = None
        try:
            with within_budget(Budget(seconds, request.limit)):
                target = _parsed(request.url)
                tls = {"ssl_context": self._tls_context} if target.scheme == "https" else None
                pool = self._pools.connection_from_host(target.host, target.port, target.scheme, tls)
                response = pool.urlopen(
                    request.method,
                    target.request_uri,
                    headers=headers,
                    body=request.body,
                    redirect=False,
                    retries=False,
                    assert_same_host=False,
                    timeout=urllib3.Timeout(total=seconds),
                    preload_content=False,
                    decode_content=False,
                )
                read = response.read(request.limit + 1, decode_content=False)
        except Exception as error:  # noqa: BLE001  # a stranger's answer: parsers raise whatever they come upon
            if response is not None:
                response.close()
            return explain(error, request.limit, seconds)
        if len(read) > request.limit:
            response.close()  # and with it the connection: the rest may never end
            return explain(TooLongError(), request.limit, seconds)
        response.release_conn()
        return NodeResponse(response.status, read, response.headers.get("Location", ""))

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()


@lru_cache(POOLS)
def _parsed(url: str) -> Url:
    """The parts of an address. Polls send to the same few thousand addresses all day."""
    return parse_url(url)


def explain(error: BaseException, limit: int, seconds: float) -> Failure:
    """Put a failed call into an operator's words, by the first cause that says something."""
    cause: BaseException | None = error
    while cause is not None:
        for kinds, kind, words in _WORDS:
            if isinstance(cause, kinds):
                return Failure(kind, words.format(seconds=seconds, limit=limit, cause=cause))
        cause = cause.__cause__ or cause.__context__
    return Failure(FailureKind.PROTOCOL_ERROR, f"its answer is not HTTP ({type(error).__name__})")


CLOSED = "it closed the connection before it had answered"

_WORDS: tuple[tuple[tuple[type[BaseException], ...], FailureKind, str], ...] = (
    ((TooLongError,), FailureKind.PROTOCOL_ERROR, "its answer is longer than {limit} bytes"),
    ((ReadTimeoutError, TimeoutError), FailureKind.TIMEOUT, "no answer within {seconds:g} s"),
    ((NameResolutionError, socket.gaierror), FailureKind.TIMEOUT, "its host name cannot be resolved"),
    ((SSLError, ssl.SSLError), FailureKind.PROTOCOL_ERROR, "TLS failed: {cause}"),
    ((LocationParseError, http.client.InvalidURL), FailureKind.PROTOCOL_ERROR, "its URL cannot be used"),
    ((ConnectionRefusedError,), FailureKind.REFUSED, "connection refused"),
    ((ConnectionError, http.client.IncompleteRead), FailureKind.REFUSED, CLOSED),
    ((OSError,), FailureKind.TIMEOUT, "cannot connect: {cause.strerror}"),
)
"""From the particular to the general. urllib3 wraps what happened in errors of its own, which say less."""


def _connected(connection: HTTPConnection) -> socket.socket:
    """Connect within the connection's time-out, the lookup of its name included."""
    timeout = connection.timeout
    assert timeout is not None, "every request has a time"
    deadline = time.monotonic() + timeout
    failure: OSError = TimeoutError("nothing to connect to")
    for address in NAMES.addresses(connection.host, timeout):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return create_connection((address, connection.port), left, socket_options=connection.socket_options)
        except OSError as error:
            failure = error
    raise failure


class _PromptPlainConnection(PlainConnection):
    """Looks names up in bounded time, and anew when it is old."""

    _opened = 0.0

    def _new_conn(self) -> socket.socket:
        self._opened = time.monotonic()
        return _connected(self)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and not _is_old(self._opened)


class _PromptTlsConnection(TlsConnection):
    """Likewise, behind TLS."""

    _opened = 0.0

    def _new_conn(self) -> socket.socket:
        self._opened = time.monotonic()
        return _connected(self)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and not _is_old(self._opened)


def _is_old(opened: float) -> bool:
    """Whether a connection that was opened then, by the monotonic clock, has to be made anew."""
    return time.monotonic() - opened >= CONNECTION_SECONDS


class _PromptPlainPool(HTTPConnectionPool):
    ConnectionCls = _PromptPlainConnection


class _PromptTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PromptTlsConnection
