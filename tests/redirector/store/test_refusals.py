"""Which errors of a database no waiting would mend."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from redirector.store.refusals import is_refusal


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (psycopg.errors.InvalidPassword(), True),
        (psycopg.errors.InvalidCatalogName(), True),
        (psycopg.errors.InsufficientPrivilege(), True),
        (psycopg.errors.UndefinedTable(), True),
        (psycopg.errors.CannotConnectNow(), False),
        (psycopg.errors.AdminShutdown(), False),
        (psycopg.errors.TooManyConnections(), False),
        (psycopg.errors.LockNotAvailable(), False),
        (psycopg.OperationalError('connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1"'), True),
        (psycopg.OperationalError("connection failed: Connection refused"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_postgresql_says_it_by_its_sqlstate_or_before_that_in_words(error: Exception, refused: bool) -> None:
    assert is_refusal(DBAPIError("", {}, error)) is refused


def test_an_sqlite_that_another_one_writes_is_waited_for_and_a_file_that_is_none_is_not(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path, timeout=0)) as other:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as busy:
            other.execute("BEGIN EXCLUSIVE")
    assert not is_refusal(DBAPIError("", {}, busy.value))

    path.write_bytes(b"no database " * 512)
    with closing(sqlite3.connect(path)) as wrong, pytest.raises(sqlite3.DatabaseError) as refused:
        wrong.execute("PRAGMA schema_version").fetchall()
    assert is_refusal(DBAPIError("", {}, refused.value))


def test_a_pool_without_a_free_connection_is_waited_for() -> None:
    assert not is_refusal(PoolTimeoutError())
