"""`tmpnb up` with nginx, gunicorn, the streams' process, a node and real Jupyter servers, for tests that visit it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.base_ports import base_port
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent
UP_SECONDS, STOP_SECONDS = 120.0, 60.0


@dataclass
class UpFleet:
    """A running one."""

    url: str
    state: Path

    def tmpnb(self, *words: str) -> str:
        """What a command of the operator says."""
        done = subprocess.run(
            [BIN / "tmpnb", *words, "--state", self.state], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def admin(self, method: str, path: str, **arguments: Any) -> requests.Response:
        token = (self.state / "admin-token").read_text().split()[0]
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **arguments)

    def available(self) -> int:
        return int(requests.get(f"{self.url}/stats", timeout=10).json()["available"])

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin("GET", "/api/sessions").json()["sessions"]
        return found

    def end_sessions(self) -> None:
        """End all of them; the pool is full again once this returns."""
        for session in self.sessions():
            self.admin("DELETE", f"/api/sessions/{session['name']}", json={"node": session["node"]})
        capacity = int(requests.get(f"{self.url}/stats", timeout=10).json()["capacity"])
        wait_until(lambda: self.available() == capacity, UP_SECONDS, "fresh sandboxes")


@contextmanager
def up_fleet(capacity: int, **settings: str) -> Iterator[UpFleet]:
    """One node with so many sandboxes, all of them ready once this returns."""
    root = Path(tempfile.mkdtemp(prefix="tmpnb-up-"))
    port, state, output = base_port(), root / "state", root / "output"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    with output.open("wb") as log:
        process = subprocess.Popen(
            [BIN / "tmpnb", "up", "--nodes", "1", "--capacity", str(capacity), "--port", str(port), "--state", state],
            env={**inherited, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "The fleet is up" in _text(output, process), UP_SECONDS, "the fleet")
        yield UpFleet(f"http://127.0.0.1:{port}", state)
    except BaseException:
        sys.stderr.write(output.read_text() + "".join(log.read_text()[-3000:] for log in state.glob("logs/*.log")))
        raise
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        shutil.rmtree(root, ignore_errors=True)


def _text(output: Path, process: subprocess.Popen[bytes]) -> str:
    assert process.poll() is None, output.read_text()
    return output.read_text()
