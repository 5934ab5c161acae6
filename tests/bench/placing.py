"""What placing a visitor costs, beside a bare redirect and beside a bare claim by the same client."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import requests

from tests.bench.report import Table
from tests.support.base_ports import free_ports
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

SECONDS = 2
ROUNDS = 8
THREADS = 16
NODES, SLOTS = 4, 1_000_000
IDLE_SECONDS = 1
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class _Server:
    url: str
    worker: psutil.Process


def run() -> Table:
    """One worker each. Short rounds alternate, and each is compared with the bare claim right before it, by as many
    visitors: so a busy moment of the machine meets both.
    """
    with Swarm(NODES, SLOTS) as swarm, tempfile.TemporaryDirectory() as root:
        node = swarm.nodes[0].url
        with _bare("redirect", node) as redirect, _bare("claim", node) as claim, _placing(Path(root), swarm) as placing:
            rounds = [_round(redirect, claim, placing) for _ in range(ROUNDS)]
    rates = {name: statistics.median(measured[name] for measured in rounds) for name in rounds[0]}
    shares = {name: [each[name] / each[f"bare claim, {name[-2:]}"] for each in rounds] for name in rounds[0]}
    return Table(
        f"Visitors a second of one core's time, {NODES} nodes, by visitors at a time",
        ["", "a second", "of a bare claim", "rounds from", "to"],
        [
            [name, f"{rate:.0f}", *(f"{value(shares[name]):.0%}" for value in (statistics.median, min, max))]
            for name, rate in rates.items()
        ],
        "By the processor time of the worker, without what it takes when nobody comes, so that other work on the "
        "machine does not count. Visitors who arrive faster than calls return share a call.",
    )


def _round(redirect: _Server, claim: _Server, placing: _Server) -> dict[str, float]:
    return {
        f"{name}, {connections:>2}": _per_second(server, connections)
        for connections in (1, THREADS)
        for name, server in (("bare redirect", redirect), ("bare claim", claim), ("placed", placing))
    }


def _per_second(server: _Server, connections: int) -> float:
    idle = _cpu_seconds(server.worker)
    time.sleep(IDLE_SECONDS)
    before = _cpu_seconds(server.worker)
    at_rest = (before - idle) / IDLE_SECONDS
    answer = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", server.url], capture_output=True, text=True, check=True
    ).stdout
    busy = _cpu_seconds(server.worker) - before
    assert "Non-2xx" not in answer, answer
    requests_made = re.search(r"(\d+) requests in", answer)
    assert requests_made is not None, answer
    return int(requests_made.group(1)) / (busy - SECONDS * at_rest)


def _cpu_seconds(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return times.user + times.system


@contextmanager
def _bare(name: str, node: str) -> Iterator[_Server]:
    (port,) = free_ports(1)
    options = {"worker-class": "gthread", "workers": "1", "threads": str(THREADS), "bind": f"127.0.0.1:{port}"}
    gunicorn = subprocess.Popen(
        [
            str(BIN / "gunicorn"),
            *(f"--{option}={value}" for option, value in options.items()),
            "--log-level=error",
            "--no-control-socket",
            f"tests.bench.bare:{name}",
        ],
        env={**os.environ, "BARE_NODE": node},
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(partial(_answers, url), 20, "the bare server")
        yield _Server(url, psutil.Process(gunicorn.pid).children()[0])
    finally:
        gunicorn.terminate()
        gunicorn.wait(20)


@contextmanager
def _placing(root: Path, swarm: Swarm) -> Iterator[_Server]:
    environ = {"TMPNB_WORKERS": "1", "TMPNB_THREADS": str(THREADS), "TMPNB_CLIENT_FREE": "127.0.0.0/8"}
    served = Served(root / "state", TMPNB_POLL_SECONDS="2", **environ)
    try:
        served.wait_until_up()
        swarm.enrol(f"sqlite:///{served.state}/fleet.db")
        wait_until(lambda: served.available() > (NODES - 1) * SLOTS, 20, "the nodes")
        yield _Server(f"{served.url}/", served.workers()[0])
    finally:
        served.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, allow_redirects=False, timeout=5).status_code == 302  # HTTP's own
    except requests.ConnectionError:
        return False
