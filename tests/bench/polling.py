"""What watching the nodes costs as the fleet grows: a worker that polls all of them, and one that only reads along."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from random import Random

import psutil

from redirector.memory.fleet_state import FleetState
from redirector.model.placement import choose
from redirector.store.boards import Boards
from redirector.store.database import Database
from redirector.store.registry import Registry
from tests.bench.report import Table
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

SIZES = (10, 100, 1000)
SECONDS = 20.0
DECISIONS = 2000


def run() -> Table:
    """Fake nodes, real HTTP, the redirector as it is shipped."""
    return Table(
        "Every node polled every 2 s",
        ["nodes", "worker that polls", "another worker", "memory of the first", "decision for one visitor"],
        [_row(size) for size in SIZES],
        f"Shares of one core over {SECONDS:g} s, without visitors. A decision is the choice of a node, not its claim.",
    )


def _row(size: int) -> list[str]:
    with Swarm(size, 5) as swarm, tempfile.TemporaryDirectory() as root:
        served = Served(Path(root) / "state", TMPNB_WORKERS="2", TMPNB_POLL_SECONDS="2")
        try:
            served.wait_until_up()
            database_url = f"sqlite:///{served.state}/fleet.db"
            swarm.enrol(database_url)
            wait_until(lambda: served.available() == size * 5, 60, "all nodes")
            polls = psutil.Process(int(served.poller().split(":")[-2]))
            (reads,) = [worker for worker in served.workers() if worker.pid != polls.pid]
            shares = _shares([polls, reads])
            memory = polls.memory_info().rss
            decision = _decision(database_url)
        finally:
            served.stop()
    return [
        str(size),
        *(f"{share:.1%}" for share in shares),
        f"{memory / 2**20:.0f} MiB",
        f"{decision * 1e6:.0f} µs",
    ]


def _shares(processes: list[psutil.Process]) -> list[float]:
    before, began = [sum(process.cpu_times()[:2]) for process in processes], time.monotonic()
    time.sleep(SECONDS)  # what is measured is this while, not an event in it
    spent = time.monotonic() - began
    return [(sum(process.cpu_times()[:2]) - was) / spent for process, was in zip(processes, before, strict=True)]


def _decision(database_url: str) -> float:
    """Seconds of processor time for one choice, on the board as it is."""
    database = Database(database_url)
    fleet_state, rng = FleetState(), Random(0)
    fleet_state.take(Registry(database).all(), Boards(database).latest())
    database.close()
    room = fleet_state.pool()
    began = time.process_time()
    for number in range(DECISIONS):
        now = float(number)
        choose(
            room.ranking,
            room.free_slots.free,
            room.free_slots.asked_lately(now),
            (),
            rng,
            slow=room.free_slots.overdue(now),
        )
    return (time.process_time() - began) / DECISIONS
