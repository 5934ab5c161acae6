"""What people see of a node, and what its sandboxes' pages ask it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from node_agent.sandboxes import Sandbox
from node_agent.web import create_app
from node_agent.web.addresses import Addresses
from node_agent.web.node import NodeContext
from tests.support.node_pools import LIMITS, Bench, one_bench
from tests.support.node_web import make_node
from tmpnb_common.wire import DEFAULT_POOL

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def full_bench() -> Iterator[Bench]:
    with one_bench(capacity=40, warm=40) as bench:
        bench.fill()
        yield bench


@pytest.fixture
def node(full_bench: Bench, tmp_path: Path) -> NodeContext:
    return replace(make_node(full_bench, tmp_path), addresses=Addresses("https://n1.example.org", own_origins=False))


@pytest.fixture
def client(node: NodeContext) -> FlaskClient:
    return create_app(node).test_client()


@pytest.fixture
def sandbox(full_bench: Bench) -> Sandbox:
    claimed = full_bench.claims.claim(DEFAULT_POOL)
    assert isinstance(claimed, Sandbox)
    return claimed


# How long is left


def left(node: NodeContext, key: str) -> Any:
    return create_app(node).test_client().get(f"/-/left/{key}").json


def at(node: NodeContext, sandbox: Sandbox, age: float) -> NodeContext:
    assert sandbox.claimed_at is not None
    now = sandbox.claimed_at + age
    return replace(node, clock=lambda: now)


def test_an_unused_sandbox_has_the_idle_limit_left(node: NodeContext, sandbox: Sandbox) -> None:
    assert left(at(node, sandbox, 600), sandbox.key) == {
        "seconds_left": 3000,
        "most_seconds_left": 13800,
        "idle_seconds": 3600,
        "reason": "idle",
        "warn_seconds": 600,
        "report_seconds": 30,
    }


def test_a_busy_sandbox_has_until_its_greatest_age(node: NodeContext, sandbox: Sandbox, full_bench: Bench) -> None:
    full_bench.table.record_busy(sandbox.name, busy=True)
    assert left(at(node, sandbox, 14000), sandbox.key) == {
        "seconds_left": 400,
        "most_seconds_left": 400,
        "idle_seconds": 3600,
        "reason": "max_age",
        "warn_seconds": 600,
        "report_seconds": 30,
    }


def test_a_sandbox_that_is_overdue_has_nothing_left(node: NodeContext, sandbox: Sandbox) -> None:
    assert left(at(node, sandbox, 99999), sandbox.key)["seconds_left"] == 0


def test_a_warning_takes_up_a_quarter_of_a_short_limit(node: NodeContext, sandbox: Sandbox) -> None:
    brief = replace(node, limits=lambda _pool: replace(LIMITS, idle=400))
    assert left(at(brief, sandbox, 1), sandbox.key)["warn_seconds"] == 100


def test_asking_is_no_activity_for_the_sandbox(node: NodeContext, sandbox: Sandbox, full_bench: Bench) -> None:
    asked = list(full_bench.engine.jupyter(sandbox.name).requests)
    left(node, sandbox.key)
    assert full_bench.engine.jupyter(sandbox.name).requests == asked


def test_whoever_asks_how_long_is_left_has_come_and_is_not_at_work(
    node: NodeContext, sandbox: Sandbox, full_bench: Bench
) -> None:
    left(at(node, sandbox, 600), sandbox.key)
    seen = full_bench.table.get(sandbox.name)
    assert (seen.visited, seen.last_activity) == (True, None)


def test_whoever_is_reported_at_work_has_the_idle_limit_left_from_then_on(node: NodeContext, sandbox: Sandbox) -> None:
    client = create_app(at(node, sandbox, 3500)).test_client()
    said = client.post(f"/-/left/{sandbox.key}")
    assert (said.status_code, said.json) == (
        200,
        {
            "seconds_left": 3600,
            "most_seconds_left": 10900,
            "idle_seconds": 3600,
            "reason": "idle",
            "warn_seconds": 600,
            "report_seconds": 30,
        },
    )  # fmt: skip
    assert left(at(node, sandbox, 3600), sandbox.key)["seconds_left"] == 3500
    assert client.post(f"/-/left/{sandbox.key[:8]}{'2' * 26}").status_code == 410


def test_only_the_whole_key_of_a_claimed_sandbox_is_told_anything(client: FlaskClient, sandbox: Sandbox) -> None:
    guessed = sandbox.key[:8] + "2" * 26
    for key in (guessed, "2" * 34, "short"):
        answer = client.get(f"/-/left/{key}")
        assert (answer.status_code, (answer.json or {})["status"]) == (410, "gone")


def test_a_sandbox_that_waits_for_its_visitor_is_told_nothing(client: FlaskClient, full_bench: Bench) -> None:
    waiting = next(each for each in full_bench.table.all() if each.state == "ready")
    assert client.get(f"/-/left/{waiting.key}").status_code == 410


# Pages


def test_an_address_that_leads_nowhere_is_a_page_for_people_and_json_for_programs(client: FlaskClient) -> None:
    page = client.get("/wp-login.php", headers=BROWSER)
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    assert 'href="https://entry.example.org/"' in page.text
    assert (client.get("/wp-login.php").json or {})["status"] == "not_found"
    assert client.get("/api/none", headers=BROWSER).is_json


def test_a_node_of_a_fleet_shows_people_the_way_in(node: NodeContext) -> None:
    page = create_app(replace(node, fleet_only=True)).test_client().get("/", headers=BROWSER)
    assert page.status_code == 403
    assert 'href="https://entry.example.org/"' in page.text


def test_a_node_that_drains_says_so_to_people(client: FlaskClient, node: NodeContext) -> None:
    node.intent.decide_own("draining", "", "")
    page = client.get("/", headers=BROWSER)
    assert page.status_code == 503
    assert "takes no new visitors" in page.text


def test_a_sandbox_with_an_origin_of_its_own_is_entered_there(node: NodeContext) -> None:
    apart = replace(node, addresses=Addresses("https://n1.example.org", own_origins=True))
    location = create_app(apart).test_client().get("/lab/tree/a.ipynb?b=c").headers["Location"]
    key = location.partition("/user/")[2][:34]
    assert location == f"https://{key[:8]}.n1.example.org/user/{key}/lab/tree/a.ipynb?b=c"


def test_the_info_page_draws_every_place_once(client: FlaskClient, sandbox: Sandbox) -> None:
    page = client.get("/info")
    assert sandbox.key not in page.text
    assert page.text.count('class="slot ') == 40
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_the_info_page_of_a_draining_node_shows_no_place_as_free(client: FlaskClient, node: NodeContext) -> None:
    node.intent.decide_own("draining", "", "")
    page = client.get("/info")
    assert "Draining: this node takes no new visitors." in page.text
    assert 'class="slot ready"' not in page.text
    assert 'class="slot draining"' in page.text


def test_robots_are_kept_from_whatever_takes_a_sandbox(client: FlaskClient) -> None:
    assert "Disallow: /lab\n" in client.get("/robots.txt").text
