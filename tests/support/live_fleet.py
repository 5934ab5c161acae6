"""A real fleet on loopback for tests: gunicorn, nginx, Jupyter servers and SQLite, each part stoppable on its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from tests.support.base_ports import free_ports
from tests.support.waiting import wait_until

ADMIN_TOKEN = "an-admin-token-for-tests-only-0123456789"
START_SECONDS = 90.0
STOP_SECONDS = 30.0
OPERATOR_SECONDS = 120.0
BIN = Path(sys.executable).parent


class Component:
    """One program of the fleet, started as an operator would start it, its output in a file."""

    def __init__(self, argv: list[str], settings: dict[str, str], log: Path) -> None:
        self.argv = argv
        self.settings = settings
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                env=inherited | self.settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.argv} was not started"
        return self._process.pid

    def stop(self) -> int:
        """End it as a service manager does, and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it and its children without a word, as a power cut would."""
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Let it and its children hang, as on a host that is out of memory or whose disk does not answer."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on where they stood."""
        os.killpg(self.pid, signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


class LiveNode:
    """One node: agent and proxy, with directories and a port of their own."""

    def __init__(self, name: str, root: Path, run_root: Path, port: int, settings: dict[str, str]) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.run_dir = run_root / name
        self.state_dir = root / name
        self.state_dir.mkdir(parents=True)
        self.settings = {
            "TMPNB_NODE_NAME": name,
            "TMPNB_NODE_LISTEN": f"127.0.0.1:{port}",
            "TMPNB_NODE_URL": self.url,
            "TMPNB_NODE_RUN_DIR": str(self.run_dir),
            "TMPNB_NODE_STATE_DIR": str(self.state_dir),
            "TMPNB_NODE_RUNTIME": "process",
            # The small sandboxes of many tests have no kernels to try.
            **({"TMPNB_NODE_TRIAL_SECONDS": "0"} if "stub_server" in settings.get("TMPNB_NODE_COMMAND", "") else {}),
            **settings,
        }
        self.agent = Component([str(BIN / "tmpnb-agent"), "serve"], self.settings, root / f"{name}-agent.log")
        self.proxy = Component([str(BIN / "tmpnb-agent"), "proxy"], self.settings, root / f"{name}-proxy.log")

    def start(self) -> None:
        self.agent.start()
        self.proxy.start()

    @property
    def token(self) -> str:
        return (self.state_dir / "token").read_text().strip()

    def stats(self) -> dict[str, Any]:
        """The node's `/stats`; empty while it does not answer."""
        try:
            answer = requests.get(f"{self.url}/stats", timeout=2)
        except requests.RequestException:
            return {}
        return dict(answer.json()) if answer.ok else {}

    def processes(self) -> list[psutil.Process]:
        """Everything that belongs to this node: agent, proxy, sandboxes and their kernels."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get("TMPNB_NODE_RUN_DIR") == str(self.run_dir):
                return True
            below = [process, *process.parents()]
            return any(str(self.run_dir) in " ".join(each.cmdline()) for each in below)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def kill(self) -> None:
        """The whole machine goes away: nothing of it runs any more."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        for part in (self.agent, self.proxy):
            if part.running:
                part.kill()

    def stop(self) -> None:
        try:
            for part in (self.agent, self.proxy):
                if part.running:
                    part.stop()
        finally:
            # One that waits for its sessions, as after a test that failed half-way, holds up no other test.
            for part in (self.proxy, self.agent):
                if part.running:
                    part.kill()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
        purge = [str(BIN / "tmpnb-agent"), "purge"]
        subprocess.run(purge, env=environment | self.settings, check=True, stdout=subprocess.DEVNULL, timeout=60)


class LiveFleet:
    """A redirector and its nodes; leaving the context stops all and asserts that nothing is left."""

    def __init__(self, nodes: int, capacity: int, **settings: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="tmpnb-fleet-"))
        # Socket paths end at 107 bytes, so the run directories get a short root of their own.
        self.run_root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.run_root.chmod(0o755)
        port, *node_ports = free_ports(nodes + 1)
        self.url = f"http://127.0.0.1:{port}"
        token_file = self.root / "admin-token"
        token_file.write_text(ADMIN_TOKEN)
        token_file.chmod(0o600)
        self.redirector = Component(
            [str(BIN / "tmpnb"), "serve"],
            {
                "TMPNB_LISTEN": f"127.0.0.1:{port}",
                "TMPNB_STATE": str(self.root),
                "TMPNB_ADMIN_TOKEN_FILE": str(token_file),
                "TMPNB_WORKERS": "2",
                "TMPNB_POLL_SECONDS": "1",
                "TMPNB_CONTENT_WORKER": "0",
            },
            self.root / "redirector.log",
        )
        node_settings = {"TMPNB_NODE_CAPACITY": str(capacity), "TMPNB_NODE_FLEET_ONLY": "1", **settings}
        node_settings.setdefault("TMPNB_NODE_ENTRY_URL", self.url)
        self.nodes = [
            LiveNode(f"n{number}", self.root, self.run_root, node_port, node_settings)
            for number, node_port in enumerate(node_ports, start=1)
        ]

    def node(self, name: str) -> LiveNode:
        return next(node for node in self.nodes if node.name == name)

    def admin(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **arguments.pop("headers", {})}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **arguments)

    def add(self, node: LiveNode) -> None:
        answer = self.admin("POST", "/api/nodes", json={"url": node.url, "name": node.name, "token": node.token})
        assert answer.status_code in (200, 201), answer.text

    def operator(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the operator's command; `tmpnb` waits for it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
        return subprocess.Popen(
            [str(BIN / "tmpnb"), *arguments],
            env=inherited | {"TMPNB_URL": self.url, "TMPNB_TOKEN": ADMIN_TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tmpnb(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command to its end."""
        process = self.operator(*arguments)
        said, complained = process.communicate(timeout=OPERATOR_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, said, complained)

    def stats(self) -> dict[str, Any]:
        """The fleet's `/stats`; empty while the redirector does not answer."""
        try:
            answer = requests.get(f"{self.url}/stats", timeout=5)
        except requests.RequestException:
            return {}
        return dict(answer.json()) if answer.ok else {}

    def visit(self, path: str = "/") -> requests.Response:
        """Open a path at the entry URL as a newcomer does, without following the redirect."""
        return requests.get(f"{self.url}{path}", allow_redirects=False, timeout=30)

    def wait_until_available(self, count: int) -> None:
        wait_until(lambda: self.stats().get("available", 0) >= count, START_SECONDS, f"{count} free slots")

    def logs(self) -> str:
        """Everything that any part of the fleet has written so far."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.root.rglob("*.log")))

    def __enter__(self) -> Self:
        try:
            self.redirector.start()
            for node in self.nodes:
                node.start()
            wait_until(self.stats, START_SECONDS, "the redirector's /stats")
            for node in self.nodes:
                wait_until(node.stats, START_SECONDS, f"/stats of {node.name}")
                self.add(node)
        except BaseException:
            sys.stderr.write(self.logs())
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stderr.write(self.logs()[-20000:])
        self._stop()
        left = [process for node in self.nodes for process in node.processes()]
        assert not left, f"still running after the fleet was stopped: {left}"
        shutil.rmtree(self.root)
        shutil.rmtree(self.run_root)

    def _stop(self) -> None:
        if self.redirector.running:
            self.redirector.stop()
        for node in self.nodes:
            node.stop()
