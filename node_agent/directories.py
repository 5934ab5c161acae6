"""Every name below a node's run directory and state directory."""

from __future__ import annotations

from pathlib import Path

SOCKET_PATH_LIMIT = 107
"""Linux ends a UNIX socket's path there."""


SOCKET_NAME = "jupyter.sock"


def agent_socket(run_dir: Path) -> Path:
    return run_dir / "agent.sock"
