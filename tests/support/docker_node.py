"""A real node on a real engine, with small sandboxes that start fast, and what the tests ask and do to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from node_agent.runtimes.docker.engine import SOCKET, DockerEngine
from node_agent.runtimes.docker.labels import RUN_LABEL, SANDBOX_LABEL
from tests.support.docker_host import TEMPLATE, sandbox_image
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node


@contextmanager
def docker_node(socket: Path = SOCKET, **settings: str) -> Iterator[LiveNode]:
    """A node of two sandboxes on the engine at `socket`; leaving asserts that no container is left."""
    given = {"RUNTIME": "docker", "IMAGE": sandbox_image(), "COMMAND": TEMPLATE, "ENGINE": str(socket), "PULL": "0"}
    # In words that the tests' program knows: it answers every page below its base path.
    with live_node(**given, **settings) as node:
        yield node
    assert containers(node, socket) == {}


def containers(node: LiveNode, socket: Path = SOCKET) -> dict[str, str]:
    """The ids of the node's containers, by sandbox."""
    engine = DockerEngine(socket)
    try:
        found = engine.containers([f"{RUN_LABEL}={node.run_dir}", SANDBOX_LABEL])
        return {each["Labels"][SANDBOX_LABEL]: each["Id"] for each in found}
    finally:
        engine.close()


def remove(node: LiveNode, *names: str) -> None:
    """By hand, as an operator who knows no better."""
    engine = DockerEngine(SOCKET)
    try:
        found = containers(node)
        for name in names or found:
            engine.remove(found[name])
    finally:
        engine.close()


def status(url: str) -> int:
    return requests.get(url, timeout=10).status_code


def ends(node: LiveNode) -> dict[str, float]:
    """How many sandboxes ended, by reason, as the metrics have it."""
    answer = requests.get(f"{node.url}/metrics", headers={"Authorization": f"Bearer {node.token}"}, timeout=10)
    lines = [line for line in answer.text.splitlines() if line.startswith("tmpnb_agent_ends_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def health(node: LiveNode) -> dict[str, Any]:
    return dict(requests.get(f"{node.url}/healthz", timeout=10).json())
