"""Connections to PostgreSQL that wait for no answer without a bound: a server that hangs is one that is away.

The server's own time-outs end what it works on. They say nothing while the server itself is stopped, or while the
network swallows what it says: then only this side can tell.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

CONNECT_SECONDS = 2
"""For a connection to one address of the server; libpq knows nothing shorter."""

ANSWER_SECONDS = 2.0
"""For one answer of the server. Statements take milliseconds; this covers a disk that stutters."""

MIGRATION_SECONDS = 600.0
"""For one answer while the schema changes, or while another host changes it."""

SERVER_MILLISECONDS = 1800
"""After which the server gives up a statement or a lock by itself, in words, just before we would hang up."""

ARGUMENTS = {
    "connect_timeout": CONNECT_SECONDS,
    # What a server that vanished without a word did not acknowledge, and how soon we notice that it has.
    "tcp_user_timeout": 2000,
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "options": f"-c statement_timeout={SERVER_MILLISECONDS} -c lock_timeout={SERVER_MILLISECONDS}"
    f" -c idle_in_transaction_session_timeout={4 * SERVER_MILLISECONDS}",
    "application_name": "tmpnb-redirector",
}
"""For libpq."""


def bound(engine: Engine) -> None:
    """Let the connections of an engine wait for answers `ANSWER_SECONDS` at most."""
    kind = bounded(engine.dialect.loaded_dbapi.Connection)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if time.monotonic() - getattr(kind.of_thread, "gave_up_at", -math.inf) < ANSWER_SECONDS:
            # Whoever has just waited for the answer to a ping does not wait for a new connection as well.
            raise kind.OperationalError("the server did not answer a moment ago")
        return kind.connect(*positional, **named)


def bounded(base: Any) -> Any:
    """A kind of psycopg's connection that closes itself when an answer does not come."""

    class BoundedConnection(base):  # type: ignore[misc]  # psycopg is there only where PostgreSQL is used
        answer_seconds = ANSWER_SECONDS
        of_thread = threading.local()

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            seconds = self.answer_seconds if timeout is None else timeout
            gives_up_at = time.monotonic() + seconds
            try:
                return super().wait(gen, interval, seconds)
            except base.OperationalError:
                if time.monotonic() < gives_up_at:
                    raise
                self.of_thread.gave_up_at = time.monotonic()
                self.close()  # in the middle of an answer, nothing else can be done with it
                raise base.OperationalError(f"it did not answer within {seconds:g} s") from None

    return BoundedConnection


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """Within it, an answer may take as long as a change of the schema does."""
    driver: Any = connection.connection.driver_connection
    driver.answer_seconds = MIGRATION_SECONDS
    try:
        yield
    finally:
        driver.answer_seconds = ANSWER_SECONDS
