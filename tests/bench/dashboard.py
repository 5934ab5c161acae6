"""What an open dashboard costs as the fleet grows: what each update weighs, and the server's time for it."""

from __future__ import annotations

import gzip
import tempfile
import time
from pathlib import Path

import psutil
import requests

from tests.bench.report import Table, milliseconds
from tests.support.served import TOKEN, Served
from tests.support.swarm import Swarm

SIZES = (10, 200)
SLOTS = 40
UPDATES = 100
EVERY_SECONDS = 2.0
"""The page's own tick."""


def run() -> Table:
    """Fake nodes, the redirector as it is shipped, one worker, which polls as well."""
    return Table(
        f"An open dashboard, {SLOTS} slots a node",
        ["nodes", "an update", "compressed", "answered within", "processor time", "share of a core"],
        [_row(size) for size in SIZES],
        f"{UPDATES} updates in a row: the median of the answers, and the mean of the processor time, without what "
        "polling takes meanwhile. The share is that of one dashboard, which asks every "
        f"{EVERY_SECONDS:g} s while it is looked at.",
    )


def _row(size: int) -> list[str]:
    with Swarm(size, SLOTS) as swarm, tempfile.TemporaryDirectory() as root:
        served = Served(Path(root) / "state", TMPNB_WORKERS="1", TMPNB_POLL_SECONDS="2")
        try:
            served.wait_until_up()
            swarm.enrol(f"sqlite:///{served.state}/fleet.db")
            served.wait_until_known(size * SLOTS, 60)
            with requests.Session() as browser:
                browser.post(f"{served.url}/dashboard/login", data={"token": TOKEN}, timeout=10).raise_for_status()
                return [str(size), *_measured(browser, f"{served.url}/dashboard/fleet.json", served.workers()[0])]
        finally:
            served.stop()


def _measured(browser: requests.Session, url: str, worker: psutil.Process) -> list[str]:
    before, began = _spent(worker), time.monotonic()
    time.sleep(10)  # what polling takes in this while
    polling = (_spent(worker) - before) / (time.monotonic() - began)
    seconds, before, began = [], _spent(worker), time.monotonic()
    for _ in range(UPDATES):
        asked = time.monotonic()
        answer = browser.get(url, timeout=10)
        seconds.append(time.monotonic() - asked)
        answer.raise_for_status()
    lasted = time.monotonic() - began
    processor = max(0.0, _spent(worker) - before - polling * lasted) / UPDATES
    return [
        f"{len(answer.content) / 1024:.1f} KiB",
        f"{len(gzip.compress(answer.content)) / 1024:.1f} KiB",
        milliseconds(seconds),
        f"{processor * 1000:.1f} ms",
        f"{processor / EVERY_SECONDS:.2%}",
    ]


def _spent(worker: psutil.Process) -> float:
    return sum(worker.cpu_times()[:2])
