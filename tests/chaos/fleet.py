"""The fleet that chaos is let loose on: two redirector hosts on one PostgreSQL, nodes with real Jupyter servers."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from tests.support.base_ports import free_ports
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.live_fleet import ADMIN_TOKEN, BIN, START_SECONDS, Component, LiveNode
from tests.support.postgres import PostgresCluster, need_postgres
from tests.support.waiting import wait_until

NODES, CAPACITY, HOSTS = 3, 4, 2
RESTART_SECONDS = 1.0
"""A service manager waits so long before it starts a program again that has ended by itself."""

ANSWER_SECONDS = 3.0
"""Nobody here waits longer for an answer: something of the fleet is always out of order."""


class Host:
    """One redirector host: gunicorn with two workers, as `tmpnb serve` starts it."""

    def __init__(self, name: str, root: Path, database: str, token_file: Path) -> None:
        self.name = name
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        state = root / name
        state.mkdir()
        settings = {
            "TMPNB_LISTEN": f"127.0.0.1:{port}",
            "TMPNB_STATE": str(state),
            "TMPNB_DATABASE_URL": database,
            "TMPNB_ADMIN_TOKEN_FILE": str(token_file),
            "TMPNB_WORKERS": "2",
            "TMPNB_POLL_SECONDS": "1",
            "TMPNB_CLIENT_FREE": "127.0.0.0/8",
        }
        self.redirector = Component([str(BIN / "tmpnb"), "serve"], settings, root / f"{name}.log")

    def get(self, path: str) -> dict[str, Any]:
        """A JSON answer of the admin API; empty while there is none."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        try:
            answer = requests.get(f"{self.url}{path}", headers=headers, timeout=ANSWER_SECONDS)
            return dict(answer.json()) if answer.ok else {}
        except (requests.RequestException, ValueError):
            return {}


