"""How fast a node refills its pool with real JupyterLab servers, beside what their own processor time allows.

`python -m tests.bench.refill`; the agent is at work already and one sandbox is ready, so that neither its own start nor
the unpacking of an image's browser files is in the time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import requests

from node_agent.errors import EngineError
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.pools.ledger import Ledger
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import RUN_LABEL
from tests.bench.report import Table, machine
from tests.bench.sandbox_cost import processor_seconds
from tests.support.docker_host import notebook_image
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node, settled
from tests.support.waiting import wait_until

SLOTS = 17
"""One that is ready before, and sixteen to measure."""
FILL_SECONDS = 300.0

Roots = Callable[[LiveNode], list[int]]
"""The process numbers of a node's sandboxes."""


def of_processes(node: LiveNode) -> list[int]:
    return [process.pid for process in node.processes() if "lab_launcher" in " ".join(process.cmdline())]


def of_containers(node: LiveNode) -> list[int]:
    with engine() as found:
        assert found is not None
        containers = found.containers([f"{RUN_LABEL}={node.run_dir}"])
        states = [found.state(container["Id"]) or {} for container in containers]
    return [int(state["Pid"]) for state in states]


@contextmanager
def engine() -> Iterator[DockerEngine | None]:
    """The engine of this machine, if there is one."""
    found = DockerEngine()
    try:
        found.ping()
        yield found
    except EngineError as error:
        print(f"without containers: {error}", file=sys.stderr)
        yield None
    finally:
        found.close()


def refill(name: str, roots: Roots, **settings: str) -> list[str]:
    more = {"CAPACITY": str(SLOTS), "WARM": "1", "COMMAND": JUPYTER_LAB, **settings}
    with live_node(**more) as node:
        node.start()
        settled(node, available=1)
        ledger, headers = Ledger(node.run_dir), {"Authorization": f"Bearer {node.token}"}
        begun = time.perf_counter()
        requests.put(f"{node.url}/api/pools/default", json={"warm": SLOTS}, headers=headers, timeout=10)
        # Asked of the directories: a question a moment to the agent would be work for it.
        states = ledger.directory_states
        wait_until(lambda: sum(each.sealed for each in states().values()) == SLOTS, FILL_SECONDS, "the pool")
        elapsed = time.perf_counter() - begun
        pids = roots(node)
        assert len(pids) == SLOTS
        used = sum(processor_seconds(psutil.Process(pid)) for pid in pids) / SLOTS
    cores = os.cpu_count() or 1
    rate = (SLOTS - 1) / elapsed / cores
    return [name, f"{rate:.2f}", f"{used:.2f} s", f"{1 / used:.2f}", f"{100 * rate * used:.0f} %"]


def run() -> Table:
    rows = [refill("process", of_processes, RUNTIME="process")]
    with engine() as found:
        if found is not None:
            rows.append(refill("docker", of_containers, RUNTIME="docker", IMAGE=notebook_image(), PULL="0"))
    return Table(
        f"A refill of {SLOTS - 1} JupyterLab servers on {os.cpu_count()} cores",
        ["runtime", "sandboxes/s per core", "processor time of one", "bound per core", "of the bound"],
        rows,
        "The bound is what the sandboxes' own processor time allows on cores that have nothing else to do. What is "
        "missing to it are the work of the agent, the engine and the kernel for containers, and waiting for them.",
    )


if __name__ == "__main__":
    print(f"{machine()}\n")
    print(run())
