"""How soon a killed node is out of use, and how soon a restarted one is back, for every worker."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.report import Table, milliseconds, percentile
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

ROUNDS = 10
NODES, SLOTS, WORKERS = 5, 1000, 4
READ_SECONDS = 0.5
"""Workers read the board this often, so that the last of them knows by so much later than it stands there."""


def run() -> Table:
    """Nobody visits meanwhile: what is measured is what polls notice by themselves."""
    with Swarm(NODES, SLOTS) as swarm, tempfile.TemporaryDirectory() as root:
        served = Served(Path(root) / "state", TMPNB_WORKERS=str(WORKERS), TMPNB_POLL_SECONDS="2")
        try:
            served.wait_until_up()
            swarm.enrol(f"sqlite:///{served.state}/fleet.db")
            _until(lambda: _slots(served) == NODES * SLOTS)
            out, back = [], []
            for _ in range(ROUNDS):
                swarm.die("n1")
                out.append(_until(lambda: _first_choices(served) == NODES - 1) + READ_SECONDS)
                # Not merely doubted: gone for good, as far as anyone knows.
                _until(lambda: _slots(served) == (NODES - 1) * SLOTS)
                swarm.start("n1")
                back.append(_until(lambda: _first_choices(served) == NODES) + READ_SECONDS)
        finally:
            served.stop()
    return Table(
        f"A node dies and comes back, nodes polled every 2 s, {WORKERS} workers",
        ["", "median", "slowest"],
        [
            ["no visitor is sent there first", milliseconds(out), f"{percentile(out, 100) * 1000:.0f} ms"],
            ["visitors are sent there again", milliseconds(back), f"{percentile(back, 100) * 1000:.0f} ms"],
        ],
        "A worker whose own visitor meets the dead node stops using it at that moment.",
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
