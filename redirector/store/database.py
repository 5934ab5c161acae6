"""The database: engines for SQLite and PostgreSQL, transactions, and the one place where its errors are translated."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Engine,
    Table,
    create_engine,
    event,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from redirector.errors import DatabaseAwayError, DatabaseRefusedError
from redirector.store import postgres
from redirector.store.hang_guard import HangGuard
from redirector.store.refusals import is_refusal

BUSY_SECONDS = 5
"""How long a writer to SQLite waits for another one, and anybody for a connection to it. Writes take milliseconds; this
covers a disk that stutters.
"""

CLOCK = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "cast(extract(epoch from clock_timestamp()) as double precision)",
}

MINUTE = {
    "sqlite": "cast(strftime('%s', 'now') / 60 as integer)",
    "postgresql": "cast(floor(extract(epoch from clock_timestamp()) / 60) as bigint)",
}


class Database:
    """Transactions on one database. Safe to use from several threads; each process needs one of its own."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        self.engine: Engine
        if self.dialect == "sqlite":
            # A bad path shows at the first use, as with any other database that is away.
            self._file = Path(parsed.database or "")
            self.engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(
                parsed,
                connect_args=postgres.ARGUMENTS,
                pool_pre_ping=True,
                pool_size=4,
                max_overflow=8,
                pool_timeout=postgres.ANSWER_SECONDS,
            )
            postgres.bound(self.engine)
        self._hangs = HangGuard()

    @property
    def clock(self) -> ColumnElement[float]:
        """The database's own clock, for what several hosts have to agree on."""
        return literal_column(CLOCK[self.dialect], Double)

    @property
    def minute(self) -> ColumnElement[int]:
        """The minute by the database's clock, counted since 1970."""
        return literal_column(MINUTE[self.dialect], BigInteger)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that can say what happens if the row is there already."""
        return (sqlite.insert if self.dialect == "sqlite" else postgresql.insert)(table)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._hangs.passing(), _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes.

        In SQLite it takes the write lock at once: one that began by reading would be refused, without waiting, when
        another writer came between.
        """
        with self._hangs.passing(), _translated(), self.engine.connect() as connection:
            connection.execution_options(tmpnb_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """A transaction that writes and may take minutes, as may whoever holds it up."""
        with self.writing() as connection:
            if self.dialect == "sqlite":
                yield connection
            else:
                with postgres.patient(connection):
                    yield connection

    def make_file(self) -> None:
        """Make SQLite's file and its directory, for nobody else's eyes: it holds the tokens of nodes.

        Raises:
            DatabaseRefusedError: that is not possible here.
        """
        if self.dialect != "sqlite":
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._file.chmod(0o600)
        except OSError as error:
            raise DatabaseRefusedError(f"cannot use {self._file}: {error.strerror}") from error

    def close(self) -> None:
        """Close idle connections, as before a fork."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # The first line says it; the rest of it would be the statement, whose parameters hold tokens.
        text = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        kind = DatabaseRefusedError if is_refusal(error) else DatabaseAwayError
        raise kind(f"the database does not do as asked: {text}") from None


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would say it too late
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA synchronous=NORMAL").close()
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    options: Any = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("tmpnb_writes") else "BEGIN")
