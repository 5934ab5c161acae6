"""The original tools and ours, in both directions: what jupyter/tmpnb and tmpnb-redirector did goes on working."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from redirector.model.nodes import Health
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker


def test_an_original_node_lives_its_whole_life_in_the_fleet(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    """Four keys behind a redirect, `{"url"}` from a spawn without a ticket, and no control calls at all."""
    old = nodes.add("old", protocol=0, ready=3)
    assert fleet.admin("POST", "/api/nodes", json={"url": old.url, "name": "old"}).status_code == 201
    fleet.tick()
    assert fleet.seen(old).health is Health.UP
    assert fleet.visit("/notebooks/a.ipynb?x=1").headers["Location"].startswith(f"{old.url}/user/")
    assert all(asked.body in (None, {}) for asked in old.spawns()), "it knows no tickets"
    drained = fleet.admin("POST", "/api/nodes/old/drain", json={"force": True}).get_json()
    assert (drained["changed"], drained["node"]["pending"]) == (True, False)
    assert fleet.visit().status_code == 503
    assert fleet.admin("DELETE", "/api/nodes/old", json={"force": True}).status_code == 200
    assert not [asked for asked in old.asked if asked.method in ("PUT", "DELETE")]


def test_a_script_for_tmpnb_redirector_adds_and_removes_hosts(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    old = nodes.add("old", protocol=0, ready=2)
    for _ in range(2):
        assert fleet.admin("POST", "/hosts", data=json.dumps({"host": old.url})).status_code == 200
    fleet.tick()
    assert list(fleet.visit("/stats").get_json()["hosts"]) == [old.url]
    assert fleet.admin("DELETE", "/hosts", data=json.dumps({"host": old.url})).status_code == 200
    assert fleet.visit("/stats").get_json()["hosts"] == {}


def test_a_status_page_for_tmpnb_redirector_reads_our_stats(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    up, down = nodes.add("up", ready=3), nodes.add("down")
    fleet.add(up, down)
    nodes.die(down)
    fleet.tick(3)
    answer = fleet.visit("/stats")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    stats = answer.get_json()
    # As its page did: free and all by host, and a host that is down says so.
    shown = {
        url: "down" if host.get("down") else f"{host['available']}/{host['capacity']}"
        for url, host in stats["hosts"].items()
    }
    assert shown == {up.url: "3/5", down.url: "down"}
    assert (stats["available"], stats["capacity"], type(stats["version"])) == (3, 5, str)


def test_an_original_redirector_fronts_our_nodes(nodes: FakeNodes) -> None:
    """It asked `<host>/stats`, following redirects, and took `available` and `capacity` from it."""
    node = nodes.add("ours", ready=4)
    stats = requests.get(f"{node.url}/stats", timeout=5).json()
    assert {name: stats[name] for name in ("available", "capacity")} == {"available": 4, "capacity": 5}
    assert isinstance(stats["version"], str)
    assert isinstance(stats["container_image"], str)


def test_a_program_for_tmpnb_gets_a_sandbox_from_our_redirector(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=1)
    fleet.add(node)
    answer = fleet.web.post("/api/spawn/")
    assert answer.status_code == 200
    assert answer.get_json()["url"].startswith(f"{node.url}/user/"), "absolute, as tmpnb-redirector's"
    full = fleet.web.post("/api/spawn")
    assert (full.status_code, full.get_json()["status"]) == (429, "full")


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_both_spellings_of_the_authorization_header_open_the_admin_api(fleet: SteppedWorker, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {ADMIN_TOKEN}"}
    assert fleet.web.get("/api/nodes", headers=headers).status_code == 200


@pytest.mark.parametrize("protocol", [0, 1])
def test_a_node_under_a_path_is_polled_claimed_and_reached_there(
    nodes: FakeNodes, fleet: SteppedWorker, protocol: int
) -> None:
    node = nodes.start(FakeNode("n1", prefix="/n1", protocol=protocol, ready=2))
    fleet.add(node)
    assert fleet.seen(node).health is Health.UP
    location = fleet.visit("/lab/tree/a.ipynb?x=1").headers["Location"]
    assert urlsplit(location).path.startswith("/n1/user/")
    assert "/lab/tree/a.ipynb?" in location
    assert "/outside" not in {asked.path for asked in node.asked}


def test_a_redirector_under_a_path_names_itself_by_it_only_if_the_proxy_is_trusted(
    nodes: FakeNodes, tmp_path: Path
) -> None:
    forwarded = {"X-Forwarded-Prefix": "/try", "X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"}
    for proxies, url in (("0", "http://localhost"), ("1", "https://example.org/try")):
        with stepped_worker(tmp_path / proxies, TMPNB_TRUSTED_PROXIES=proxies) as fleet:
            fleet.add(nodes.add(f"n{proxies}", ready=1))
            assert fleet.visit(headers=forwarded).status_code == 302
            assert fleet.admin("GET", "/api/fleet", headers=forwarded).get_json()["entry_url"] == url
