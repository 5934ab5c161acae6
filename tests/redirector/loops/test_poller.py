"""The poller, tick by tick, over fake nodes behind real HTTP; and what keeps several workers of one mind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.loops import pace, poller
from redirector.model.health import DOWN_AFTER
from redirector.model.nodes import Health
from redirector.operations.node_rules import OperatorDecision
from redirector.store.database import Database
from redirector.store.leases import LEASE_SECONDS
from tests.support.fleet_node import Mood
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker
from tests.support.waiting import wait_until


@pytest.fixture
def second(fleet: SteppedWorker) -> Iterator[SteppedWorker]:
    """Another worker of the same fleet; `fleet` has the lease."""
    with stepped_worker(fleet.settings.state) as second:
        yield second


def kinds(fleet: SteppedWorker) -> list[tuple[str, str]]:
    fleet.worker.sync_loop.tick()
    return [(event["kind"], event["node"]) for event in fleet.admin("GET", "/api/events").get_json()["events"]]


def test_an_order_that_the_polling_worker_has_not_read_yet_is_not_taken_for_an_old_one(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=4, claimed=1)
    fleet.add(node)
    second.tick()
    ends_at = time.time() + 3600
    second.worker.control.intend("n1", "draining", OperatorDecision(force=True, end_sessions_at=ends_at))
    assert node.generation == fleet.row(node).generation, "the node was told"
    fleet.worker.poller._asked_at.clear()
    fleet.worker.poller.tick(fleet.executor, threading.Event())
    assert fleet.row(node).end_sessions_at == ends_at
    assert fleet.row(node).generation == node.generation


def test_a_node_is_up_after_its_first_good_poll(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=4)
    fleet.add(node)
    assert fleet.seen(node).health is Health.UP
    assert fleet.worker.fleet_state.pool().free_slots.free == {"n1": 4}


@pytest.mark.silence
@pytest.mark.parametrize("mood", ["hanging", "trickling", "endless", "garbled", "failing", "mute", "alien", "odd"])
def test_a_sick_node_hurts_no_other(nodes: FakeNodes, fleet: SteppedWorker, mood: Mood) -> None:
    sick, well = nodes.add("sick"), nodes.add("well", ready=3)
    fleet.add(sick, well)
    sick.mood = mood
    well.ready = 2
    fleet.tick()
    assert fleet.seen(sick).health is Health.SUSPECT
    assert fleet.seen(sick).reason
    assert fleet.seen(well).health is Health.UP
    assert fleet.worker.fleet_state.pool().free_slots.free["well"] == 2
    fleet.tick(2)
    assert fleet.seen(sick).health is Health.DOWN


@pytest.mark.silence
def test_what_answers_is_published_while_another_node_hangs(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    hung, well = nodes.add("hung"), nodes.add("well", ready=3)
    fleet.add(hung, well)
    hung.mood = "hanging"
    well.ready = 1
    before = fleet.published()
    fleet.tick()
    assert fleet.published() >= before + 2, "once for those that answered, once for the one that did not"


@pytest.mark.silence
def test_a_node_that_is_down_is_asked_less_often(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    node.mood = "failing"
    fleet.tick(3)
    asked = len(node.asked)
    fleet.tick(6)
    assert len(node.asked) == asked + 3


def test_a_restarted_node_is_back_at_its_next_poll(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    nodes.die(node)
    fleet.tick(3)
    assert fleet.seen(node).health is Health.DOWN
    node.restart()
    nodes.start(node)
    fleet.tick(2)
    assert fleet.seen(node).health is Health.UP


def test_another_machine_behind_the_address_gets_no_visitor(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    node.node_id = "another"
    fleet.tick()
    assert fleet.seen(node).health is Health.DOWN
    assert fleet.visit().status_code == 503
    assert node.spawns() == []


@pytest.mark.silence
def test_most_nodes_silent_at_once_keeps_the_last_picture_and_raises_the_alarm(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    partition_suspected = [nodes.add(f"n{number}") for number in range(3)]
    fleet.add(*partition_suspected, nodes.add("n9", ready=0))
    for node in partition_suspected:
        node.mood = "hanging"
    fleet.tick(5)
    assert {fleet.seen(node).health for node in partition_suspected} == {Health.SUSPECT}
    assert any("cut off" in alarm for alarm in fleet.admin("GET", "/api/fleet").get_json()["alarms"])
    for node in partition_suspected:
        node.claim_mood = node.mood = "well"
    assert fleet.visit().status_code == 302, "placed by a claim that works"


def test_an_intent_is_put_to_a_node_until_it_reports_it(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node, nodes.add("n2"))
    fleet.worker.control.intend("n1", "draining", OperatorDecision())
    node.fleet_state, node.generation = "active", 0  # its disk was restored from before
    fleet.tick()
    assert (node.fleet_state, node.generation) == ("draining", fleet.row(node).generation)
    fleet.tick()
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["pending"] is False


def test_a_node_that_does_not_take_its_intent_is_complained_about(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", accepts_state=False)
    fleet.add(node, nodes.add("n2"))
    fleet.worker.control.intend("n1", "draining", OperatorDecision())
    fleet.tick()
    assert "n1 does not take over its intent" in fleet.admin("GET", "/api/fleet").get_json()["alarms"][0]
    assert fleet.admin("GET", "/api/nodes/n1").get_json()["pending"] is True


def test_a_registry_from_a_backup_numbers_its_intents_above_the_nodes(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    node.generation = 40
    fleet.tick(2)
    assert fleet.row(node).generation == node.generation == 41


def test_changes_of_health_become_events_and_states_do_not(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    fleet.tick(3)
    nodes.die(node)
    fleet.tick(5)
    assert kinds(fleet) == [("node_added", "n1"), ("node_up", "n1"), ("node_suspect", "n1"), ("node_down", "n1")]


@pytest.mark.silence
def test_what_visitors_met_at_another_worker_reaches_all(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=9, capacity=9)
    fleet.add(node, nodes.add("n2", ready=3))
    second.worker.sync_loop.tick()
    node.claim_mood = "failing"
    assert second.visit().status_code == 302
    second.worker.sync_loop.tick()
    fleet.tick()
    assert fleet.seen(node).health is Health.SUSPECT
    assert "a claim failed" in fleet.seen(node).reason


def test_a_worker_that_does_not_poll_reads_the_board(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    fleet.add(nodes.add("n1", ready=1))
    second.worker.sync_loop.tick()
    assert second.visit().status_code == 302


def test_a_holder_that_lost_the_lease_stops_polling(fleet: SteppedWorker, second: SteppedWorker) -> None:
    _expire(fleet)
    second.worker.sync_loop.tick()
    second.worker.sync_loop.tick()
    assert second.worker.sync_loop.leads
    fleet.worker.sync_loop.tick()
    fleet.worker.sync_loop.tick()
    assert not fleet.worker.sync_loop.leads


def test_a_holder_that_slept_through_its_lease_finds_out_when_it_publishes(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    fleet.add(nodes.add("n1"))
    _expire(fleet)
    second.worker.sync_loop.tick()
    second.worker.sync_loop.tick()
    assert fleet.worker.sync_loop.leads, "it has not looked yet"
    fleet.worker.poller.tick(fleet.executor, threading.Event())
    assert not fleet.worker.sync_loop.leads


def test_the_next_holder_goes_on_from_the_last_board(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    nodes.die(node)
    fleet.tick(3)
    since = fleet.seen(node).since
    _expire(fleet)
    second.tick(2)
    assert second.seen(node).health is Health.DOWN
    assert second.seen(node).since == since


def test_a_worker_that_stops_gives_the_lease_to_the_next(fleet: SteppedWorker, second: SteppedWorker) -> None:
    stop = threading.Event()
    stop.set()
    fleet.worker.sync_loop.run(stop)
    second.worker.sync_loop.tick()
    second.worker.sync_loop.tick()
    assert second.worker.sync_loop.leads


def _expire(fleet: SteppedWorker) -> None:
    database = Database(fleet.settings.database_url)
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE leases SET expires_at = expires_at - {LEASE_SECONDS + 1}")
    database.close()


def test_a_large_fleet_is_asked_bit_by_bit_over_the_beat(
    nodes: FakeNodes, fleet: SteppedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "AT_ONCE", 2)
    monkeypatch.setattr(poller, "PUBLISH_SECONDS", 0.05)
    many = [nodes.add(f"n{number}") for number in range(8)]
    fleet.add(*many)
    before = fleet.published()
    fleet.tick()
    assert fleet.published() - before >= 4, "an edition for each bit"
    assert {fleet.seen(node).polls for node in many} == {2}, "and everyone once"


def test_the_beat_is_quicker_while_somebody_waits(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_POLL_SECONDS="5") as fleet:
        fleet.add(nodes.add("n1", ready=0))
        assert fleet.worker.poller.interval() == 5
        fleet.visit()
        fleet.worker.waiting_queue.sync()
        assert fleet.worker.poller.interval() == pace.HURRIED_SECONDS


def test_while_somebody_waits_nobody_is_judged_sooner_for_not_answering(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_POLL_SECONDS="5") as fleet:
        node = nodes.add("n1", ready=0)
        fleet.add(node)
        fleet.visit()
        fleet.worker.waiting_queue.sync()
        nodes.die(node)
        for _ in range(DOWN_AFTER + 1):
            fleet.worker.poller.tick(fleet.executor, threading.Event())
        assert fleet.seen(node).health is Health.SUSPECT


def test_what_a_visitor_met_is_known_to_all_workers_between_beats(
    nodes: FakeNodes, fleet: SteppedWorker, second: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=9, capacity=9)
    fleet.add(node, nodes.add("n2", ready=3))
    second.worker.sync_loop.tick()
    nodes.die(node)
    assert second.visit().status_code == 302
    assert second.worker.outbox.urgent.is_set(), "it is written at once"
    second.worker.sync_loop.tick()
    fleet.worker.poller.listen(fleet.executor)
    assert fleet.seen(node).health is Health.SUSPECT
    second.worker.sync_loop.poll_news()
    assert second.seen(node).health is Health.SUSPECT


def test_only_the_first_visitor_of_a_worker_who_meets_a_death_has_it_written_at_once(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=9, capacity=9)
    fleet.add(node)
    nodes.die(node)
    fleet.visit()
    fleet.worker.sync_loop.tick()
    fleet.visit()
    assert not fleet.worker.outbox.urgent.is_set()


def test_a_node_that_is_back_is_known_before_the_next_beat(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    nodes.die(node)
    fleet.tick(3)
    assert fleet.seen(node).health is Health.DOWN
    node.restart()
    nodes.start(node)

    def is_up() -> bool:
        fleet.worker.poller.listen(fleet.executor)
        return fleet.seen(node).health is Health.UP

    wait_until(is_up, 5, "its return")


@pytest.mark.silence
def test_a_node_that_stays_away_is_judged_by_beats_alone(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1")
    fleet.add(node)
    node.mood = "failing"
    fleet.tick()
    asked = len(node.asked)

    def is_asked() -> bool:
        fleet.worker.poller.listen(fleet.executor)
        return len(node.asked) > asked + 3

    wait_until(is_asked, 5, "some rechecks")
    fleet.worker.poller.listen(fleet.executor)
    assert fleet.seen(node).health is Health.SUSPECT
