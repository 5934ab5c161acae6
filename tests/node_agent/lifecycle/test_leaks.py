"""Nothing leaks: after many claims and culls everything is as it was before the first."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from node_agent.sandboxes import Sandbox
from tests.support.docker_host import local_engine
from tests.support.docker_node import containers, docker_node, ends, remove
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, settled
from tests.support.node_pools import Bench, one_bench
from tests.support.waiting import wait_until
from tmpnb_common.keys import name_of
from tmpnb_common.wire import DEFAULT_POOL

ROUNDS, POOL = 20, 10


@dataclass(frozen=True)
class Counts:
    """What could be left behind."""

    sandboxes: int
    directories: int
    tickets: int
    files: int
    threads: int


def counts(bench: Bench) -> Counts:
    return Counts(
        sandboxes=len(bench.engine.running),
        directories=sum(len(list((bench.run_dir / name).iterdir())) for name in ("ready", "user")),
        tickets=len(list((bench.run_dir / "tickets").iterdir())),
        # The fake sandboxes live in this process: a few of their threads and sockets, those at work, come and go.
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
    )


def at_rest(bench: Bench) -> bool:
    return bench.stats().available == POOL and len(bench.engine.running) == POOL and not (len(bench.table.all()) - POOL)


def test_after_200_claims_and_culls_everything_is_as_before() -> None:
    with one_bench(warm=POOL, capacity=POOL) as bench:
        everybody = one_round(bench, 0)
        before = counts(bench)
        for number in range(1, ROUNDS + 1):
            everybody |= one_round(bench, number)
        wait_until(lambda: counts(bench) == before, 10, f"{counts(bench)} to be {before} again")
    assert len(everybody) == (ROUNDS + 1) * POOL, "each visitor had a sandbox of their own"
    assert (before.sandboxes, before.directories, before.tickets) == (POOL, POOL, 0)


def one_round(bench: Bench, number: int) -> set[str]:
    """Everything is claimed and culled, and the pool is full again."""
    bench.settle(lambda: at_rest(bench), "a full pool")
    claimed = [
        bench.claims.claim(DEFAULT_POOL, f"ticket-{number:04}-{visitor:04}-0123456789") for visitor in range(POOL)
    ]
    names = {each.name for each in claimed if isinstance(each, Sandbox)}
    for number_of_visitor, name in enumerate(sorted(names)):
        if number_of_visitor % 2:
            bench.table.end(name, "idle")
        else:
            bench.engine.die(name)
    bench.settle(lambda: at_rest(bench), "a full pool again")
    return names


# The same on a real engine, seen from outside.

SLOTS = 16
ENDINGS = ("idle", "operator", "dead")
ONCE_IN_A_WHILE = 20
"""Threads and kept connections that the first visitors did not call for yet; a leak would be one for each of 200."""


@dataclass(frozen=True)
class Left:
    """What a node holds on its host."""

    containers: int
    paths: int
    """Everything in its run directory: directories of sandboxes, sockets, tickets, shared files."""
    processes: int


def left(node: LiveNode) -> Left:
    paths = len(list(node.run_dir.rglob("*")))
    return Left(containers=len(containers(node)), paths=paths, processes=len(node.processes()))


def held(node: LiveNode) -> tuple[int, int]:
    """The agent's open files and threads."""
    [worker] = psutil.Process(node.agent.pid).children()
    return worker.num_fds(), worker.num_threads()


def come_and_go(node: LiveNode, visitors: int) -> None:
    """Each visitor has a sandbox of their own, which is culled, ended by an operator, or removed by hand."""
    headers = {"Authorization": f"Bearer {node.token}"}
    before = node.stats()["claims_total"]
    for number in range(visitors):
        wait_until(lambda: node.stats().get("available"), 60, "a ready sandbox")
        name = name_of(claim(node, ticket=f"ticket-{before + number:04}-0123456789-0123456789").split("/")[-2])
        match ENDINGS[number % len(ENDINGS)]:
            case "operator":
                requests.delete(f"{node.url}/api/sandboxes/{name}", headers=headers, timeout=10).raise_for_status()
            case "dead":
                remove(node, name)
    assert node.stats()["claims_total"] == before + visitors
    settled(node, available=SLOTS, claimed=0)


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_after_200_claims_and_culls_on_an_engine_nothing_is_left_of_them() -> None:
    with local_engine(), docker_node(CAPACITY=str(SLOTS), CULL_IDLE_SECONDS="10") as node:
        node.start()
        settled(node, available=SLOTS)
        # Threads have had work, and connections that are kept have been made.
        come_and_go(node, 3 * SLOTS)
        counted, before, (files, threads) = ends(node), left(node), held(node)
        come_and_go(node, 200)
        wait_until(lambda: left(node) == before, 30, f"{left(node)} to be {before} again")
        assert held(node)[0] < files + ONCE_IN_A_WHILE
        assert held(node)[1] < threads + ONCE_IN_A_WHILE
        assert sum(ends(node).values()) - sum(counted.values()) == 200
        assert all(ends(node)[how] > counted[how] for how in ENDINGS)
    assert before.containers == SLOTS
