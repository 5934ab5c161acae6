"""Two redirector hosts, one fleet: PostgreSQL carries both, and visitors need it less than operators do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.crowd import Visit, visit_all
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.postgres import PostgresCluster, need_postgres
from tests.support.served import Served
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster(need_postgres())
    yield cluster
    cluster.remove()


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def hosts(cluster: PostgresCluster, tmp_path: Path) -> Iterator[list[Served]]:
    """Both started at the same moment on an empty database: whoever comes second finds the schema made."""
    environ = {"TMPNB_DATABASE_URL": cluster.url(), "TMPNB_CLIENT_FREE": "127.0.0.0/8"}
    hosts = [Served(tmp_path / name, **environ) for name in ("east", "west")]
    try:
        for host in hosts:
            host.wait_until_up()
        yield hosts
    finally:
        for host in hosts:
            host.stop()


def add(host: Served, nodes: FakeNodes, name: str, slots: int) -> None:
    node = nodes.add(name, ready=slots, capacity=slots)
    answer = host.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    assert answer.status_code == 201, answer.text


def crowd_at(hosts: list[Served], executor: ThreadPoolExecutor, count: int, over: float) -> Future[list[Visit]]:
    return executor.submit(visit_all, [f"{host.url}/" for host in hosts], count=count, over=over)


def test_what_is_added_at_one_host_serves_the_visitors_of_both(hosts: list[Served], nodes: FakeNodes) -> None:
    east, west = hosts
    add(east, nodes, "n1", 30)
    for host in hosts:
        host.wait_until_known(30)
    assert east.poller() == west.poller(), "one worker of all hosts polls"
    with ThreadPoolExecutor(1) as executor:
        visits = crowd_at(hosts, executor, count=30, over=1.0).result()
    assert len({visit.sandbox for visit in visits if visit.sandbox}) == 30
    assert west.admin("POST", "/api/nodes/n1/drain", json={"force": True}).status_code == 200
    wait_until(lambda: east.available() == 0, 15, "the other host to know of the drain")


def test_a_database_that_goes_away_under_load_and_comes_back_costs_no_visitor(
    hosts: list[Served], nodes: FakeNodes, cluster: PostgresCluster
) -> None:
    east, west = hosts
    for number in range(4):
        add(east, nodes, f"n{number}", 100)
    for host in hosts:
        host.wait_until_known(400)
    with ThreadPoolExecutor(1) as executor:
        crowd = crowd_at(hosts, executor, count=200, over=8.0)
        cluster.stop()
        try:
            away = wait_until(lambda: _unless_ok(east), 20, "operators to hear of it")
            assert away == "database_away"
        finally:
            cluster.start()
        visits = crowd.result()
    assert all(visit.sandbox for visit in visits), [visit for visit in visits if not visit.sandbox]
    assert all(status < 500 for visit in visits for status in visit.answers if status)
    wait_until(lambda: {_unless_ok(host) for host in hosts} == {""}, 20, "the database's return")
    add(west, nodes, "late", 7)
    wait_until(lambda: east.admin("GET", "/api/nodes/late").json().get("health") == "up", 20, "polls to go on")
    wait_until(lambda: _placed(east) == 200, 15, "every visitor to be counted")


def _unless_ok(host: Served) -> str:
    """Why an operator's call fails; empty while it does not."""
    answer = host.admin("GET", "/api/nodes")
    return "" if answer.ok else str(answer.json()["status"])


def _placed(host: Served) -> int:
    return int(host.admin("GET", "/api/fleet").json()["visitors"].get("placed", 0))
