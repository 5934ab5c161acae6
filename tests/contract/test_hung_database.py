"""A PostgreSQL that hangs instead of refusing is one that is away: nobody waits for it without a bound."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from redirector.errors import DatabaseAwayError
from redirector.store.database import Database
from redirector.store.hang_guard import HUNG_SECONDS, HangGuard
from redirector.store.registry import Registry
from redirector.store.schema import migrate
from tests.support.fleet_nodes import fake_nodes
from tests.support.fleet_worker import stepped_worker
from tests.support.node_fakes import Clock
from tests.support.postgres import PostgresCluster
from tests.support.waiting import wait_until

IN_TIME = 15.0
"""Seconds, on a busy machine. Without a bound on our side, nothing comes at all."""


@pytest.fixture
def hanging(cluster: PostgresCluster) -> Iterator[PostgresCluster]:
    """A cluster that a test may let hang."""
    yield cluster
    cluster.go_on()


@pytest.mark.postgres
@pytest.mark.parametrize("connected", [True, False], ids=["over its connections", "without one"])
def test_a_database_that_hangs_is_away_and_comes_back(hanging: PostgresCluster, connected: bool) -> None:
    database = Database(hanging.create(f"hung{connected:d}"))
    migrate(database)
    registry = Registry(database)
    if not connected:
        database.close()
    hanging.hang()
    with ThreadPoolExecutor(20) as executor:
        found = [executor.submit(registry.all) for _ in range(20)]
        errors = [each.exception(IN_TIME) for each in found]
    assert {type(error) for error in errors} == {DatabaseAwayError}
    hanging.go_on()

    def well() -> bool:
        try:
            return registry.all() == {}
        except DatabaseAwayError:
            return False

    wait_until(well, IN_TIME, "the database")
    database.close()


@pytest.mark.postgres
def test_visitors_are_placed_while_the_database_hangs(hanging: PostgresCluster, tmp_path: Path) -> None:
    url = hanging.create("visited")
    with fake_nodes() as nodes, stepped_worker(tmp_path, TMPNB_DATABASE_URL=url) as fleet:
        fleet.add(nodes.add("n1", ready=9, capacity=9))
        hanging.hang()
        with ThreadPoolExecutor(1) as executor:
            for _ in range(3):
                assert executor.submit(fleet.visit, "/lab").result(IN_TIME).status_code == 302
            assert executor.submit(fleet.admin, "GET", "/api/nodes").result(IN_TIME).status_code == 503
        hanging.go_on()


def test_while_one_caller_tries_a_database_that_hung_all_others_are_told_at_once() -> None:
    clock = Clock()
    guard = HangGuard(clock)

    def hang() -> None:
        with guard.passing():
            clock.advance(HUNG_SECONDS)
            raise DatabaseAwayError("no answer")

    with pytest.raises(DatabaseAwayError):
        hang()
    with guard.passing(), pytest.raises(DatabaseAwayError, match="no answer"), guard.passing():
        pytest.fail("it came through")
    with guard.passing(), guard.passing():
        """It answered."""


def test_a_database_that_refuses_at_once_is_tried_by_everybody() -> None:
    guard = HangGuard(Clock())
    with pytest.raises(DatabaseAwayError, match="refused"), guard.passing():
        raise DatabaseAwayError("refused")
    with guard.passing(), guard.passing():
        """Nobody was kept out."""
