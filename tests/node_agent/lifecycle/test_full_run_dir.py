"""A node whose run directory's file system is full: what runs goes on, and the agent can be restarted."""

from __future__ import annotations

import requests

from tests.support.live_node import claim, live_node, settled
from tests.support.small_disk import fill, tmpfs
from tests.support.waiting import wait_until


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
