"""A node whose run directory's file system is full: what runs goes on, and the agent can be restarted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.live_node import claim, live_node, settled
from tests.support.waiting import wait_until


@contextmanager
def tmpfs(directory: Path, size: str) -> Iterator[None]:
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0750", "tmpfs", str(directory)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if os.geteuid() != 0 or done.returncode:
        reason = f"no file system can be mounted here: {done.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(directory: Path) -> None:
    try:
        with (directory / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    except OSError as error:
        assert error.strerror == "No space left on device"  # noqa: PT017 - whatever comes first ends the filling


def test_an_agent_starts_again_and_serves_although_its_run_directory_is_full() -> None:
    with live_node(UNVISITED_SECONDS="5", CULL_IDLE_SECONDS="600") as node, tmpfs(node.run_dir, "4m"):
        try:
            node.start()
            settled(node, available=2)
            fill(node.run_dir)
            node.agent.stop()
            node.agent.start()
            settled(node, available=2)
            claim(node)
            settled(node, available=1, claimed=1)
            # Nobody comes to it: it ends, and another one takes its place.
            settled(node, available=2, claimed=0)
            assert "reason=unvisited" in node.agent.log.read_text()
        finally:
            node.stop()


def test_a_visitor_is_noticed_although_the_run_directory_is_full() -> None:
    with live_node(UNVISITED_SECONDS="5", CULL_IDLE_SECONDS="10") as node, tmpfs(node.run_dir, "4m"):
        try:
            node.start()
            settled(node, available=2)
            fill(node.run_dir)
            assert requests.get(claim(node), timeout=5).status_code == 200
            wait_until(lambda: "reason=" in node.agent.log.read_text(), 30, "the end of the session")
            assert "reason=idle" in node.agent.log.read_text()
        finally:
            node.stop()
