"""The finest hour: one node, live in an article, becomes a fleet in the middle of a crowd, and nobody loses a thing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import pytest
import requests

from tests.support.crowd import visit_all
from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveFleet, LiveNode
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

JOIN_TOKEN = "a-join-token-for-tests-0123456789"
CAPACITY = 4


class Scattered(LiveFleet):
    """A redirector that knows nobody, and nodes that stand alone."""

    def add(self, node: LiveNode) -> None:
        """Not yet: that is what the test is about."""

    def enrol(self, node: LiveNode) -> requests.Response:
        body = {"url": node.url, "name": node.name, "token": node.token}
        return self.admin("POST", "/api/nodes", json=body)


@pytest.fixture
def fleet() -> Iterator[Scattered]:
    fleet = Scattered(2, CAPACITY, TMPNB_NODE_FLEET_ONLY="0", TMPNB_NODE_PARALLEL_STARTS="2")
    fleet.redirector.settings["TMPNB_JOIN_TOKEN"] = JOIN_TOKEN
    with fleet:
        yield fleet


def open_session(url: str) -> Kernel:
    answer = requests.get(f"{url}/", allow_redirects=False, timeout=30)
    assert answer.status_code == 302
    return Kernel(base_of(urljoin(url, answer.headers["Location"])))


def end_sessions(node: LiveNode) -> None:
    """Their visitors are done."""
    headers = {"Authorization": f"Bearer {node.token}"}
    for sandbox in requests.get(f"{node.url}/api/sandboxes", headers=headers, timeout=10).json()["sandboxes"]:
        if sandbox["state"] == "claimed":
            requests.delete(f"{node.url}/api/sandboxes/{sandbox['name']}", headers=headers, timeout=30)


def test_a_node_with_sessions_becomes_a_fleet_in_a_crowd_and_is_then_replaced(fleet: Scattered) -> None:
    first, second = fleet.nodes
    wait_until(lambda: first.stats().get("available") == CAPACITY, 90, "a warm first node")
    # The article is out: people are on the only node there is, at its own address.
    with open_session(first.url) as early, open_session(first.url) as other:
        assert early.run("answer = 42") == ""
        assert other.run("answer = 43") == ""

        # It is added while a crowd is at the redirector's door; the other node comes by itself.
        with ThreadPoolExecutor(1) as executor:
            crowd = executor.submit(visit_all, [f"{fleet.url}/"], count=6, over=3.0, patience=90.0)
            assert fleet.enrol(first).status_code == 201
            second.agent.stop()
            second.agent.settings |= {"TMPNB_NODE_JOIN": fleet.url, "TMPNB_NODE_JOIN_TOKEN": JOIN_TOKEN}
            second.agent.settings |= {"TMPNB_NODE_LEAVE": "1"}
            second.agent.start()
            visits = crowd.result()
        homes = [visit.sandbox for visit in visits]
        assert all(homes), visits
        assert len(set(homes)) == len(homes)
        assert any(home.startswith(second.url) for home in homes), "two slots were not enough for six"
        assert (early.run("answer"), other.run("answer")) == ("42", "43"), "no session is lost"

        # The first is drained: its sessions go on, newcomers do not get there.
        assert fleet.admin("POST", f"/api/nodes/{first.name}/drain", json={"force": True}).status_code == 200
        wait_until(lambda: first.stats().get("state") == "draining", 10)
        assert requests.get(f"{first.url}/", allow_redirects=False, timeout=30).status_code == 503
        assert fleet.admin("DELETE", f"/api/nodes/{first.name}", json={}).json()["status"] == "has_sessions"
        assert (early.run("answer"), other.run("answer")) == ("42", "43")

    # Its last visitors go home, and it is taken out; the fleet goes on without it.
    end_sessions(first)
    wait_until(lambda: fleet.admin("GET", f"/api/nodes/{first.name}").json()["drained"], 30, "an empty first node")
    removed = fleet.admin("DELETE", f"/api/nodes/{first.name}", json={"force": True})
    assert removed.json() == {"removed": first.name}
    end_sessions(second)
    [late] = visit_all([f"{fleet.url}/"], count=1, over=0.0, patience=90.0)
    assert late.sandbox, late
    assert late.sandbox.startswith(second.url)
    leave(fleet, second)


def leave(fleet: Scattered, node: LiveNode) -> None:
    """TERM: a node that was told to leaves politely, drained first."""
    ended = threading.Thread(target=node.agent.stop)
    ended.start()
    wait_until(lambda: node.stats().get("state") == "draining", 20, "the drain")
    assert ended.is_alive(), "a session is left"
    end_sessions(node)
    ended.join(30)
    assert not node.agent.running
    assert fleet.admin("GET", "/api/nodes").json() == {"nodes": []}
