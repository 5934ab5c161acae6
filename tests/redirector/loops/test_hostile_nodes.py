"""A node that answers as badly as it can hurts itself alone: neither whoever polls nor a visitor falls over it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from redirector.model.nodes import Failure, FailureKind, Health
from redirector.node_client.client import AgentClient
from redirector.store.journal import Journal
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_values import a_node
from tests.support.fleet_worker import SteppedWorker
from tmpnb_common.claims import ClaimRequest, Refusal
from tmpnb_common.wire import DEFAULT_POOL, NodeStats

NO_URLS = ["http://[", "http://[::1", "http://]", "http://[v1.x]", "http://n1:port"]
NO_TEXTS = ["\ud800", "a\0b", "x" * 5000]


@pytest.fixture
def pair(nodes: FakeNodes, fleet: SteppedWorker) -> tuple[FakeNode, FakeNode]:
    """One that turns hostile, and one that does not."""
    hostile, honest = nodes.add("hostile", ready=9, capacity=9), nodes.add("honest", ready=5)
    fleet.add(hostile, honest)
    return hostile, honest


@pytest.mark.parametrize("url", NO_URLS)
def test_stats_that_lead_to_what_is_no_address_are_a_failed_poll(
    nodes: FakeNodes, client: AgentClient, url: str
) -> None:
    node = nodes.add("n1", mood="elsewhere", elsewhere=url)
    found = client.stats(node.url)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.PROTOCOL_ERROR


@pytest.mark.parametrize("url", NO_URLS)
def test_a_sandbox_at_what_is_no_address_is_a_failed_claim(nodes: FakeNodes, client: AgentClient, url: str) -> None:
    node = nodes.add("n1", origin=url, ready=9)
    row = a_node(url=node.url, token=node.token)
    answers = client.claim(row, DEFAULT_POOL, [ClaimRequest("a" * 24), ClaimRequest("b" * 24)])
    assert not [answer for answer in answers if not isinstance(answer, Failure)]


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:99999", "http://127.0.0.1:1", "//evil.example", "ftp://127.0.0.1"]
)
def test_a_visitor_whom_a_node_would_send_elsewhere_gets_a_sandbox_at_the_next_node(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode], origin: str
) -> None:
    hostile, honest = pair
    hostile.origin = origin
    answer = fleet.visit("/lab")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{honest.url}/user/")
    assert hostile.spawns()


@pytest.mark.silence
def test_a_claim_whose_answer_no_parser_takes_costs_its_visitor_nothing(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode]
) -> None:
    hostile, honest = pair
    hostile.claim_mood = "odd"
    assert fleet.visit("/lab").headers["Location"].startswith(honest.url)
    assert hostile.spawns()


@pytest.mark.parametrize("text", NO_TEXTS)
def test_a_text_that_no_database_takes_is_a_failed_poll_and_no_more(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode], text: str
) -> None:
    hostile, honest = pair
    hostile.node_id = text
    fleet.tick(3)
    assert fleet.seen(hostile).health is Health.DOWN
    assert fleet.seen(honest).health is Health.UP
    assert [event.kind for event in Journal(fleet.worker.database).events()][-1] == "node_down", "it could be written"
    assert fleet.visit("/lab").headers["Location"].startswith(honest.url)


def test_a_pool_whose_name_is_none_is_a_failed_poll(fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode]) -> None:
    hostile, _ = pair
    hostile.pools = {"\ud800": 1}
    fleet.tick()
    assert fleet.seen(hostile).health is Health.SUSPECT
    assert fleet.admin("GET", "/metrics").status_code == 200
    assert fleet.admin("GET", "/dashboard").status_code in (200, 302)


def test_a_refusal_in_a_text_that_is_none_is_a_failed_claim(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode], client: AgentClient
) -> None:
    hostile, honest = pair
    hostile.puzzled_by, hostile.puzzled_words = "/", "\ud800"
    [answer] = client.claim(fleet.row(hostile), DEFAULT_POOL, [ClaimRequest("t" * 24, "/lab")])
    assert not isinstance(answer, Refusal)
    assert fleet.visit("/lab").headers["Location"].startswith(honest.url)


@pytest.mark.parametrize("generation", [2**53, 2**63 - 1, 2**63, 10**400])
def test_a_generation_beyond_all_counting_does_not_become_the_fleets(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode], generation: int
) -> None:
    hostile, honest = pair
    hostile.generation = generation
    fleet.tick(3)
    assert fleet.row(hostile).generation < 2**53
    assert fleet.seen(hostile).health is Health.DOWN
    assert fleet.seen(honest).health is Health.UP


@pytest.mark.silence
@pytest.mark.parametrize("names", [[None], [7], ["\ud800"], ["../../pool"], []])
def test_sandboxes_without_a_name_are_passed_over_when_a_drain_ends_them(
    fleet: SteppedWorker, pair: tuple[FakeNode, FakeNode], names: list[object]
) -> None:
    hostile, honest = pair
    hostile.claimed, hostile.nameless = 1, names
    with fleet.worker.registry.changing() as change:
        now = time.time()
        change.put(
            replace(fleet.row(hostile), intent="draining", intent_since=now, generation=2, end_sessions_at=now - 1)
        )
    fleet.tick()
    assert fleet.seen(honest).health is Health.UP
    assert not [asked for asked in hostile.asked if asked.method == "DELETE"]


def test_a_poll_that_fails_in_an_unforeseen_way_is_a_failed_poll_of_that_node(
    fleet: SteppedWorker,
    pair: tuple[FakeNode, FakeNode],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hostile, honest = pair
    stats = fleet.worker.client.stats

    def stumbling(address: str) -> NodeStats | Failure:
        if address == hostile.url:
            raise TypeError("nobody foresaw this")
        return stats(address)

    monkeypatch.setattr(fleet.worker.client, "stats", stumbling)
    fleet.tick(3)
    assert fleet.seen(hostile).health is Health.DOWN
    assert fleet.seen(honest).health is Health.UP
    assert "nobody foresaw this" in caplog.text
    assert fleet.visit("/lab").headers["Location"].startswith(honest.url)
