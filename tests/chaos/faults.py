"""What goes wrong: each fault begins at some part of the fleet, lasts for some seconds, and is healed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import requests

from tests.chaos.clock import Clock
from tests.chaos.fleet import ChaosFleet
from tests.support.fleet_node import FakeNode, Mood
from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import ADMIN_TOKEN, BIN, Component, LiveNode
from tests.support.waiting import wait_until

Heal = Callable[[], None]

HOSTILE_MOODS: tuple[Mood, ...] = ("garbled", "endless", "trickling", "hanging", "alien", "mute", "failing")

HOSTILE_SERVER = (
    "import os, pathlib, re, subprocess, sys\n"
    "line = pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_bytes().decode()\n"
    "path = re.search(r'(/[^\\0=]*jupyter\\.sock)', line).group(1)\n"
    f"program = {Path(__file__).with_name('hostile_server.py').read_text()!r}\n"
    "subprocess.Popen([sys.executable, '-c', program, path], start_new_session=True)\n"
)
"""A visitor's code that puts a server of its own in the place of Jupyter's; it ends by itself after a minute."""


@dataclass(frozen=True)
class Fault:
    """One kind of misfortune."""

    name: str
    begin: Callable[[], Heal]
    """Makes it happen and returns what ends it."""


class Faults:
    """All kinds, for one fleet."""

    def __init__(self, fleet: ChaosFleet, clock: Clock, rng: Random) -> None:
        self._fleet, self._clock, self._rng = fleet, clock, rng
        self._backup = fleet.root / "backup.dump"
        self.problems: list[str] = []
        """What an operator was refused that ought to work."""
        self._rolls = 0

    def prepare(self) -> None:
        """Before the first visitor: make a backup that holds an old order to end sessions."""
        first = self._fleet.nodes[0].name
        self.operator("node", "drain", first, "--end-sessions-at", "+30s", "--force", "--yes")
        self._database("pg_dump", "-Fc", "-f", str(self._backup), "postgres")
        self.operator("node", "resume", first)

    def all(self) -> list[Fault]:
        kinds: dict[str, Callable[[], Heal]] = {
            "agent killed": self.agent_killed,
            "agent stopped": self.agent_hangs,
            "nginx master killed": self.proxy_killed,
            "nginx worker killed": self.proxy_worker_killed,
            "node cut off": self.node_cut_off,
            "redirector host killed": self.host_killed,
            "redirector worker killed": self.worker_killed,
            "redirector host stopped": self.host_hangs,
            "database killed": self.database_killed,
            "database stopped": self.database_hangs,
            "registry restored": self.restored,
            "clock step": self.clock_step,
            "run directory full": self.disk_full,
            "roll": self.roll,
            "drain and resume": self.drain,
            "hostile sandbox": self.hostile_sandbox,
            "hostile node": self.hostile_node,
            "power cut": self.power_cut,
        }
        if os.geteuid() != 0:
            # Its disk is small only where one could be mounted.
            del kinds["run directory full"]
        return [Fault(name, begin) for name, begin in kinds.items()]

    def operator(self, *arguments: str) -> None:
        """Run `tmpnb` as an operator, at a host that answers."""
        host = next((each for each in self._fleet.hosts if each.get("/api/fleet")), self._fleet.hosts[0])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
        done = subprocess.run(
            [str(BIN / "tmpnb"), *arguments],
            env=inherited | {"TMPNB_URL": host.url, "TMPNB_TOKEN": ADMIN_TOKEN},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            self.problems.append(
                f"tmpnb {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-200:]}"
            )

    # Nodes.

    def _node(self) -> LiveNode:
        return self._rng.choice(self._fleet.nodes)

    def agent_killed(self) -> Heal:
        self._node().agent.kill()
        return _nothing

    def agent_hangs(self) -> Heal:
        return _stopped(_tree(self._node().agent))

    def proxy_killed(self) -> Heal:
        for master in _children(self._node().proxy, "nginx"):
            master.kill()
        return _nothing

    def proxy_worker_killed(self) -> Heal:
        for master in _children(self._node().proxy, "nginx"):
            for worker in master.children()[:1]:
                worker.kill()
        return _nothing

    def node_cut_off(self) -> Heal:
        """Its nginx accepts connections, in the kernel, and answers nobody: as a network does that swallows packets."""
        masters = _children(self._node().proxy, "nginx")
        return _stopped([process for master in masters for process in (master, *master.children())])

    def power_cut(self) -> Heal:
        node = self._node()
        logs = {node.agent.log.stem, node.proxy.log.stem}
        self._fleet.held |= logs
        self._fleet.power_cuts[node.name] = self._fleet.power_cuts.get(node.name, 0) + 1
        node.kill()

        def heal() -> None:
            self._fleet.held -= logs

        return heal

    def clock_step(self) -> Heal:
        """The clock of the first node's agent is set."""
        self._clock.set(self._rng.choice([-18_000, -90, 90, 18_000]))
        # The host's clock stays as it is set: nothing is healed.
        return _nothing

    def disk_full(self) -> Heal:
        ballast = self._fleet.nodes[1].run_dir / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as full:
            while True:
                full.write(b"\0" * 65536)
        return lambda: ballast.unlink(missing_ok=True)

    def roll(self) -> Heal:
        self._rolls += 1
        self.operator("roll", f"process:{self._rolls}", "--every", "0.5")
        return _nothing

    def drain(self) -> Heal:
        node = self._node().name
        self.operator("node", "drain", node, "--force", "--reason", "chaos")
        return lambda: self.operator("node", "resume", node)

    # Redirectors and their database.

    def _host(self) -> Component:
        return self._rng.choice(self._fleet.hosts).redirector

    def host_killed(self) -> Heal:
        self._host().kill()
        return _nothing

    def worker_killed(self) -> Heal:
        workers = psutil.Process(self._host().pid).children()
        if workers:
            self._rng.choice(workers).kill()
        return _nothing

    def host_hangs(self) -> Heal:
        return _stopped(_tree(self._host()))

    def database_killed(self) -> Heal:
        self._fleet.database.stop()
        return self._fleet.database.start

    def database_hangs(self) -> Heal:
        port = str(self._fleet.database.port)
        servers = [each for each in psutil.process_iter(["cmdline"]) if port in (each.info["cmdline"] or [])]
        return _stopped([process for server in servers for process in (server, *server.children(recursive=True))])

    def restored(self) -> Heal:
        """As the documentation says it: hosts stopped, the old state put back, hosts started."""
        logs = {host.redirector.log.stem for host in self._fleet.hosts}
        self._fleet.held |= logs
        for host in self._fleet.hosts:
            if host.redirector.running:
                host.redirector.stop()
        self._database("pg_restore", "--clean", "--if-exists", "-d", "postgres", str(self._backup))

        def heal() -> None:
            self._fleet.held -= logs

        return heal

    def _database(self, program: str, *arguments: str) -> None:
        cluster = self._fleet.database
        where = ["-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres"]
        subprocess.run([cluster.programs / program, *where, *arguments], check=True, capture_output=True, timeout=60)

    # Hostile parties.

    def hostile_sandbox(self) -> Heal:
        """A visitor's own code answers in the place of Jupyter; the visitor is one of ours and is not counted."""
        node = self._node()
        headers = {"Authorization": f"Bearer {node.token}"}
        # Visitors leave room: there are fewer of them than slots.
        claimed = wait_until(lambda: _claimed(node, headers), 60, "a sandbox for the hostile visitor")
        base = base_of(f"{node.url}{claimed}")
        with Kernel(base) as kernel:
            kernel.run(HOSTILE_SERVER)
        return lambda: self._fleet.end(base)

    def hostile_node(self) -> Heal:
        """A member of the fleet that promises a thousand slots and answers every question with something else."""
        fake = self._fleet.fakes.start(FakeNode("hostile", ready=1000, capacity=1000, claim_mood="hanging"))
        self._fleet.admin("POST", "/api/nodes", {"url": fake.url, "name": fake.name, "token": fake.token})
        fake.claim_mood, fake.mood = self._rng.choice(HOSTILE_MOODS), self._rng.choice(("well", *HOSTILE_MOODS))

        def heal() -> None:
            self._fleet.fakes.die(fake)
            self.operator("node", "remove", fake.name, "--force", "--yes")

        return heal


def _claimed(node: LiveNode, headers: dict[str, str]) -> str:
    answer = requests.post(f"{node.url}/api/spawn", json={}, headers=headers, timeout=5)
    return str(answer.json()["url"]) if answer.status_code == requests.codes.ok else ""


def _nothing() -> None:
    """Healed by whoever starts programs again."""


def _tree(part: Component) -> list[psutil.Process]:
    """A program and its workers; sandboxes are not among them, for each has a session of its own."""
    top = psutil.Process(part.pid)
    return [top, *(child for child in top.children() if os.getsid(child.pid) == os.getsid(top.pid))]


def _children(part: Component, name: str) -> list[psutil.Process]:
    if not part.running:
        return []
    return [child for child in psutil.Process(part.pid).children() if name in child.name()]


def _stopped(processes: Iterable[psutil.Process]) -> Heal:
    halted = list(processes)
    for process in halted:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)

    def heal() -> None:
        for process in halted:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    return heal
