"""What placing a visitor costs, beside a bare redirect and beside a bare claim by the same client."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import requests

from tests.bench.report import Table
from tests.support.base_ports import free_ports
from tests.support.served import Served
from tests.support.swarm import Swarm
from tests.support.waiting import wait_until

SECONDS = 4
ROUNDS = 3
THREADS = 16
NODES, SLOTS = 4, 1_000_000
BIN = Path(sys.executable).parent


def run() -> Table:
    """One worker each. Rounds alternate, so that a busy moment of the machine meets all of them."""
    with Swarm(NODES, SLOTS) as swarm, tempfile.TemporaryDirectory() as root:
        node = swarm.nodes[0].url
        with _bare("redirect", node) as redirect, _bare("claim", node) as claim, _placing(Path(root), swarm) as placing:
            measured = {
                "bare redirect": partial(_per_second, redirect, THREADS),
                "bare claim": partial(_per_second, claim, THREADS),
                "placed, one visitor at a time": partial(_per_second, placing, 1),
                f"placed, {THREADS} visitors at a time": partial(_per_second, placing, THREADS),
            }
            found = _medians(measured)
    claims = found["bare claim"]
    return Table(
        f"Visitors a second of one core's time, {NODES} nodes",
        ["", "a second", "of a bare claim"],
        [[name, f"{rate:.0f}", f"{rate / claims:.0%}"] for name, rate in found.items()],
        "By the processor time of the worker, so that other work on the machine does not count. Visitors who arrive "
        "faster than calls return share a call.",
    )


def _medians(measured: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    rounds = [{name: measure() for name, measure in measured.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(found[name] for found in rounds) for name in measured}


def _per_second(server: tuple[str, psutil.Process], connections: int) -> float:
    url, worker = server
    before = worker.cpu_times()
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", url], capture_output=True, text=True, check=True
    ).stdout
    after = worker.cpu_times()
    assert "Non-2xx" not in said, said
    requests_made = re.search(r"(\d+) requests in", said)
    assert requests_made is not None, said
    return int(requests_made.group(1)) / (after.user + after.system - before.user - before.system)


@contextmanager
def _bare(name: str, node: str) -> Iterator[tuple[str, psutil.Process]]:
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
        yield url, psutil.Process(gunicorn.pid).children()[0]
    finally:
        gunicorn.terminate()
        gunicorn.wait(20)


@contextmanager
def _placing(root: Path, swarm: Swarm) -> Iterator[tuple[str, psutil.Process]]:
    environ = {"TMPNB_WORKERS": "1", "TMPNB_THREADS": str(THREADS), "TMPNB_CLIENT_FREE": "127.0.0.0/8"}
    served = Served(root / "state", TMPNB_POLL_SECONDS="2", **environ)
    try:
        served.wait_until_up()
        swarm.enrol(f"sqlite:///{served.state}/fleet.db")
        wait_until(lambda: served.available() > (NODES - 1) * SLOTS, 20, "the nodes")
        yield f"{served.url}/", served.workers()[0]
    finally:
        served.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, allow_redirects=False, timeout=5).status_code == 302  # HTTP's own
    except requests.ConnectionError:
        return False
