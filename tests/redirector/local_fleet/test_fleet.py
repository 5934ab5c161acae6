"""A fleet on this machine with stand-ins for its programs, so that every way to begin and to end is quick to try."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from redirector.local_fleet.child import launch
from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.enrolment import Warmth
from redirector.local_fleet.errors import NotStartedError, StartFailedError
from redirector.local_fleet.fleet import LocalFleet
from redirector.local_fleet.plan import MARK, FleetPlan, Installation, UpOptions, make_plan, node_plan
from redirector.local_fleet.processes import ChildRecord, ProcessFinder, is_alive, read_records, write_records
from redirector.local_fleet.reporter import FleetReady
from redirector.local_fleet.stop_request import StopAsked, StopRequest
from tests.redirector.cli.fake_redirector import node
from tests.support.base_ports import base_port
from tests.support.waiting import wait_until
from tmpnb_common.processes import start_of

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[3]

REDIRECTOR = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from tests.redirector.cli.fake_redirector import FakeRedirector

state = pathlib.Path(os.environ["TMPNB_STATE"])
registry = state / "registry.json"
nodes = json.loads(registry.read_text()) if registry.exists() else []
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
port = int(os.environ["TMPNB_LISTEN"].rpartition(":")[2])
token = pathlib.Path(os.environ["TMPNB_ADMIN_TOKEN_FILE"]).read_text().strip()
with FakeRedirector(*nodes, port=port, token=token) as fake:
    last = False
    while not last:
        last = stop.wait(0.05)
        registry.with_suffix(".new").write_text(json.dumps(list(fake.nodes.values())))
        registry.with_suffix(".new").replace(registry)
"""

AGENT = """#!/bin/sh
case $1 in
serve)
    [ -n "$FAKE_DIES" ] && { echo "this node is not well"; exit 3; }
    mkdir -p "$TMPNB_NODE_STATE_DIR"
    echo the-token-of-the-node >"$TMPNB_NODE_STATE_DIR/token"
    exec sleep 600 ;;
proxy) exec sleep 600 ;;
purge) echo "$TMPNB_NODE_NAME" >>"$TMPNB_UP_STATE/purged"; exit "${FAKE_PURGE:-0}" ;;
esac
"""


class ManualStop(StopRequest):
    """Asks to stop when told to by the test, as a signal would."""

    wanted = False

    @property
    def asked(self) -> bool:
        return self.wanted or super().asked


class Listener:
    """A reporter that remembers, and does something when the fleet is up."""

    def __init__(self, when_up: Callable[[], None]) -> None:
        self.heard: list[str] = []
        self.announcement: FleetReady | None = None
        self._when_up = when_up

    def note(self, text: str) -> None:
        self.heard.append(text)

    def warn(self, text: str) -> None:
        self.heard.append(f"warning: {text}")

    def warming(self, warmth: Warmth) -> None:
        self.heard.append(f"{warmth.ready} of {warmth.wanted}")

    def announce(self, announcement: FleetReady) -> None:
        self.announcement = announcement
        self._when_up()


