"""A flash crowd: more visitors a second than any node could take alone, while one node dies and one hangs."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.report import Table, percentile
from tests.support.crowd import Visit, visit_all
from tests.support.postgres import PostgresCluster, postgres_programs
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

VISITORS, SECONDS = 2000, 5.0
NODES, SLOTS = 20, 105
HANGS_SECONDS = 2.0

READ_SECONDS = 0.5
"""Workers read the board this often."""


def run() -> Table:
    """One host with SQLite; two hosts with PostgreSQL where that is installed."""
    rows = [_row("1 host, 4 workers, SQLite", _crowd(hosts=1, database=""))]
    programs = postgres_programs()
    if programs is not None:
        cluster = PostgresCluster(programs)
        try:
            rows.append(_row("2 hosts, 4 workers each, PostgreSQL", _crowd(hosts=2, database=cluster.url())))
        finally:
            cluster.remove()
    return Table(
        f"Flash crowd: {VISITORS} visitors in {SECONDS:g} s, {NODES * SLOTS} slots on {NODES} nodes; in the middle one "
        f"node dies for good and one hangs for {HANGS_SECONDS:g} s",
        ["redirector", "without a sandbox", "waited", "tries a visitor", "p50", "p99", "slowest"],
        rows,
        "Times are from the visitor's first connection to the redirect to a sandbox. Visitors, nodes and redirectors "
        "share the machine.",
    )


def _row(name: str, found: tuple[list[Visit], float]) -> list[str]:
    visits, tries = found
    seconds = [visit.seconds for visit in visits if visit.sandbox]
    assert len({visit.sandbox for visit in visits if visit.sandbox}) == len(seconds), "a sandbox was handed out twice"
    return [
        name,
        str(sum(not visit.sandbox for visit in visits)),
        str(sum(not visit.straight_in for visit in visits if visit.sandbox)),
        f"{tries:.3f}",
        *(f"{percentile(seconds, percent) * 1000:.0f} ms" for percent in (50, 99, 100)),
    ]


def _crowd(*, hosts: int, database: str) -> tuple[list[Visit], float]:
    with Swarm(NODES, SLOTS) as swarm, _redirectors(hosts, database) as served:
        swarm.enrol(database or f"sqlite:///{served[0].state}/fleet.db")
        for host in served:
            host.wait_until_known(NODES * SLOTS, 30)
        time.sleep(2 * READ_SECONDS)  # a worker that nobody has asked yet knows as well by then
        trouble = [
            threading.Timer(SECONDS / 2, swarm.die, ["n1"]),
            threading.Timer(SECONDS / 2, _hang, [swarm, "n2", "hanging"]),
            threading.Timer(SECONDS / 2 + HANGS_SECONDS, _hang, [swarm, "n2", "well"]),
        ]
        for timer in trouble:
            timer.start()
        visits = visit_all([f"{host.url}/" for host in served], count=VISITORS, over=SECONDS)
        for timer in trouble:
            timer.join()
        placed = sum(bool(visit.sandbox) for visit in visits)
        wait_until(lambda: _counted(served[0])["placed"] >= placed, 10, "the counters")
        counted = _counted(served[0])
    return visits, counted["tries"] / counted["placed"]


def _hang(swarm: Swarm, name: str, mood: str) -> None:
    swarm.change(name, mood=mood)


def _counted(host: Served) -> dict[str, int]:
    return {"placed": 0, **host.admin("GET", "/api/fleet").json()["visitors"]}


@contextmanager
def _redirectors(hosts: int, database: str) -> Iterator[list[Served]]:
    environ = {"TMPNB_WORKERS": "4", "TMPNB_POLL_SECONDS": "2", "TMPNB_CLIENT_FREE": "127.0.0.0/8"}
    if database:
        environ["TMPNB_DATABASE_URL"] = database
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        served = []
        for number in range(hosts):
            host = Served(Path(root) / f"host{number}", **environ)
            stack.callback(host.stop)
            host.wait_until_up()
            served.append(host)
        yield served
