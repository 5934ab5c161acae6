"""urllib3's connections, with every read of an answer within one budget of time and bytes.

urllib3 bounds each wait for bytes and the body that it returns, so that an answer that trickles or floods in its
headers or its framing would never end.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from tmpnb_common.bounded_reading import BoundedResponse, Budget

_BUDGET: ContextVar[Budget] = ContextVar("budget")
"""Of the exchange that goes on in this thread: connections are pooled, and outlive it."""


@contextmanager
def within_budget(budget: Budget) -> Iterator[None]:
    """Within it, answers that this thread reads over connections of this module keep to that budget."""
    token = _BUDGET.set(budget)
    try:
        yield
    finally:
        _BUDGET.reset(token)


class _Response(BoundedResponse):
    """An answer within the budget of the exchange that goes on in this thread."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(_BUDGET.get(), sock, *args, **options)


class PlainConnection(HTTPConnection):
    """A connection whose answers are bounded."""

    response_class = _Response


class TlsConnection(HTTPSConnection):
    """A connection behind TLS whose answers are bounded."""

    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection


BOUNDED_POOLS = {"http": _PlainPool, "https": _TlsPool}
"""By scheme, for a pool manager: they bound what is read, and connect as urllib3 does."""
