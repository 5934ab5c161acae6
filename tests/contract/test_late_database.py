"""`tmpnb serve` where PostgreSQL comes up later than it, or will never let it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from redirector.operations.node_rules import Addition, OperatorDecision
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.fleet_worker import stepped_worker
from tests.support.postgres import LOCKED_USER, PostgresCluster
from tests.support.served import Served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgres


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def stopped(cluster: PostgresCluster) -> Iterator[PostgresCluster]:
    """A cluster whose host is still booting; its databases are there once it is up."""
    cluster.stop()
    yield cluster
    if not cluster.runs():
        cluster.start()


def healthy(served: Served) -> tuple[int, str]:
    """What `/healthz` says, with its status; 0 before gunicorn listens."""
    assert served.process.poll() is None, served.log.read_text()
    answer = served.get("/healthz")
    return (0, "") if answer is None else (answer.status_code, answer.json()["status"])


def test_it_waits_for_a_database_that_is_not_up_yet_and_goes_on_by_itself(
    cluster: PostgresCluster, nodes: FakeNodes, tmp_path: Path
) -> None:
    url = cluster.create("late")
    with stepped_worker(tmp_path / "before", TMPNB_DATABASE_URL=url) as before:
        node = nodes.add("n1", ready=3)
        before.worker.control.add(Addition(node.url, token=node.token), OperatorDecision(by="ada"))
    cluster.stop()
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    try:
        wait_until(lambda: healthy(served) == (503, "unhealthy"), 30, "an answer without a database")
        visitor = served.get("/lab")
        assert visitor is not None
        assert (visitor.status_code, "Retry-After" in visitor.headers) == (503, True)
        assert served.admin("GET", "/api/nodes").json()["status"] == "database_away"
        assert "refused; waiting for it" in served.log.read_text()

        cluster.start()
        wait_until(lambda: healthy(served) == (200, "ok"), 30, "the database seen")
        served.wait_until_known(3)
        arrived = served.get("/lab")
        assert arrived is not None
        assert arrived.status_code == 302
    finally:
        if not cluster.runs():
            cluster.start()
        served.stop()
    assert "Traceback" not in served.log.read_text()


def test_it_makes_the_schema_of_a_new_database_once_that_is_there(cluster: PostgresCluster, tmp_path: Path) -> None:
    url = cluster.create("late_and_empty")
    cluster.stop()
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    try:
        wait_until(lambda: healthy(served) == (503, "unhealthy"), 30, "an answer without a database")
        cluster.start()
        wait_until(lambda: healthy(served) == (200, "ok"), 30, "the schema made")
        assert served.admin("GET", "/api/nodes").json() == {"nodes": []}
    finally:
        if not cluster.runs():
            cluster.start()
        served.stop()


def test_it_stops_when_it_is_told_to_while_it_waits(stopped: PostgresCluster, tmp_path: Path) -> None:
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=stopped.url("late"))
    wait_until(lambda: healthy(served) == (503, "unhealthy"), 30, "an answer without a database")
    workers = served.workers()
    assert served.stop() == 0
    assert not [worker for worker in workers if worker.is_running()]


@pytest.mark.parametrize(
    ("user", "database", "words"),
    [
        ("nobody", "postgres", 'role "nobody" does not exist'),
        ("postgres", "no_such_fleet", 'database "no_such_fleet" does not exist'),
        (LOCKED_USER, "postgres", "no password supplied"),
        (f"{LOCKED_USER}:wrong", "postgres", "password authentication failed"),
        (f"{LOCKED_USER}:secret", "postgres", "permission denied for schema public"),
    ],
)
def test_what_no_waiting_would_mend_ends_it_with_one_sentence(
    cluster: PostgresCluster, tmp_path: Path, user: str, database: str, words: str
) -> None:
    with psycopg.connect(cluster.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {LOCKED_USER}")
        connection.execute(f"CREATE ROLE {LOCKED_USER} LOGIN PASSWORD 'secret'")
    url = f"postgresql://{user}@127.0.0.1:{cluster.port}/{database}"
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url)
    assert served.process.wait(30) == 1
    log = served.log.read_text()
    assert words in log
    assert "Traceback" not in log


def test_a_refusal_that_comes_later_is_in_the_log_once_while_it_waits(cluster: PostgresCluster, tmp_path: Path) -> None:
    cluster.stop()
    url = f"postgresql://nobody@127.0.0.1:{cluster.port}/postgres"
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL=url, TMPNB_WORKERS="1")
    try:
        wait_until(lambda: healthy(served) == (503, "unhealthy"), 30, "an answer without a database")
        cluster.start()
        wait_until(lambda: "does not exist" in served.log.read_text(), 30, "the reason")
        assert healthy(served) == (503, "unhealthy")
    finally:
        if not cluster.runs():
            cluster.start()
        served.stop()
    said = [line for line in served.log.read_text().splitlines() if "level=error" in line and "does not exist" in line]
    assert len(said) == 1


def test_an_address_that_no_name_server_knows_is_waited_for(tmp_path: Path) -> None:
    """As the name of a container that has not been started yet."""
    served = Served(tmp_path / "served", TMPNB_DATABASE_URL="postgresql://tmpnb@database.invalid/tmpnb")
    try:
        wait_until(lambda: healthy(served) == (503, "unhealthy"), 30, "an answer without a database")
        assert "waiting for it" in served.log.read_text()
    finally:
        assert served.stop() == 0
