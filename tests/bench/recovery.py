"""How soon every worker knows that a node was killed, by polls or from one visitor, and that it is back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.report import Table, milliseconds, percentile
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

ROUNDS = 12
FOUND = 302
NODES, SLOTS, WORKERS = 5, 1000, 4
READ_SECONDS = 0.15
"""Workers read the board this often, so that the last of them knows by so much later than it stands there."""


def run() -> Table:
    """In half of the rounds nobody visits meanwhile: what is measured then is what polls notice by themselves."""
    with Swarm(NODES, SLOTS) as swarm, tempfile.TemporaryDirectory() as root:
        served = Served(Path(root) / "state", TMPNB_WORKERS=str(WORKERS), TMPNB_POLL_SECONDS="2")
        try:
            served.wait_until_up()
            swarm.enrol(f"sqlite:///{served.state}/fleet.db")
            _until(lambda: _slots(served) == NODES * SLOTS)
            # The emptiest, so that the next visitor goes there.
            swarm.change("n1", ready=SLOTS + ROUNDS, capacity=SLOTS + ROUNDS)
            _until(lambda: _slots(served) == NODES * SLOTS + ROUNDS)
            out: list[float] = []
            met: list[float] = []
            back: list[float] = []
            for number in range(ROUNDS):
                time.sleep(2 * READ_SECONDS)  # whichever worker the visitor meets knows the node by then
                swarm.die("n1")
                if number % 2:
                    answer = served.get("/")
                    assert answer is not None
                    assert answer.status_code == FOUND
                (met if number % 2 else out).append(_until(lambda: _first_choices(served) == NODES - 1) + READ_SECONDS)
                # Not merely doubted: gone for good, as far as anyone knows.
                _until(lambda: _slots(served) < NODES * SLOTS - ROUNDS)
                swarm.start("n1")
                back.append(_until(lambda: _first_choices(served) == NODES) + READ_SECONDS)
        finally:
            served.stop()
    return Table(
        f"A node dies and comes back, nodes polled every 2 s, {WORKERS} workers",
        ["", "median", "slowest"],
        [
            ["no visitor is sent there first", milliseconds(out), f"{percentile(out, 100) * 1000:.0f} ms"],
            ["the same, once one visitor met it", milliseconds(met), f"{percentile(met, 100) * 1000:.0f} ms"],
            ["visitors are sent there again", milliseconds(back), f"{percentile(back, 100) * 1000:.0f} ms"],
        ],
        f"With the {READ_SECONDS:g} s after which the last worker has read it. A worker whose own visitor meets the "
        "dead node stops using it at that moment.",
    )


def _until(condition: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    wait_until(condition, 60)
    return time.monotonic() - began


def _slots(served: Served) -> int:
    return served.available()


def _first_choices(served: Served) -> int:
    nodes = served.admin("GET", "/api/nodes").json()["nodes"]
    return sum(node["eligible"] for node in nodes)
