"""A worker's thread beside its visitors: news, lease and reports, with the database there and away."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from redirector.model.content import Content, ContentPattern
from redirector.model.events import Event
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker
from tests.support.waiting import wait_until


@contextmanager
def database_away(fleet: SteppedWorker) -> Iterator[None]:
    """The directory of the database is gone, as a mount may be; nothing in it is lost."""
    fleet.worker.database.close()
    state, elsewhere = fleet.settings.state, fleet.settings.state.with_name("elsewhere")
    state.rename(elsewhere)
    yield
    shutil.move(elsewhere, state)


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[SteppedWorker]:
    with stepped_worker(tmp_path / "state") as fleet:
        yield fleet


def test_visitors_are_placed_and_nodes_polled_while_the_database_is_away(
    nodes: FakeNodes, moved: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=1)
    moved.add(node)
    with database_away(moved):
        assert moved.visit().status_code == 302
        node.ready = 2
        moved.tick()
        assert moved.worker.sync_loop.leads
        assert moved.worker.fleet_state.pool().free_slots.free == {"n1": 2}
        assert moved.visit().status_code == 302
        assert moved.admin("GET", "/api/nodes").get_json()["status"] == "database_away"


def test_what_was_counted_meanwhile_is_written_when_it_is_back(nodes: FakeNodes, moved: SteppedWorker) -> None:
    moved.add(nodes.add("n1", ready=1))
    with database_away(moved):
        moved.visit()
        moved.tick()
        assert moved.worker.database_state.away
    moved.tick()
    assert moved.worker.database_state.problem == ""
    assert moved.admin("GET", "/api/fleet").get_json()["visitors"]["placed"] == 1


def test_the_log_tells_when_the_database_goes_and_comes_and_nothing_in_between(
    nodes: FakeNodes, moved: SteppedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    moved.add(nodes.add("n1"))
    with caplog.at_level(logging.INFO, "redirector.loops.sync"), database_away(moved):
        for _ in range(4):
            moved.worker.sync_loop.tick()
    moved.worker.sync_loop.tick()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_news_of_the_registry_reach_a_worker_at_its_next_turn(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    with stepped_worker(fleet.settings.state) as second:
        fleet.add(nodes.add("n1"))
        assert second.worker.fleet_state.nodes == {}
        second.worker.sync_loop.tick()
        assert list(second.worker.fleet_state.nodes) == ["n1"]


@pytest.mark.parametrize("ahead", [-600, 600])
def test_workers_whose_hosts_clocks_are_minutes_apart_count_by_one_clock(
    nodes: FakeNodes, tmp_path: Path, ahead: float
) -> None:
    """What one of them polled is neither old nor from the future for the others, nor for those who wait."""
    node = nodes.add("n1", ready=2)
    with stepped_worker(tmp_path, lambda: time.time() + ahead) as polls, stepped_worker(tmp_path) as serves:
        polls.add(node)
        serves.worker.sync_loop.tick()
        fleet = serves.admin("GET", "/api/fleet").get_json()
        assert fleet["alarms"] == []
        assert 0 <= fleet["poller"]["age_seconds"] < 60
        assert serves.visit().status_code == 302
        node.ready = 5

        def is_believed() -> bool:
            polls.tick()
            serves.worker.sync_loop.tick()
            return serves.worker.fleet_state.pool().free_slots.free == {"n1": 5}

        wait_until(is_believed, 10, "the poll, which is newer than the claim")
        events = serves.admin("GET", "/api/events").get_json()["events"]
        assert all(abs(event["at"] - time.time()) < 60 for event in events)


def test_news_of_contents_reach_a_worker_at_its_next_tick_and_no_visit_reads_them(fleet: SteppedWorker) -> None:
    with stepped_worker(fleet.settings.state) as second:
        state = second.worker.fleet_state
        Contents(fleet.worker.database).add(Content("spring", "gh:org/course"), Event(1.0, "content_added"))
        ContentPatterns(fleet.worker.database).allow(ContentPattern("gh:org/*"), Event(1.0, "content_allowed"))
        assert (state.contents, state.patterns) == ({}, [])
        second.worker.sync_loop.tick()
        assert list(state.contents) == ["spring"]
        assert state.patterns == [ContentPattern("gh:org/*")]
        known = state.contents
        second.worker.sync_loop.tick()
        assert state.contents is known, "nothing was new"
