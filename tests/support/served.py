"""`tmpnb serve` in a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import requests

from tests.support.base_ports import free_ports
from tests.support.waiting import wait_until

TOKEN = "an-admin-token-for-tests"

ASKED = 16
"""Answers after which every worker has very likely given one."""


class Served:
    """One redirector host."""

    def __init__(self, state: Path, *options: str, **environ: str) -> None:
        """Start it, at a free port unless `TMPNB_LISTEN` names one. `options` are those of the command."""
        address = environ.get("TMPNB_LISTEN") or f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{address}"
        self.port = int(address.rpartition(":")[2])
        self.state = state
        self.log = state / "log"
        state.mkdir(exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).parent / "tmpnb", "serve", *options],
                env={
                    **inherited,
                    "TMPNB_LISTEN": address,
                    "TMPNB_STATE": str(state),
                    "TMPNB_ADMIN_TOKEN": TOKEN,
                    "TMPNB_POLL_SECONDS": "0.5",
                    # Most tests are about visitors, and a worker costs them a second.
                    "TMPNB_CONTENT_WORKER": "0",
                    **environ,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def get(self, path: str) -> requests.Response | None:
        try:
            return requests.get(f"{self.url}{path}", allow_redirects=False, timeout=10)
        except requests.ConnectionError:
            return None

    def post(self, path: str, **body: object) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, timeout=10)

    def wait_until_up(self) -> None:
        def up() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            answer = self.get("/healthz")
            return answer is not None and answer.ok

        wait_until(up, 30, "the start of gunicorn")

    def admin(self, method: str, path: str, **arguments: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=10, **arguments)  # type: ignore[arg-type]  # as requests takes them

    def available(self) -> int:
        answer = self.get("/stats")
        return int(answer.json()["available"]) if answer is not None and answer.ok else -1

    def wait_until_known(self, slots: int, within: float = 15) -> None:
        """Until every worker knows of so many free slots: all of many answers, each over a connection of its own."""
        wait_until(lambda: all(self.available() == slots for _ in range(ASKED)), within, f"{slots} slots known to all")

    def poller(self) -> str:
        return str(self.admin("GET", "/api/fleet").json()["poller"]["holder"])

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def connections(self) -> int:
        """How many clients the workers have taken in; those in the backlog do not count."""
        opened = [each for worker in self.workers() for each in worker.net_connections("tcp")]
        return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == self.port for each in opened)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)
