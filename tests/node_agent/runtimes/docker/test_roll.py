"""A pool on a real engine moves to another image while visitors could come at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import IMAGE_LABEL, RUN_LABEL
from tests.support.docker_host import inside, local_engine, sandbox_image
from tests.support.docker_node import docker_node
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, settled
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

ROLL_SECONDS = 120.0
LOOK_SECONDS = 0.02


def new_image() -> str:
    return sandbox_image("ENV LESSON=2")


def images(node: LiveNode) -> list[str]:
    """Of all of the node's containers."""
    engine = DockerEngine()
    try:
        return sorted(found["Labels"][IMAGE_LABEL] for found in engine.containers([f"{RUN_LABEL}={node.run_dir}"]))
    finally:
        engine.close()


def roll(node: LiveNode) -> None:
    headers = {"Authorization": f"Bearer {node.token}"}
    answer = requests.put(f"{node.url}/api/pools/default", json={"image": new_image()}, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["image"]) == (200, new_image())


def server_process(node: LiveNode) -> str:
    """Number and start of the claimed sandbox's server, whose child the shell is."""
    [directory] = (node.run_dir / "user").iterdir()
    code, printed = inside(directory, "cut -d' ' -f1,22 /proc/$PPID/stat")
    assert code == 0
    return printed


@contextmanager
def watched(node: LiveNode) -> Iterator[set[int]]:
    """Every number of available sandboxes that a visitor could see meanwhile, while the agent answers."""
    seen: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            if stats := node.stats():
                seen.add(stats["available"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_a_roll_goes_on_over_a_restart_and_never_leaves_a_visitor_without_and_ends_no_session() -> None:
    with local_engine(), docker_node(CAPACITY="6") as node:
        new_image()
        node.start()
        settled(node, available=6)
        claim(node)
        settled(node, available=5, claimed=1)
        before = server_process(node)
        old = images(node)[0]
        with watched(node) as seen:
            roll(node)
            wait_until(lambda: {old, new_image()} == set(images(node)), ROLL_SECONDS, "the first of the new ones")
            assert node.agent.stop() == 0
            assert images(node).count(old) > 1, "it is in the middle"
            node.agent.start()
            wait_until(lambda: images(node) == sorted([old, *[new_image()] * 5]), ROLL_SECONDS, "the roll to end")
            settled(node, available=5, claimed=1)
        assert 0 not in seen
        assert max(seen) <= 5
        assert server_process(node) == before
        assert node.stats()["pools"]["default"]["image"] == new_image(), "though the settings name the old one"


def test_the_last_ready_one_of_a_full_pool_is_replaced_without_a_gap() -> None:
    with local_engine(), docker_node(CAPACITY="2") as node:
        new_image()
        node.start()
        settled(node, available=2)
        claim(node)
        settled(node, available=1, claimed=1)
        before, old = server_process(node), images(node)[0]
        with watched(node) as seen:
            roll(node)
            wait_until(lambda: images(node) == sorted([old, new_image()]), ROLL_SECONDS, "the roll to end")
            settled(node, available=1, claimed=1)
        assert seen == {1}
        assert server_process(node) == before
