"""`tmpnb up` as people run it: a real fleet of one node with one sandbox, stopped, killed and interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from node_agent.runtimes.docker.labels import RUN_LABEL
from redirector.local_fleet.plan import run_root
from tests.support.base_ports import base_port
from tests.support.docker_host import local_engine, notebook_image
from tests.support.kernels import Kernel, base_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TMPNB = str(Path(sys.executable).parent / "tmpnb")
UP_SECONDS = 120.0
STOP_SECONDS = 60.0


class Up:
    """One state directory, and the `tmpnb up` that runs from it."""

    def __init__(self, root: Path) -> None:
        # People have such directories, and `make up` keeps its state where they have put the sources.
        self.state = root / "my stäte"
        self.output = root / "output"
        self.port = base_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        options = f"--nodes 1 --warm 1 --capacity 1 --port {self.port}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [TMPNB, "up", *options.split(), "--state", str(self.state), *more],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    def start_and_wait(self, *more: str) -> subprocess.Popen[bytes]:
        process = self.start(*more)
        self.wait_for("The fleet is up", UP_SECONDS)
        return process

    def wait_for(self, words: str, seconds: float) -> None:
        def said() -> bool:
            assert self.process is None or self.process.poll() is None, self.said()
            return words in self.said()

        wait_until(said, seconds, f"{words!r}")

    def said(self) -> str:
        return self.output.read_text()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another `tmpnb` command for this fleet."""
        command = [TMPNB, *words, "--state", str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def nodes(self) -> list[dict[str, Any]]:
        listed = self.run("node", "list", "--json")
        assert listed.returncode == 0, listed.stderr
        return list(json.loads(listed.stdout))

    def processes(self) -> dict[int, str]:
        """Everything that runs because of this fleet, other than `tmpnb up` itself."""
        traces = (str(self.state), f"{run_root(self.state, os.getuid(), os.environ.get('XDG_RUNTIME_DIR'))}/")
        found = {}
        for process in psutil.process_iter():
            if self.process is not None and process.pid == self.process.pid:
                continue
            try:
                words = " ".join([*process.cmdline(), *process.environ().values()])
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if any(trace in words for trace in traces):
                found[process.pid] = words[:200]
        return found

    def assert_nothing_is_left(self) -> None:
        assert self.processes() == {}
        for port in (self.port, self.port + 1, self.port + 101):
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(("127.0.0.1", port))
        assert not run_root(self.state, os.getuid(), os.environ.get("XDG_RUNTIME_DIR")).exists()
        assert not list(self.state.rglob("*.sock"))


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path.resolve())
    yield up
    if up.process is not None and up.process.poll() is None:
        up.process.terminate()
        up.process.wait(STOP_SECONDS)
    for pid in up.processes():
        os.kill(pid, signal.SIGKILL)


def test_term_ends_everything_and_the_next_run_remembers_what_operators_decided(up: Up) -> None:
    process = up.start_and_wait()
    second = up.run("up", "--port", str(base_port()))
    assert (second.returncode, len(second.stderr.splitlines())) == (2, 1)
    assert f"pid {process.pid}" in second.stderr

    visit = requests.get(up.url, allow_redirects=False, timeout=30)
    with Kernel(base_of(visit.headers["Location"])) as kernel:
        assert kernel.run("6*7") == "42"
        wait_until(lambda: up.nodes()[0]["claimed"] == 1, 30, "the fleet to know of the session")
        (before,) = up.nodes()
        assert up.run("node", "drain", "n1", "--force", "--reason", "a test").returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0
    up.assert_nothing_is_left()
    away = up.run("node", "list")
    assert (away.returncode, len(away.stderr.splitlines())) == (1, 1)

    process = up.start_and_wait()
    (after,) = up.nodes()
    assert (after["intent"], after["intent_reason"]) == ("draining", "a test")
    assert after["node_id"] == before["node_id"]
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 0
    up.assert_nothing_is_left()


def test_killed_parts_come_back_and_a_killed_up_is_cleaned_up_by_the_next(up: Up) -> None:
    process = up.start_and_wait()
    for part in ("agent", "proxy", "redirector", "front"):
        (record,) = [child for child in children_of(up) if part in child["name"]]
        os.kill(record["pid"], signal.SIGKILL)
        up.wait_for(f"{record['name']} ended (killed by SIGKILL)", 30)
    wait_until(lambda: visited(up), 60, "a visitor's way in after all parts were killed")

    before = up.processes()
    assert len(before) > 3
    process.kill()
    process.wait()
    up.start_and_wait()
    assert not before.keys() & up.processes().keys()
    assert visited(up)


def test_an_interrupt_while_the_pools_warm_ends_everything(up: Up) -> None:
    process = up.start()
    up.wait_for("0 of 1 sandboxes", UP_SECONDS)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 0
    assert "The fleet is up" not in up.said()
    up.assert_nothing_is_left()


@pytest.mark.docker
def test_a_fleet_of_containers_takes_a_visitor_and_leaves_no_container(up: Up) -> None:
    with local_engine() as engine:
        process = up.start_and_wait("--runtime", "docker", "--image", notebook_image())
        assert "isolate nothing" not in up.said()
        mine = [f"{RUN_LABEL}={run_root(up.state, os.getuid(), os.environ.get('XDG_RUNTIME_DIR'))}/n1"]
        visit = requests.get(up.url, allow_redirects=False, timeout=30)
        with Kernel(base_of(visit.headers["Location"])) as kernel:
            assert kernel.run("6*7") == "42"
            assert engine.containers(mine)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0
        assert engine.containers(mine) == []
    up.assert_nothing_is_left()


def children_of(up: Up) -> list[dict[str, Any]]:
    return list(json.loads((up.state / "children.json").read_text()))


def visited(up: Up) -> bool:
    """Whether the entry URL leads to a page of a sandbox now."""
    try:
        answer = requests.get(up.url, allow_redirects=False, timeout=30)
        if answer.status_code != requests.codes.found:
            return False
        return requests.get(answer.headers["Location"], timeout=30).ok
    except requests.RequestException:
        return False
