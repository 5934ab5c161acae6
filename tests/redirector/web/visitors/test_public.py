"""The public API: stats as tmpnb-redirector had them, sandboxes for programs, CORS, and proxies in front."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker


@pytest.mark.parametrize("path", ["/stats", "/api/stats", "/stats/", "/api/stats/"])
def test_stats_add_up_and_name_every_host(nodes: FakeNodes, fleet: SteppedWorker, path: str) -> None:
    n1, dead = nodes.add("n1", ready=3), nodes.add("dead")
    fleet.add(n1, dead)
    nodes.die(dead)
    fleet.tick(3)
    answer = fleet.visit(path)
    numbers = answer.get_json()
    assert (numbers["available"], numbers["capacity"]) == (3, 5)
    assert numbers["hosts"][n1.url]["available"] == 3
    assert numbers["hosts"][n1.url]["container_image"] == "an/image"
    assert numbers["hosts"][dead.url] == {"available": 0, "capacity": 0, "down": True}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_what_drains_is_not_available(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    old = nodes.add("old", protocol=0)
    fleet.add(old, nodes.add("n1", ready=2))
    assert fleet.admin("POST", "/api/nodes/old/drain").status_code == 200
    assert fleet.visit("/stats").get_json()["available"] == 2
    assert fleet.visit("/stats").get_json()["hosts"][old.url]["state"] == "draining"


def test_stats_tell_neither_tokens_nor_ids(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    shown = fleet.visit("/stats").text
    assert node.token not in shown
    assert node.node_id not in shown


def test_a_program_gets_an_absolute_url(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.web.post("/api/spawn", json={"path": "/tree?x=1"})
    assert answer.status_code == 200
    assert answer.get_json()["url"].startswith(f"{node.url}/user/")
    assert answer.get_json()["url"].endswith("/tree?x=1")
    assert set(answer.get_json()) == {"url", "name"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("embedded", [True, False])
def test_the_node_hears_whether_a_sandbox_is_for_live_code_in_a_page(
    nodes: FakeNodes, fleet: SteppedWorker, embedded: bool
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.web.post("/api/spawn", json={"embedded": embedded}).status_code == 200
    [asked] = node.spawns()
    assert asked.body["tickets"][0]["embedded"] is embedded


def test_a_program_may_send_no_body_at_all(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))
    assert fleet.web.post("/api/spawn").status_code == 200
    assert fleet.web.post("/api/spawn/").status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [({"ready": 0}, "full", 429), ({"ready": 0, "starting": 1}, "starting", 429), ({"mood": "mute"}, "trouble", 503)],
)
def test_a_program_that_gets_none_is_told_why_and_when_to_ask_again(
    nodes: FakeNodes, fleet: SteppedWorker, fields: dict[str, object], status: str, code: int
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    for name, value in fields.items():
        setattr(node, name, value)
    fleet.tick(1 if code == 429 else 3)
    answer = fleet.web.post("/api/spawn")
    assert (answer.status_code, answer.get_json()["status"]) == (code, status)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_pool_that_no_node_has_is_said_to_be_unknown(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))
    answer = fleet.web.post("/api/spawn", json={"pool": "gpu"})
    assert (answer.status_code, answer.get_json()["status"]) == (404, "unknown_pool")


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"path": 5}',
        b'{"path": "lab"}',
        b'{"path": "/lab/../.."}',
        b'{"path": "//evil.example"}',
        b'{"path": "/a\\\\b"}',
        b'{"path": "/\\u00e4"}',
        b'{"pool": "' + b"x" * 3000 + b'"}',
        b"[" * 60_000,
    ],
)
def test_a_bad_body_is_refused_and_takes_nothing(nodes: FakeNodes, fleet: SteppedWorker, body: bytes) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    answer = fleet.web.post("/api/spawn", data=body)
    assert (answer.status_code, answer.get_json()["status"]) == (400, "bad_request")
    assert node.spawns() == []


def test_a_huge_body_is_refused(fleet: SteppedWorker) -> None:
    answer = fleet.web.post("/api/spawn", data=b" " * 100_000)
    assert (answer.status_code, answer.get_json()["status"]) == (413, "too_large")


def test_pages_of_other_sites_may_not_take_sandboxes_unless_they_are_named(
    nodes: FakeNodes, tmp_path: Path, fleet: SteppedWorker
) -> None:
    origin = {"Origin": "https://docs.example"}
    assert "Access-Control-Allow-Origin" not in fleet.web.options("/api/spawn", headers=origin).headers
    with stepped_worker(tmp_path / "other", TMPNB_ALLOW_ORIGIN="https://docs.example https://b.example") as allowing:
        allowing.add(nodes.add("n1"))
        preflight = allowing.web.options("/api/spawn", headers=origin)
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://docs.example"
        assert preflight.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
        assert preflight.headers["Vary"] == "Origin"
        waiting = allowing.web.post("/api/spawn", headers=origin, json={"pool": "none"})
        assert waiting.headers["Access-Control-Expose-Headers"] == "Retry-After", "on a refusal too"
        answer = allowing.web.post("/api/spawn", headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://docs.example"
        stranger = allowing.web.post("/api/spawn", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers


def test_every_site_may_read_stats(fleet: SteppedWorker) -> None:
    answer = fleet.web.options("/stats")
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")


def test_health_is_good_once_the_registry_was_read(fleet: SteppedWorker) -> None:
    assert fleet.visit("/healthz").get_json() == {"status": "ok"}
    fleet.worker.fleet_state.known = False
    answer = fleet.visit("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "unhealthy")


FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "try.example",
    "X-Forwarded-Prefix": "/books",
    "Accept": "text/html",
}


def test_forwarded_headers_of_anyone_are_ignored(fleet: SteppedWorker) -> None:
    assert 'href="/"' in fleet.visit("/nope", headers=FORWARDED).text
    assert fleet.admin("GET", "/api/fleet", headers=FORWARDED).get_json()["entry_url"] == "http://localhost"


def test_a_trusted_proxy_may_serve_the_fleet_under_a_path(tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_TRUSTED_PROXIES="1") as fleet:
        assert 'href="/books/"' in fleet.visit("/nope", headers=FORWARDED).text
        shown = fleet.admin("GET", "/api/fleet", headers=FORWARDED).get_json()["entry_url"]
        assert shown == "https://try.example/books"


@pytest.mark.parametrize("path", ["/lab/a%5Cx", "/lab/%ff", "/lab/" + "a" * 3500])
def test_a_path_that_nodes_would_refuse_reaches_none_and_casts_no_doubt_on_them(
    nodes: FakeNodes, fleet: SteppedWorker, path: str
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    assert fleet.visit(path).status_code in (404, 414)
    assert fleet.web.post("/api/spawn", json={"path": "/lab/%2e%2e/x"}).status_code == 400
    assert node.spawns() == []
