"""Databases for the tests of the store: each test runs over SQLite and over PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.store.database import Database
from redirector.store.schema import migrate
from tests.support.postgres import PostgresCluster, need_postgres

NUMBERS = itertools.count(1)


@pytest.fixture(scope="package")
def cluster() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster(need_postgres())
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/fleet.db"
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    return cluster.create(f"fleet{next(NUMBERS)}")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    migrate(database)
    yield database
    database.close()
