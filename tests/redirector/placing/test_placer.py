"""Visitors are placed by claims that fail over, on fake nodes behind real HTTP."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from redirector.model.nodes import Health
from redirector.model.outcomes import DenialReason
from redirector.placing.claims import LATE_SECONDS
from redirector.placing.outcomes import AdmissionRequest, Placed, Refused
from redirector.placing.placer import HOPELESS_TRIES
from tests.support.fleet_node import Mood
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker
from tests.support.waiting import wait_until


def placed(result: Placed | Refused) -> Placed:
    assert isinstance(result, Placed), result
    return result


def test_a_visitor_gets_a_sandbox_of_the_emptiest_node(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=1), nodes.add("n2", ready=4))
    result = placed(fleet.place("/lab"))
    assert (result.node, result.tries) == ("n2", 1)
    assert "/user/" in result.url


def test_a_capability_is_not_shown_where_results_are_logged(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1"))
    result = placed(fleet.place())
    assert result.url not in repr(result)


def test_more_visitors_than_slots_get_each_slot_once_and_none_is_lost(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(*(nodes.add(f"n{number}", ready=5) for number in range(4)))
    with ThreadPoolExecutor(16) as crowd:
        results = list(crowd.map(lambda _: fleet.place(), range(30)))
    urls = [result.url for result in results if isinstance(result, Placed)]
    assert len(urls) == len(set(urls)) == 20
    assert {result.reason for result in results if isinstance(result, Refused)} == {"full"}


def test_equal_nodes_share_the_visitors(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(*(nodes.add(f"n{number}", ready=50, capacity=50) for number in range(3)))
    shares = Counter(placed(fleet.place()).node for _ in range(60))
    assert all(share == 20 for share in shares.values()), "each claim corrects the ranking"


def test_a_node_that_lies_is_left_out_and_the_next_one_gives(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    liar = nodes.add("liar", ready=9, capacity=9, lies=True)
    fleet.add(liar, nodes.add("n1", ready=1))
    result = placed(fleet.place())
    assert (result.node, result.tries) == ("n1", 2)
    assert len(liar.spawns()) == 1


def test_a_dead_node_costs_no_visitor_and_is_out_of_use_at_once(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    dead = nodes.add("dead", ready=9, capacity=9)
    fleet.add(dead, nodes.add("n1", ready=3))
    nodes.die(dead)
    assert placed(fleet.place()).tries == 2
    assert [placed(fleet.place()).tries for _ in range(2)] == [1, 1]
    fleet.worker.sync_loop.tick()
    fleet.tick()
    assert fleet.seen(dead).health is Health.SUSPECT


@pytest.mark.silence
@pytest.mark.parametrize(
    ("mood", "count"), [("hanging", 1), ("trickling", 1), ("hanging", 4), ("hanging", 8)], ids=lambda value: f"{value}"
)
def test_while_another_node_has_room_nobody_waits_for_one_that_is_late(
    nodes: FakeNodes, fleet: SteppedWorker, mood: Mood, count: int
) -> None:
    hung = [nodes.add(f"hung{number}", ready=50, capacity=50) for number in range(count)]
    fleet.add(*hung, nodes.add("n1", ready=5))
    for node in hung:
        node.claim_mood = mood
    result = placed(fleet.place())
    assert (result.node, result.tries) == ("n1", count + 1)
    assert all(len(node.spawns()) == 1 for node in hung), "nor for another answer of theirs"
    assert placed(fleet.place()).tries == 1, "the next visitor is not sent there first"
    fleet.tick()
    assert all("a claim failed: no answer" in fleet.seen(node).reason for node in hung), "and everybody hears of it"


@pytest.mark.silence
def test_where_nothing_else_has_room_a_late_node_is_asked_again_with_the_same_ticket(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    late = nodes.add("late", ready=9, capacity=9, claim_seconds=LATE_SECONDS + 0.1)
    fleet.add(late, nodes.add("n1", ready=1, lies=True))
    assert placed(fleet.place()).node == "late"
    first, second = (asked.body for asked in late.spawns())
    assert first == second
    assert len(first["tickets"][0]["ticket"]) >= 22
    assert late.claimed == 1


@pytest.mark.silence
def test_where_all_nodes_are_slow_everybody_gets_a_sandbox_and_no_more_than_one(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    slow = [nodes.add(f"n{number}", ready=5, claim_seconds=LATE_SECONDS + 0.1) for number in range(3)]
    fleet.add(*slow)
    with ThreadPoolExecutor(6) as crowd:
        results = list(crowd.map(lambda _: fleet.place(), range(6)))
    assert len({placed(result).url for result in results}) == 6
    wait_until(lambda: _settled(fleet) == 6, 10, "the nodes to take back what nobody waits for")


def _settled(fleet: SteppedWorker) -> int:
    """How many sandboxes visitors hold once the nodes have heard what was given up."""
    fleet.worker.abandonment.tick()
    fleet.tick()
    return sum(seen.stats.claimed for seen in fleet.board.seen.values() if seen.stats is not None)


@pytest.mark.silence
@pytest.mark.parametrize("order", ["carried out before", "carried out after"])
def test_what_a_late_node_hands_out_to_nobody_is_taken_back(nodes: FakeNodes, fleet: SteppedWorker, order: str) -> None:
    late = nodes.add("late", ready=9, capacity=9)
    fleet.add(late, nodes.add("n1", ready=2))
    late.claim_mood = "hanging"
    assert placed(fleet.place()).node == "n1"
    claim = late.spawns()[0]
    if order == "carried out before":
        assert "url" in late.claim(claim)[1]["claims"][0]
    fleet.worker.abandonment.tick()
    if order == "carried out after":
        assert late.claim(claim)[1]["claims"][0]["status"] == "abandoned"
    assert (late.ready, late.claimed) == (9, 0)


@pytest.mark.silence
def test_what_a_node_was_not_told_since_it_was_away_it_is_told_again(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    late = nodes.add("late", ready=9, capacity=9)
    fleet.add(late, nodes.add("n1", ready=2))
    late.claim_mood = late.mood = "failing"
    assert placed(fleet.place()).node == "n1"
    claim = late.spawns()[0]
    nodes.die(late)
    fleet.worker.abandonment.tick()
    late.claim_mood = late.mood = "well"
    nodes.start(late)
    assert "url" in late.claim(claim)[1]["claims"][0]

    def is_told() -> bool:
        fleet.worker.abandonment.tick()
        return late.claimed == 0

    wait_until(is_told, 10, "the news")


@pytest.mark.silence
def test_an_original_tmpnb_is_told_nothing_that_it_does_not_know(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    old = nodes.add("old", protocol=0, ready=9, capacity=9)
    fleet.add(old, nodes.add("n1", ready=2))
    old.claim_mood = "hanging"
    assert placed(fleet.place()).node == "n1"
    fleet.worker.abandonment.tick()
    assert {asked.path for asked in old.asked} <= {"/stats", "/api/stats", "/api/spawn"}
    assert len(old.spawns()) == 1, "it would hand out another one"


@pytest.mark.silence
@pytest.mark.parametrize("mood", ["garbled", "endless", "failing", "mute", "elsewhere"])
def test_an_odd_answer_to_a_claim_leads_to_the_next_node(nodes: FakeNodes, fleet: SteppedWorker, mood: Mood) -> None:
    odd = nodes.add("odd", ready=9, capacity=9)
    fleet.add(odd, nodes.add("n1", ready=1))
    odd.claim_mood = mood
    assert placed(fleet.place()).node == "n1"


@pytest.mark.silence
def test_a_suspect_is_used_when_nothing_else_is_free_and_proves_itself(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    suspect = nodes.add("doubted", ready=2)
    fleet.add(suspect, nodes.add("n1", ready=1))
    suspect.mood = "failing"
    fleet.tick()
    assert fleet.seen(suspect).health is Health.SUSPECT
    suspect.mood = "well"
    assert placed(fleet.place()).node == "n1"
    assert placed(fleet.place()).node == "doubted"
    fleet.worker.sync_loop.tick()
    fleet.tick()
    assert fleet.seen(suspect).health is Health.UP


def test_a_draining_node_is_not_asked(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    draining = nodes.add("draining", ready=9, capacity=9, own_state="draining")
    fleet.add(draining, nodes.add("n1", ready=1))
    assert placed(fleet.place()).node == "n1"
    assert draining.spawns() == []


def test_a_node_that_began_to_drain_a_moment_ago_refuses_and_the_next_one_gives(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    draining = nodes.add("draining", ready=9, capacity=9)
    fleet.add(draining, nodes.add("n1", ready=1))
    draining.own_state = "draining"
    assert placed(fleet.place()).node == "n1"


def test_a_slot_that_became_ready_since_the_last_poll_is_found(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0, starting=1)
    fleet.add(node)
    node.ready, node.starting = 1, 0
    assert placed(fleet.place()).node == "n1"


def test_a_slot_that_nobody_promised_is_found_before_a_visitor_is_refused(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=0)
    fleet.add(node, nodes.add("n2", ready=0))
    node.ready = 1
    assert placed(fleet.place()).node == "n1"


def test_full_starting_and_trouble_are_told_apart(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0)
    fleet.add(node)
    full = fleet.place()
    assert isinstance(full, Refused)
    assert (full.reason, full.reasons) == ("full", {"n1": "none is ready"})
    node.starting = 1
    fleet.tick()
    starting = fleet.place()
    assert isinstance(starting, Refused)
    assert starting.reason == "starting"
    nodes.die(node)
    fleet.tick(3)
    trouble = fleet.place()
    assert isinstance(trouble, Refused)
    assert trouble.reason == "trouble"


def test_an_empty_fleet_is_trouble(fleet: SteppedWorker) -> None:
    assert fleet.place() == Refused(DenialReason.TROUBLE, {}, 0)


def test_a_full_fleet_is_not_asked_again_by_every_visitor_of_a_moment(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=0)
    fleet.add(node)
    for _ in range(20):
        fleet.place()
    assert 1 <= len(node.spawns()) < 20


def test_a_free_slot_is_found_however_many_nodes_lie_about_theirs(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    liars = [nodes.add(f"n{number}", lies=True) for number in range(3 * HOPELESS_TRIES)]
    fleet.add(*liars, nodes.add("honest", ready=1))
    result = placed(fleet.place())
    assert (result.node, result.tries) == ("honest", len(liars) + 1)


def test_a_full_fleet_is_not_asked_to_its_last_node_for_one_visitor(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(*(nodes.add(f"n{number}", ready=0) for number in range(3 * HOPELESS_TRIES)))
    result = fleet.place()
    assert isinstance(result, Refused)
    assert (result.reason, result.tries) == ("full", HOPELESS_TRIES + 1), "the first try, and some more in hope"


@pytest.mark.silence
def test_a_node_that_owes_answers_is_passed_by_before_its_time_out(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    hung = nodes.add("hung", ready=50, capacity=50)
    fleet.add(hung, nodes.add("n1", ready=5))
    hung.claim_mood = "hanging"
    with ThreadPoolExecutor(1) as first:
        stuck = first.submit(fleet.place)
        free_slots = fleet.worker.fleet_state.pool().free_slots
        wait_until(lambda: "hung" in free_slots.overdue(time.time()), 5)
        assert placed(fleet.place()).tries == 1
        assert placed(stuck.result()).node == "n1"


def test_a_pool_is_asked_for_where_it_is(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=9, capacity=9), nodes.add("n2", ready=0, pools={"gpu": 1}))
    assert placed(fleet.place(pool="gpu")).node == "n2"
    assert fleet.worker.admission.arrive(AdmissionRequest(pool="tpu")) == Refused(DenialReason.UNKNOWN_POOL)


def test_an_original_tmpnb_takes_visitors_beside_our_nodes(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("old", protocol=0, ready=2), nodes.add("n1", ready=1))
    assert {placed(fleet.place()).node for _ in range(3)} == {"old", "n1"}


def test_a_node_that_no_longer_takes_its_token_is_a_suspect(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    node = nodes.add("n1", ready=9, capacity=9)
    fleet.add(node, nodes.add("n2", ready=1))
    node.token = "rotated-without-telling"
    assert placed(fleet.place()).node == "n2"
    fleet.worker.sync_loop.tick()
    fleet.tick()
    assert "does not accept the fleet's token" in fleet.seen(node).reason


def test_placements_and_refusals_are_counted(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=1))
    fleet.place()
    fleet.place()
    fleet.worker.sync_loop.tick()
    counted = fleet.admin("GET", "/api/fleet").get_json()["visitors"]
    assert counted.items() >= {"placed": 1, "refused_full": 1, "tries": 2}.items()
    assert sum(count for name, count in counted.items() if name.startswith("place_le_")) == 1, "it is timed, too"


def test_with_the_database_away_visitors_are_placed_by_what_is_known(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    fleet.add(nodes.add("n1", ready=2))
    fleet.settings.state.joinpath("fleet.db").unlink()
    fleet.worker.database.close()
    fleet.settings.state.joinpath("fleet.db").mkdir()
    fleet.worker.sync_loop.tick()
    assert fleet.worker.database_state.away
    assert placed(fleet.place()).node == "n1"


def test_a_wish_that_a_node_can_make_no_sense_of_is_no_fault_of_the_node(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=2, puzzled_by="odd")
    fleet.add(node)
    assert fleet.place("/lab/odd") == Refused(DenialReason.BAD_REQUEST, {"n1": "such a path makes no sense"}, 1)
    fleet.worker.sync_loop.tick()
    fleet.tick()
    assert fleet.seen(node).health is Health.UP
    assert fleet.worker.fleet_state.pool().ranking.first == ("n1",)
    assert fleet.worker.fleet_state.pool().free_slots.free["n1"] == 2, "it said nothing about its slots"


def test_one_node_that_can_make_no_sense_of_a_wish_is_not_believed_alone(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    fleet.add(nodes.add("n1", ready=9, capacity=9, puzzled_by="/"), nodes.add("n2", ready=1))
    assert placed(fleet.place("/lab")).node == "n2"


def test_a_wish_that_makes_no_sense_is_not_carried_to_every_node(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    puzzled = [nodes.add(f"n{number}", puzzled_by="odd") for number in range(5)]
    fleet.add(*puzzled)
    result = fleet.place("/lab/odd")
    assert isinstance(result, Refused)
    assert (result.reason, result.tries) == ("bad_request", 2)
    assert sum(len(node.spawns()) for node in puzzled) == 2


@pytest.mark.silence
def test_of_several_who_share_a_call_one_with_an_odd_wish_spoils_it_for_nobody(
    nodes: FakeNodes, fleet: SteppedWorker
) -> None:
    node = nodes.add("n1", ready=20, capacity=20, puzzled_by="odd", claim_seconds=0.02)
    fleet.add(node)
    paths = ["/lab/odd" if number % 5 == 0 else "/lab" for number in range(16)]
    with ThreadPoolExecutor(16) as crowd:
        results = list(crowd.map(fleet.place, paths))
    assert len(node.spawns()) < 16, "some of them did share one"
    for path, result in zip(paths, results, strict=True):
        assert isinstance(result, Refused if path == "/lab/odd" else Placed)
    assert node.claimed == 12
