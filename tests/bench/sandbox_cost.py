"""What a warm sandbox costs until its first page is served, beside a stock `jupyter lab` in the same run.

`python -m tests.bench.sandbox_cost [ROUNDS]`; the rows take turns, so that whatever else happens on the machine happens
to all of them. Processor time is that of the whole process tree. Memory is the tree's PSS: what is shared with others
counts in parts, so that the sum over sandboxes is what they really take.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from node_agent.errors import EngineError
from node_agent.jupyter.client import landing_problem
from node_agent.jupyter.command import JUPYTER_LAB, expand
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.limits import DockerLimits
from tests.bench.report import Table, machine
from tests.support.docker_host import BASE_IMAGE, ROOT, build, docker_host, notebook_image
from tests.support.waiting import wait_until
from tmpnb_common.keys import base_path, new_key

ROUNDS = 5
READY_SECONDS = 60.0
LANDING = "/lab"
STOCK = (str(Path(sys.executable).with_name("jupyter")), "lab")
OURS = (sys.executable, "-P", "-m", "node_agent.jupyter.lab_launcher")
STOCK_IMAGE = """ARG BASE_IMAGE
FROM $BASE_IMAGE
COPY requirements.txt /
RUN pip install --no-cache-dir -r /requirements.txt && useradd --create-home --uid 1000 visitor
USER visitor
ENV HOME=/home/visitor
"""


@dataclass(frozen=True)
class Cost:
    """Of one sandbox, when its landing page has come."""

    wall: float
    cpu: float
    pss: int


def ready(socket: Path, base: str) -> None:
    wait_until(lambda: socket.exists() and not landing_problem(socket, base, LANDING), READY_SECONDS, "the sandbox")


def cost(begun: float, pid: int) -> Cost:
    """Of the tree below a process that is ready now. Children that have ended are in their parents' sums."""
    wall = time.monotonic() - begun
    root = psutil.Process(pid)
    tree = [root, *root.children(recursive=True)]
    return Cost(wall, processor_seconds(root), sum(process.memory_full_info().pss for process in tree))


def processor_seconds(root: psutil.Process) -> float:
    """What a process tree has used so far, its ended children included."""
    return float(sum(sum(process.cpu_times()[:4]) for process in (root, *root.children(recursive=True))))


def of_process(server: tuple[str, ...]) -> Cost:
    """A server as the process runtime starts it; `server` is what starts it."""
    key = new_key(secrets.choice)
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as home:
        socket = Path(home) / "jupyter.sock"
        argv = expand(
            JUPYTER_LAB, server=server, base_path=base_path(key), socket=str(socket), home=home, landing=LANDING
        )
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": home}
        begun = time.monotonic()
        with subprocess.Popen(argv, cwd=home, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                ready(socket, base_path(key))
                return cost(begun, process.pid)
            finally:
                process.terminate()
                process.wait(20)


def of_container(engine: DockerEngine, image: str) -> Cost:
    """A sandbox as the Docker runtime starts it; the engine's own work is not in the processor time."""
    with docker_host(engine, image, DockerLimits(), JUPYTER_LAB) as host:
        launch = host.launch()
        begun = time.monotonic()
        host.runtime.start(launch)
        ready(launch.directory / "jupyter.sock", base_path(launch.key))
        state = host.engine.state(host.container(launch))
        assert state is not None
        return cost(begun, state["Pid"])


def stock_image() -> str:
    """The same packages on the same base, installed without a thought."""
    requirements = ROOT / "deploy" / "notebook" / "requirements.txt"
    return build("tmpnb-bench-stock", STOCK_IMAGE, [requirements], requirements.parent)


@contextmanager
def contenders() -> Iterator[dict[str, Callable[[], Cost]]]:
    """What is measured, by name; without an engine only the processes."""
    found: dict[str, Callable[[], Cost]] = {
        "process, stock jupyter lab": lambda: of_process(STOCK),
        "process, ours": lambda: of_process(OURS),
    }
    engine = DockerEngine()
    try:
        engine.ping()
    except EngineError as error:
        print(f"without containers: {error}", file=sys.stderr)
        yield found
        return
    stock, ours = stock_image(), notebook_image()
    found["docker, stock jupyter lab"] = lambda: of_container(engine, stock)
    found["docker, ours"] = lambda: of_container(engine, ours)
    try:
        yield found
    finally:
        engine.close()


def image_sizes() -> str:
    """What the images add to the base, in words; empty without an engine."""
    engine = DockerEngine()
    try:
        sizes = {
            name: (engine.image(name) or {}).get("Size", 0) for name in (BASE_IMAGE, stock_image(), notebook_image())
        }
    except EngineError:
        return ""
    finally:
        engine.close()
    base, stock, ours = sizes.values()
    return f" Images: {(stock - base) / 1e6:.0f} MB stock, {(ours - base) / 1e6:.0f} MB ours, beyond the base."


def run(rounds: int = ROUNDS) -> Table:
    costs: dict[str, list[Cost]] = {}
    with contenders() as found:
        for _ in range(rounds):
            for name, measure in found.items():
                costs.setdefault(name, []).append(measure())
    rows = [
        [
            name,
            f"{statistics.median(cost.wall for cost in measured):.2f} s",
            f"{statistics.median(cost.cpu for cost in measured):.2f} s",
            f"{statistics.median(cost.pss for cost in measured) / 1e6:.0f} MB",
        ]
        for name, measured in costs.items()
    ]
    return Table(
        f"A warm sandbox, until {LANDING} is served: medians of {rounds}",
        ["", "wall", "processor", "memory (PSS)"],
        rows,
        f"Processor time is the whole process tree's, without the engine's own.{image_sizes()}",
    )


if __name__ == "__main__":
    print(f"{machine()}\n")
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
