"""A real fleet while its parts are drained, killed and restarted under visitors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.kernels import Kernel, base_of
from tests.support.live_fleet import LiveFleet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def crowd_fleet() -> Iterator[LiveFleet]:
    with LiveFleet(nodes=2, capacity=4) as fleet:
        fleet.wait_until_available(8)
        yield fleet


def test_sessions_survive_what_operators_and_crashes_do(crowd_fleet: LiveFleet) -> None:
    """Restarts of the agent and of the redirector, a crash and a drain: the session goes on, newcomers go elsewhere."""
    fleet = crowd_fleet
    location = fleet.visit().headers["Location"]
    home = next(node for node in fleet.nodes if location.startswith(node.url))
    other = next(node for node in fleet.nodes if node is not home)
    with Kernel(base_of(location)) as kernel:
        assert kernel.run("answer = 42") == ""

        # The agent restarts under the open websocket.
        home.agent.stop()
        assert kernel.run("answer") == "42"
        home.agent.start()
        stats = wait_until(home.stats, 30, "the agent's return")
        assert stats["claimed"] == 1
        assert kernel.run("answer") == "42"

        # A crash of the agent, too.
        home.agent.kill()
        home.agent.start()
        wait_until(lambda: home.stats().get("available", 0) >= 3, 60, "adoption of what runs")
        assert kernel.run("answer + 1") == "43"

        # The redirector restarts: the registry is durable and the session does not notice.
        assert fleet.redirector.stop() == 0
        fleet.redirector.start()
        wait_until(lambda: fleet.stats().get("available", 0) >= 1, 30, "the redirector's return")
        assert kernel.run("answer") == "42"

        # Draining keeps the session and sends newcomers elsewhere at once.
        assert fleet.admin("POST", f"/api/nodes/{home.name}/drain", json={"reason": "test"}).status_code == 200
        for _ in range(2):
            answer = fleet.visit()
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith(other.url)
        wait_until(lambda: home.stats().get("state") == "draining", 10, "the node to know its intent")
        assert kernel.run("answer") == "42"
        refused = fleet.admin("DELETE", f"/api/nodes/{home.name}", json={})
        assert refused.status_code == 409
        assert refused.json()["status"] == "has_sessions"
        assert fleet.admin("POST", f"/api/nodes/{home.name}/resume", json={}).status_code == 200
        wait_until(lambda: home.stats().get("available", 0) >= 3, 30, "the node to take visitors again")


def test_a_node_killed_in_the_middle_of_a_crowd_costs_nobody_an_error(crowd_fleet: LiveFleet) -> None:
    fleet = crowd_fleet
    victim, survivor = fleet.nodes
    arrived = threading.Event()

    def visit(number: int) -> requests.Response:
        if number == 2:
            arrived.set()
        return fleet.visit()

    with ThreadPoolExecutor(4) as crowd:
        # Six visitors on eight slots; the node that dies had four of them, so the last two wait on a page for a refill.
        visits = [crowd.submit(visit, number) for number in range(6)]
        assert arrived.wait(30)
        victim.kill()
        answers = [each.result() for each in visits]
    assert {answer.status_code for answer in answers} <= {200, 302}
    placed_after = fleet.visit()
    assert placed_after.status_code in (200, 302, 503)
    if placed_after.status_code == 302:
        assert placed_after.headers["Location"].startswith(survivor.url)
    nodes = {node["name"]: node for node in fleet.admin("GET", "/api/nodes").json()["nodes"]}
    wait_until(lambda: _health(fleet, victim.name) in ("suspect", "down"), 10, "the fleet to notice")
    assert nodes[survivor.name]["health"] == "up"
    victim.start()
    wait_until(lambda: _health(fleet, victim.name) == "up", 60, "the node's return")


def test_an_agent_that_hangs_holds_up_nobody_and_keeps_no_slot_when_it_goes_on(crowd_fleet: LiveFleet) -> None:
    """It carries out, late, the claims that reached it while it hung: nobody waits for them any more."""
    first = crowd_fleet.visit().headers["Location"]
    hung, other = sorted(crowd_fleet.nodes, key=lambda node: first.startswith(node.url))
    hung.agent.pause()
    try:
        answers = [crowd_fleet.visit() for _ in range(3)]
    finally:
        hung.agent.resume()
    assert all(answer.headers["Location"].startswith(other.url) for answer in answers)
    wait_until(lambda: sum(hung.stats().get(each, 0) for each in ("claims_total", "refused_total")), 20, "late claims")
    wait_until(lambda: hung.stats().get("available") == 4, 20, "every slot of it to be free again")
    assert hung.stats()["claimed"] == 0


def _health(fleet: LiveFleet, name: str) -> str:
    return str(fleet.admin("GET", f"/api/nodes/{name}").json()["health"])


def test_no_token_and_no_sandbox_key_is_in_any_log(crowd_fleet: LiveFleet) -> None:
    fleet = crowd_fleet
    location = fleet.visit("/lab/tree/Welcome.ipynb").headers["Location"]
    base = base_of(location)
    requests.get(location, timeout=30)
    requests.get(f"{base}nothing-here", timeout=30)
    with Kernel(base) as kernel:
        kernel.run("6*7")
    key = base.rstrip("/").rsplit("/", 1)[1]
    requests.get(f"{base[:-2]}/lab", timeout=30)
    fleet.nodes[0].agent.kill()
    requests.get(f"{base}lab", timeout=30)
    requests.get(f"{fleet.nodes[0].url}/stats", timeout=30)
    logs = fleet.logs()
    assert "GET" in logs, "there is a log to look at"
    for secret in (key[8:], *(node.token for node in fleet.nodes), "an-admin-token-for-tests-only"):
        assert secret not in logs
