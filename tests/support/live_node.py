"""One real node: `tmpnb-agent serve` and `proxy` as an operator starts them, with small sandboxes that start fast."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.base_ports import free_ports
from tests.support.live_fleet import BIN, LiveNode
from tests.support.waiting import wait_until

STUB = Path(__file__).parent / "stub_server.py"
STUB_COMMAND = f"{sys.executable} {STUB} {{socket}} {{base_path}}"


def run(node: LiveNode, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One command of `tmpnb-agent`, with the node's settings and more."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    more = {f"TMPNB_NODE_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [str(BIN / "tmpnb-agent"), *arguments],
        env=inherited | node.settings | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def settled(node: LiveNode, **counts: int) -> dict[str, Any]:
    """Wait until the node's stats say these numbers."""

    def reached() -> dict[str, Any]:
        stats = node.stats()
        return stats if stats and all(stats[name] == count for name, count in counts.items()) else {}

    return wait_until(reached, 60, f"{counts} at {node.name}")


def claim(node: LiveNode, **body: Any) -> str:
    """Claim a sandbox and return its whole base URL, with a slash at the end."""
    answer = requests.post(
        f"{node.url}/api/spawn",
        json={"path": "/", **body},
        headers={"Authorization": f"Bearer {node.token}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return f"{node.url}{answer.json()['url']}"


@contextmanager
def live_node(**settings: str) -> Iterator[LiveNode]:
    """A node that is started by the test; leaving asserts that nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        Path(root).chmod(0o755)
        [port] = free_ports(1)
        given = {"CAPACITY": "2", "COMMAND": STUB_COMMAND, "TRIAL_SECONDS": "0", **settings}
        node = LiveNode("n1", Path(root) / "state", Path(root), port, {f"TMPNB_NODE_{k}": v for k, v in given.items()})
        try:
            yield node
        finally:
            node.stop()
            left = node.processes()
            logs = "".join(path.read_text() for path in (node.agent.log, node.proxy.log) if path.exists())
            sys.stderr.write(logs[-10_000:])
        assert not left, f"still running after the node was stopped: {left}"