class Bench:
    """One state directory and the runs from it."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = FleetDirectory.at(tmp_path / "state")
        self.directory.prepare()
        self.run_root = tmp_path / "run"
        self.programs = tmp_path / "bin"
        self.programs.mkdir()
        for name, text in (("tmpnb", REDIRECTOR), ("tmpnb-agent", AGENT)):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        self.stop = ManualStop()
        self.listener = Listener(self.ask_to_stop)
        self.environ = dict(os.environ)
        self.port = base_port()

    def ask_to_stop(self) -> None:
        self.stop.wanted = True

    @property
    def place(self) -> Installation:
        return Installation(self.directory, self.run_root, self.programs, self.environ)

    def plan(self, nodes: int = 1) -> FleetPlan:
        return make_plan(UpOptions(nodes, 4, 4, self.port, "process"), self.place)

    def fleet(self, nodes: int = 1) -> LocalFleet:
        plan = self.plan(nodes)
        known = self.directory.known_nodes()
        return LocalFleet(
            plan,
            self.directory,
            leftovers=[node_plan(int(name[1:]), plan.options, self.place) for name in known],
            uid=os.getuid(),
            reporter=self.listener,
            stop=self.stop,
        )

    def run(self, nodes: int = 1) -> None:
        """One whole run, which ends when somebody asks to stop."""
        fleet = self.fleet(nodes)
        fleet.clear_leftovers()
        fleet.check()
        with pytest.raises(StopAsked):
            fleet.run(lambda: None)

    def registry(self) -> list[dict[str, Any]]:
        return list(json.loads((self.directory.root / "registry.json").read_text()))

    def register(self, *nodes: dict[str, Any]) -> None:
        """As an earlier run left it."""
        (self.directory.root / "registry.json").write_text(json.dumps(nodes))
        for each in nodes:
            self.directory.node(each["name"]).mkdir(parents=True, exist_ok=True)

    def left(self) -> list[psutil.Process]:
        return ProcessFinder(self.directory.root, self.run_root).living()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stop.close()
    assert bench.left() == []


def test_a_run_brings_all_nodes_into_the_registry_and_leaves_nothing_but_that(bench: Bench) -> None:
    def look() -> None:
        wait_until(lambda: len(bench.registry()) == 2, 10)
        # nginx with its worker, the redirector, and two processes of each node.
        assert len(bench.left()) == 7
        assert bench.run_root.is_dir()
        bench.ask_to_stop()

    bench.listener = Listener(look)
    bench.run(nodes=2)
    assert bench.listener.announcement == FleetReady(
        f"http://127.0.0.1:{bench.port}",
        [(f"n{number}", f"http://127.0.0.1:{bench.port + 100 + number}") for number in (1, 2)],
    )
    assert bench.left() == []
    assert not bench.run_root.exists()
    assert not bench.directory.children.exists()
    assert sorted((bench.directory.root / "purged").read_text().split()) == ["n1", "n2"]
    assert bench.directory.published_url() == f"http://127.0.0.1:{bench.port}"


def test_a_part_that_dies_at_the_start_is_named_with_its_last_words(bench: Bench) -> None:
    bench.environ["FAKE_DIES"] = "1"
    fleet = bench.fleet()
    fleet.check()
    with pytest.raises(StartFailedError) as failure:
        fleet.run(lambda: None)
    assert "n1 agent ended (exit code 3)" in str(failure.value)
    assert "this node is not well" in str(failure.value)


def test_a_stop_before_anything_answers_ends_everything(bench: Bench) -> None:
    bench.ask_to_stop()
    bench.run()
    assert bench.listener.announcement is None


@pytest.mark.parametrize("part", ["front", "redirector", "n1 agent", "n1 proxy"])
def test_a_killed_part_is_said_and_started_again(bench: Bench, part: str) -> None:
    def pid_of_part() -> int:
        return next(record.pid for record in read_records(bench.directory.children) if record.name == part)

    class Killing(Listener):
        """Kills the part once the fleet is up, and asks to stop once there is another."""

        before = 0

        def announce(self, announcement: FleetReady) -> None:
            assert announcement
            self.before = pid_of_part()
            os.kill(self.before, signal.SIGKILL)

    class StopWhenBack(ManualStop):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            killed = killing.before
            self.wanted = self.wanted or bool(killed and pid_of_part() != killed)

    killing = Killing(lambda: None)
    bench.listener = killing
    bench.stop.close()
    bench.stop = StopWhenBack()
    bench.run()
    assert f"warning: {part} ended (killed by SIGKILL); starting it again" in bench.listener.heard


def test_what_a_killed_run_left_is_ended_by_the_next(bench: Bench) -> None:
    bench.directory.node("n7").mkdir(parents=True)
    marked, recorded = (
        subprocess.Popen(["/bin/sleep", "600"], env=environ, start_new_session=True)
        for environ in ({MARK: str(bench.directory.root)}, {})
    )
    started = start_of(recorded.pid)
    write_records(bench.directory.children, [ChildRecord("n7 proxy", recorded.pid, started)])
    bench.run()
    assert not is_alive(psutil.Process(marked.pid))
    assert not is_alive(psutil.Process(recorded.pid))
    for process in (marked, recorded):
        process.wait()
    assert "ending 2 processes that an earlier run left behind" in bench.listener.heard
    assert (bench.directory.root / "purged").read_text().split()[0] == "n7"


def test_nginx_that_a_killed_run_left_is_ended_with_its_worker_though_nobody_wrote_it_down(bench: Bench) -> None:
    bench.fleet().check()
    nginx = launch(bench.plan().front)
    wait_until(lambda: len(bench.left()) == 2, 10, "nginx and its worker")
    bench.run()
    assert nginx.wait() == -signal.SIGKILL
    assert "ending 2 processes that an earlier run left behind" in bench.listener.heard


def test_a_node_that_is_not_asked_for_any_more_leaves_the_registry_and_others_stay(bench: Bench) -> None:
    elsewhere = node("n9", url="https://n9.example.org")
    bench.register(node("n1", bench.port + 101), node("n2", bench.port + 102, claimed=1), elsewhere)
    bench.run(nodes=1)
    assert [each["name"] for each in bench.registry()] == ["n1", "n9"]


def test_a_node_that_moves_to_another_port_keeps_draining(bench: Bench) -> None:
    bench.register(node("n1", 1, intent="draining", intent_reason="kernel update"))
    bench.run()
    (moved,) = bench.registry()
    assert moved["url"] == f"http://127.0.0.1:{bench.port + 101}"
    assert (moved["intent"], moved["intent_reason"]) == ("draining", "kernel update")


def test_pools_that_do_not_get_warm_end_the_run_with_the_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redirector.local_fleet.fleet.STANDSTILL_SECONDS", 0.5)
    pools = {"default": {"available": 0, "capacity": 1, "problem": "no space left"}}
    bench.register(node("n1", bench.port + 101, available=0, pools=pools))
    fleet = bench.fleet()
    fleet.check()
    with pytest.raises(StartFailedError, match="no space left"):
        fleet.run(lambda: None)


def test_a_purge_that_fails_is_said_and_everything_ends_all_the_same(bench: Bench) -> None:
    bench.environ["FAKE_PURGE"] = "1"
    bench.run()
    assert any("n1 purge failed" in line for line in bench.listener.heard)
    assert not bench.run_root.exists()


def test_everything_ends_even_if_the_state_directory_was_taken_away(bench: Bench) -> None:
    def take_away() -> None:
        shutil.rmtree(bench.directory.root)
        bench.ask_to_stop()

    bench.listener = Listener(take_away)
    bench.run()


@pytest.mark.parametrize("offset", [0, 1, 101])
def test_a_port_in_use_is_found_before_anything_starts(bench: Bench, offset: int) -> None:
    fleet, taken = bench.fleet(), bench.port + offset
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(NotStartedError, match=f"port {taken} is in use"):
        fleet.check()