class ChaosFleet:
    """All of it, with a thread that does what a service manager does: it starts again what has ended by itself."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="tmpnb-chaos-"))
        # Socket paths end at 107 bytes, so the run directories get a short root of their own.
        self.run_root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.run_root.chmod(0o755)
        self.token_file = self.root / "admin-token"
        self.token_file.write_text(ADMIN_TOKEN)
        self.token_file.chmod(0o600)
        self.database = PostgresCluster(need_postgres())
        self.hosts = [Host(f"host{number}", self.root, self.database.url(), self.token_file) for number in range(HOSTS)]
        entry = self.hosts[0].url
        settings = {
            "TMPNB_NODE_CAPACITY": str(CAPACITY),
            "TMPNB_NODE_FLEET_ONLY": "1",
            "TMPNB_NODE_ENTRY_URL": entry,
            "TMPNB_NODE_CULL_IDLE_SECONDS": "600",
        }
        self.nodes = [
            LiveNode(f"n{number}", self.root, self.run_root, port, dict(settings))
            for number, port in enumerate(free_ports(NODES), start=1)
        ]
        self.held: set[str] = set()
        """Programs that a fault keeps down, by the name of their log."""
        self.power_cuts: dict[str, int] = {}
        """How often each node lost its power."""
        self._stop = threading.Event()
        self._manager = threading.Thread(target=self._manage, name="service manager")
        self._stack = ExitStack()
        self.fakes: FakeNodes = self._stack.enter_context(fake_nodes())

    @property
    def parts(self) -> list[Component]:
        agents = [part for node in self.nodes for part in (node.agent, node.proxy)]
        return [host.redirector for host in self.hosts] + agents

    def admin(self, method: str, path: str, body: object = None) -> requests.Response:
        """An operator's call, at whichever host answers.

        Raises:
            requests.RequestException: none does.
        """
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        failure: requests.RequestException | None = None
        for host in self.hosts:
            try:
                return requests.request(method, f"{host.url}{path}", json=body, headers=headers, timeout=30)
            except requests.RequestException as error:
                failure = error
        assert failure is not None
        raise failure

    def node(self, name: str) -> LiveNode:
        return next(node for node in self.nodes if node.name == name)

    def home_of(self, base_url: str) -> LiveNode:
        """The node where a sandbox is."""
        return next(node for node in self.nodes if base_url.startswith(f"{node.url}/"))

    def end(self, base_url: str) -> None:
        """End a sandbox whose visitor is done."""
        node = self.home_of(base_url)
        name = base_url.rstrip("/").rpartition("/")[2][:8]
        headers = {"Authorization": f"Bearer {node.token}"}

        def gone() -> bool:
            try:
                answer = requests.delete(f"{node.url}/api/sandboxes/{name}", headers=headers, timeout=ANSWER_SECONDS)
            except requests.RequestException:
                return False
            return answer.status_code in (200, 404)

        wait_until(gone, 90, f"the end of sandbox {name}")

    def faults(self) -> list[str]:
        """What is not as it should be, in words; nothing of it when the fleet is whole."""
        problems = []
        for host in self.hosts:
            nodes = {node["name"]: node for node in host.get("/api/nodes").get("nodes", [])}
            if not nodes:
                problems.append(f"{host.name} does not answer")
            problems += [
                f"{host.name}: {name} is {node['health']}"
                for name, node in nodes.items()
                if not node["eligible"] and node["available"]
            ]
            problems += [f"{host.name} does not know {node.name}" for node in self.nodes if node.name not in nodes]
        for node in self.nodes:
            stats = node.stats()
            if not stats:
                problems.append(f"{node.name} does not answer")
            elif stats["available"] + stats["claimed"] != CAPACITY:
                problems.append(f"{node.name} has {stats['available']} ready and {stats['claimed']} claimed")
        return problems

    def in_use(self) -> int:
        return sum(int(node.stats().get("claimed", 0)) for node in self.nodes)

    def footprint(self) -> tuple[float, int]:
        """Resident MiB and open files of agents, proxies and redirectors, without their sandboxes."""
        memory, files = 0.0, 0
        for part in self.parts:
            if not part.running:
                continue
            try:
                tree = [psutil.Process(part.pid), *psutil.Process(part.pid).children()]
            except psutil.NoSuchProcess:
                continue
            for process in tree:
                try:
                    # A sandbox is a child of the worker, a generation below.
                    memory += process.memory_info().rss / 2**20
                    files += process.num_fds()
                except psutil.NoSuchProcess:
                    continue
        return memory, files

    def left_behind(self) -> list[str]:
        """Processes that still run although all was stopped."""
        return [" ".join(process.cmdline())[:120] for node in self.nodes for process in node.processes()]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            sys.stderr.write(self.logs()[-20_000:])
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stderr.write(self.logs()[-20_000:])
        self._end()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.root.glob("*.log")))

    def _start(self) -> None:
        for part in self.parts:
            part.start()
        for host in self.hosts:
            wait_until(lambda host=host: host.get("/api/fleet"), START_SECONDS, host.name)  # type: ignore[misc]  # bound at once
        for node in self.nodes:
            wait_until(node.stats, START_SECONDS, f"/stats of {node.name}")
            body = {"url": node.url, "name": node.name, "token": node.token}
            assert self.admin("POST", "/api/nodes", body).status_code in (200, 201)
        wait_until(lambda: not self.faults(), START_SECONDS, "a whole fleet")
        self._manager.start()

    def _manage(self) -> None:
        while not self._stop.wait(RESTART_SECONDS):
            for part in self.parts:
                if not part.running and part.log.stem not in self.held:
                    part.start()

    def stop(self) -> None:
        """End every program as a service manager does."""
        self._stop.set()
        if self._manager.is_alive():
            self._manager.join()
        for host in self.hosts:
            if host.redirector.running:
                host.redirector.stop()
        for node in self.nodes:
            node.stop()

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            self._stack.close()
            self.database.remove()
            shutil.rmtree(self.root, ignore_errors=True)
            shutil.rmtree(self.run_root, ignore_errors=True)
