"""From the entry URL to the first byte of the lab page, with a warm pool."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.bench.report import Table, milliseconds, percentile
from tests.support.live_fleet import LiveFleet

NODES, CAPACITY, ONE_BY_ONE = 2, 5, 10


def run() -> Table:
    """One visitor at a time, then as many at once as the pools hold."""
    slots = NODES * CAPACITY
    with LiveFleet(NODES, CAPACITY, TMPNB_NODE_UNVISITED_SECONDS="3600") as fleet:
        fleet.wait_until_available(slots)
        settle(fleet)
        alone = []
        for _ in range(ONE_BY_ONE):
            # The pool is full again before the next one comes: what is measured is a visit, not a refill beside it.
            end_sessions(fleet)
            fleet.wait_until_available(slots)
            settle(fleet)
            alone.append(visit(fleet.url))
        end_sessions(fleet)
        fleet.wait_until_available(slots)
        settle(fleet)
        with ThreadPoolExecutor(slots) as crowd:
            together = list(crowd.map(visit, [fleet.url] * slots))
    return Table(
        "Entry URL to the first byte of the lab page, warm pool",
        ["visitors", "median", "p90", "slowest"],
        [
            [
                "1 at a time",
                milliseconds(alone),
                f"{percentile(alone, 90) * 1000:.0f} ms",
                f"{max(alone) * 1000:.0f} ms",
            ],
            [
                f"{slots} at once",
                milliseconds(together),
                f"{percentile(together, 90) * 1000:.0f} ms",
                f"{max(together) * 1000:.0f} ms",
            ],
        ],
        "JupyterHub with tmpauthenticator, on the same kind of machine: 5 s for one, 22 to 26 s for ten at once.",
    )


def visit(url: str) -> float:
    """Seconds until the first byte of the page that the entry URL leads to has arrived."""
    start = time.perf_counter()
    with requests.get(url, stream=True, timeout=60) as answer:
        next(answer.iter_content(1))
        elapsed = time.perf_counter() - start
        assert answer.status_code == 200, answer.status_code
        assert "/user/" in answer.url, "the visitor was sent to a waiting page"
    return elapsed


def end_sessions(fleet: LiveFleet) -> None:
    """End what earlier visits claimed, through the nodes' control API."""
    for node in fleet.nodes:
        headers = {"Authorization": f"Bearer {node.token}"}
        sandboxes = requests.get(f"{node.url}/api/sandboxes", headers=headers, timeout=10).json()["sandboxes"]
        for sandbox in sandboxes:
            if sandbox["state"] == "claimed":
                requests.delete(f"{node.url}/api/sandboxes/{sandbox['name']}", headers=headers, timeout=30)


def settle(fleet: LiveFleet) -> None:
    """Wait until the machine is quiet: nothing starting on any node."""
    deadline = time.monotonic() + 120
    while any(node.stats().get("starting", 1) for node in fleet.nodes):
        assert time.monotonic() < deadline, "the pools do not settle"
        time.sleep(0.2)
    time.sleep(1)
