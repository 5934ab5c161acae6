"""A real redirector, gunicorn and all, in front of fake nodes: for what has to be seen in a browser or under load."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.base_ports import free_ports
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.live_fleet import ADMIN_TOKEN, BIN, START_SECONDS, Component
from tests.support.waiting import wait_until


@dataclass
class LiveEntry:
    """The entry URL and what stands behind it."""

    url: str
    redirector: Component
    nodes: FakeNodes
    log: Path
    known: dict[str, FakeNode] = field(default_factory=dict)

    def add(self, name: str, **fields: Any) -> FakeNode:
        """A fake node in the fleet, in use once this returns."""
        node = FakeNode(name, **fields)
        self.enrol(node)
        return node

    def enrol(self, node: FakeNode) -> None:
        """Start it and put it into the fleet."""
        self.known[node.name] = self.nodes.start(node)
        self.admin("POST", "/api/nodes", json={"url": node.url, "name": node.name, "token": node.token})
        wait_until(lambda: self.eligible(node.name), START_SECONDS, f"{node.name} to be in use")

    def eligible(self, name: str) -> bool:
        return bool(self.admin("GET", f"/api/nodes/{name}").json().get("eligible"))

    def admin(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **arguments)

    def visit(self, path: str = "/", **headers: str) -> requests.Response:
        """Open a path as a newcomer does, without following the redirect. Header names take `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"{self.url}{path}", headers=named, allow_redirects=False, timeout=20)

    def waiting(self) -> int:
        """How many are in the waiting room."""
        return int(self.admin("GET", "/api/fleet").json()["waiting"])

    def empty(self) -> None:
        """Wait until the waiting room is, as after its visitors have closed their pages."""
        wait_until(lambda: self.waiting() == 0, 30, "the waiting room to be empty")


@contextmanager
def live_entry(**settings: str) -> Iterator[LiveEntry]:
    root = Path(tempfile.mkdtemp(prefix="tmpnb-entry-"))
    (port,) = free_ports(1)
    token_file = root / "admin-token"
    token_file.write_text(ADMIN_TOKEN)
    token_file.chmod(0o600)
    redirector = Component(
        [str(BIN / "tmpnb"), "serve"],
        {
            "TMPNB_LISTEN": f"127.0.0.1:{port}",
            "TMPNB_STATE": str(root),
            "TMPNB_ADMIN_TOKEN_FILE": str(token_file),
            "TMPNB_WORKERS": "2",
            "TMPNB_POLL_SECONDS": "1",
            "TMPNB_CONTENT_WORKER": "0",
            **settings,
        },
        root / "redirector.log",
    )
    url = f"http://127.0.0.1:{port}"
    with fake_nodes() as nodes:
        redirector.start()
        entry = LiveEntry(url, redirector, nodes, root / "redirector.log")
        try:
            wait_until(lambda: _answers(url), START_SECONDS, "the redirector")
            yield entry
        except BaseException:
            sys.stderr.write(entry.log.read_text()[-5000:])
            raise
        finally:
            redirector.stop()
    shutil.rmtree(root)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
