"""What a sandbox takes of what a kernel has a limited number of: the reasons behind deploy/host/90-tmpnb.conf.

`python -m tests.bench.footprint [SANDBOXES]`. Counted in /proc: a container's processes with the engine's supervisor
above them (containerd-shim), and what the engine itself and nginx have more than before, per sandbox. Whatever else the
engine does meanwhile disturbs that.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psutil
import requests

from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.runtimes.docker.engine import DockerEngine
from tests.bench.report import Table, machine
from tests.support.docker_host import notebook_image
from tests.support.docker_node import containers
from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, live_node, settled

SANDBOXES = 8
KERNELS = 2
COLUMNS = ["processes", "threads", "open files", "sockets", "inotify instances", "inotify watches", "terminals"]
ENGINE = ("dockerd", "containerd")


def held(process: psutil.Process) -> Counter[str]:
    """What one process has of everything; nothing if it has just ended."""
    found = Counter({"processes": 1})
    try:
        found["threads"] = process.num_threads()
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            target = str(link.readlink())
            found["open files"] += 1
            found["sockets"] += target.startswith("socket:")
            found["terminals"] += target.endswith("/ptmx")
            if "inotify" in target:
                found["inotify instances"] += 1
                told = Path(f"/proc/{process.pid}/fdinfo/{link.name}").read_text()
                found["inotify watches"] += told.count("inotify wd:")
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        pass
    return found


def total(processes: Iterable[psutil.Process]) -> Counter[str]:
    return sum((held(process) for process in processes), Counter())


def of_sandboxes(node: LiveNode) -> Counter[str]:
    """All containers of a node, each with its supervisor."""
    engine = DockerEngine()
    try:
        states = [engine.state(each) for each in containers(node).values()]
    finally:
        engine.close()
    roots = [psutil.Process(state["Pid"]) for state in states if state is not None]
    shims = [shim for root in roots if (shim := root.parent()) is not None]
    return total([*shims, *(below for shim in shims for below in shim.children(recursive=True))])


def of_engine() -> Counter[str]:
    return total(process for process in psutil.process_iter() if process.name() in ENGINE)


def of_nginx(node: LiveNode) -> Counter[str]:
    return total(process for process in node.processes() if process.name() == "nginx")


def keys() -> int:
    """The kernel's keys, of all users."""
    return sum(int(line.split()[2].split("/")[0]) for line in Path("/proc/key-users").read_text().splitlines())


def use(base: str) -> list[Kernel]:
    """What a busy visitor opens: kernels with their websockets, and a terminal."""
    kernels = [Kernel(base) for _ in range(KERNELS)]
    for kernel in kernels:
        assert kernel.run("1 + 1") == "2"
    requests.post(f"{base}api/terminals", timeout=30).raise_for_status()
    return kernels


def row(name: str, counts: Counter[str], among: int) -> list[str]:
    return [name, *(f"{counts[column] / among:.1f}".removesuffix(".0") for column in COLUMNS)]


def run(sandboxes: int = SANDBOXES) -> Table:
    before, keys_before = of_engine(), keys()
    settings = {"RUNTIME": "docker", "IMAGE": notebook_image(), "COMMAND": JUPYTER_LAB, "PULL": "0"}
    with live_node(**settings, CAPACITY=str(sandboxes)) as node:
        node.start()
        settled(node, available=sandboxes)
        ready, engine, more_keys = of_sandboxes(node), of_engine(), keys() - keys_before
        engine.subtract(before)
        nginx = of_nginx(node)
        kernels = [kernel for _ in range(sandboxes) for kernel in use(base_of(claim(node)))]
        used, nginx_used = of_sandboxes(node), of_nginx(node)
        nginx_used.subtract(nginx)
        for kernel in kernels:
            kernel.close()
    rows = [
        row("ready", ready, sandboxes),
        row(f"with {KERNELS} kernels and a terminal", used, sandboxes),
        row("the engine's share", engine, sandboxes),
        row(f"nginx's share of {KERNELS} websockets", nginx_used, sandboxes),
    ]
    return Table(
        f"What one of {sandboxes} sandboxes takes of what a kernel has a limited number of",
        ["", *COLUMNS],
        rows,
        f"Keys in the kernel's keyrings: {more_keys / sandboxes:.1f} a sandbox.",
    )


if __name__ == "__main__":
    print(f"{machine()}\n")
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else SANDBOXES))
