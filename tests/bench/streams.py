"""What a thousand waiting event streams cost: memory, and the time of visitors who are placed meanwhile."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import psutil
import requests

from redirector.model.content import Content, FetchedBlob
from redirector.model.events import Event
from redirector.store.contents import Contents
from redirector.store.database import Database
from tests.bench.report import Table, percentile
from tests.support.base_ports import free_ports
from tests.support.served import Served
from tests.support.stream_crowd import stream_crowd
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

STREAMS, FEW = 1000, 10
"""Those at the front of the waiting room ask all the time, also where nobody stands behind them."""

ROUNDS = 5
VISITS, VISITS_A_SECOND = 600, 100
SLOTS = 1_000_000
POOL, DIGEST = "crowded", "d" * 64


Rounds = dict[int, list[tuple[list[float], float]]]
"""By how many streams wait: of each round, how long visitors took, and the processors' share of the time."""


def run() -> Table:
    """Rounds with and without the streams alternate, so a busy moment of the machine meets both."""
    (port,) = free_ports(1)
    with Swarm(2, SLOTS) as swarm, tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        for node in swarm.nodes:
            swarm.change(node.name, blobs=[DIGEST], pools={POOL: 0})
        settings = {"TMPNB_CLIENT_FREE": "127.0.0.0/8", "TMPNB_TRUSTED_PROXIES": "1", "TMPNB_WAITING_PER_CLIENT": "0"}
        served = Served(Path(root) / "state", TMPNB_STREAMS_LISTEN=f"127.0.0.1:{port}", **settings)
        stack.callback(served.stop)
        served.wait_until_up()
        database = f"sqlite:///{served.state}/fleet.db"
        swarm.enrol(database)
        contents = Contents(Database(database))
        contents.add(Content("course", "gh:org/course", POOL), Event(0.0, "content_added"))
        contents.fetched(contents.all()["course"], FetchedBlob(DIGEST, "c0ffee", 10, 1))
        wait_until(lambda: served.available() > SLOTS, 20, "the nodes")
        url = f"http://127.0.0.1:{port}/build/gh/org/course/HEAD"
        with stream_crowd(url, 1):
            processes = {"streams' process": _streams_process(served), "gunicorn's workers": _workers(served)}
        # Whatever grows once, such as the stacks of threads, has grown before.
        for _ in range(2):
            with stream_crowd(url, 100):
                _visits(served.url, VISITS)
        before = {name: _memory(each) for name, each in processes.items()}
        rounds: Rounds = {0: [], FEW: [], STREAMS: []}
        after: dict[str, float] = {}
        for _ in range(ROUNDS):
            for count, measured in rounds.items():
                with stream_crowd(url, count) if count else nullcontext():
                    cpu = _cpu(processes)
                    began = time.monotonic()
                    measured.append((_visits(served.url, VISITS), (_cpu(processes) - cpu) / (time.monotonic() - began)))
                    if count == STREAMS:
                        after = {name: max(after.get(name, 0.0), _memory(each)) for name, each in processes.items()}
                wait_until(lambda: _waiting(served) == 0, 30, "the waiting room to be empty")
    return _table(rounds, before, after)


def _table(rounds: Rounds, before: dict[str, float], after: dict[str, float]) -> Table:
    ratios = {
        fewer: statistics.median(
            percentile(busy, 99) / percentile(quiet, 99)
            for (quiet, _), (busy, _) in zip(rounds[fewer], rounds[STREAMS], strict=True)
        )
        for fewer in (0, FEW)
    }
    rows = [
        [
            f"{count} streams wait",
            *(f"{statistics.median(percentile(times, at) for times, _ in measured) * 1000:.1f} ms" for at in (50, 99)),
            f"{statistics.median(cpu for _, cpu in measured):.0%}",
            "" if count != STREAMS else f"{sum(after.values()) - sum(before.values()):.0f} MB",
        ]
        for count, measured in rounds.items()
    ]
    said = ", ".join(f"{name} {before[name]:.0f} to {after[name]:.0f} MB" for name in before)
    return Table(
        f"Placing {VISITS_A_SECOND} visitors a second while event streams wait for another pool",
        ["", "median", "99th", "processors", "memory"],
        rows,
        f"99th percentile with {STREAMS} beside that without, median of the rounds: {ratios[0]:.2f}; beside {FEW}: "
        f"{ratios[FEW]:.2f}. Memory (private): {said}.",
    )


def _visits(url: str, count: int) -> list[float]:
    """How long each of so many newcomers took to be placed, in seconds, at a steady pace."""
    start = time.monotonic()
    with ThreadPoolExecutor(8) as visitors:
        return list(visitors.map(partial(_visit, url, start), range(count)))


def _visit(url: str, start: float, number: int) -> float:
    time.sleep(max(0.0, start + number / VISITS_A_SECOND - time.monotonic()))
    began = time.monotonic()
    answer = requests.get(f"{url}/", allow_redirects=False, timeout=20, headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 302, answer.text
    return time.monotonic() - began


def _waiting(served: Served) -> int:
    return int(served.admin("GET", "/api/fleet").json()["waiting"])


def _streams_process(served: Served) -> list[psutil.Process]:
    children = psutil.Process(served.process.pid).children(recursive=True)
    return [child for child in children if "--descriptor" in child.cmdline()]


def _workers(served: Served) -> list[psutil.Process]:
    # What watches over the streams' process is a child, too.
    return [child for child in served.workers() if not child.children()]


def _memory(processes: Sequence[psutil.Process]) -> float:
    """Private memory in MB."""
    return sum(process.memory_full_info().uss for process in processes) / 1e6


def _cpu(processes: dict[str, list[psutil.Process]]) -> float:
    times = [process.cpu_times() for each in processes.values() for process in each]
    return sum(each.user + each.system for each in times)
