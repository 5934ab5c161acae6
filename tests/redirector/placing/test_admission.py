"""Who gets in, in which order, over several workers; and how a place is kept or lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from redirector.store.journal import Journal
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes
from tests.support.fleet_worker import SteppedWorker, stepped_worker

PROGRAM = {"Accept": "application/json"}


@pytest.fixture
def full_node(nodes: FakeNodes, fleet: SteppedWorker) -> FakeNode:
    """The fleet's only node, with every sandbox in use."""
    node = nodes.add("n1", ready=0)
    fleet.add(node)
    return node


@pytest.fixture
def other(tmp_path: Path) -> Iterator[SteppedWorker]:
    """A second worker on the same database."""
    with stepped_worker(tmp_path) as other:
        yield other


def come(fleet: SteppedWorker, path: str = "/", **headers: str) -> dict[str, Any]:
    """Join the queue as a program without cookies does."""
    answer = fleet.worker.app.test_client(use_cookies=False).get(path, headers={**PROGRAM, **headers})
    assert answer.status_code == 202, answer.text
    return dict(answer.get_json())


def ask(fleet: SteppedWorker, place: dict[str, Any]) -> TestResponse:
    return fleet.worker.app.test_client(use_cookies=False).get(place["next"], headers=PROGRAM)


def news(worker: SteppedWorker) -> None:
    """What its threads would read within half a second."""
    worker.worker.sync_loop.tick()


def lapse(fleet: SteppedWorker, ticket: str) -> None:
    """As if two polling intervals had passed without a word from this ticket."""
    with fleet.worker.database.writing() as connection:
        connection.execute(text("UPDATE tickets SET live_until = live_until - 20 WHERE ticket = :t"), {"t": ticket})


@pytest.mark.silence
@pytest.mark.usefixtures("full_node")
def test_who_finds_all_in_use_gets_a_place_and_is_told_when_to_ask_again(fleet: SteppedWorker) -> None:
    first, second = come(fleet), come(fleet)
    assert (first["status"], first["mood"], first["position"]) == ("waiting", "full", 1)
    assert second["position"] == 2, "also before anybody has read of the first"
    assert ask(fleet, second).get_json()["position"] == 2
    assert first["retry_after"] > 0
    assert first["expected_seconds"] is None
    assert first["next"] == f"/wait/{first['ticket']}/"
    fleet.tick()
    answer = ask(fleet, second)
    assert (answer.get_json()["position"], answer.get_json()["waiting"]) == (2, 2)
    assert int(answer.headers["Retry-After"]) >= 1


def test_people_go_in_in_the_order_in_which_they_came_whichever_worker_they_meet(
    fleet: SteppedWorker, full_node: FakeNode, other: SteppedWorker
) -> None:
    places = [come(fleet if number % 2 else other) for number in range(6)]
    went_in = []
    for _ in range(6):
        full_node.ready = 1
        fleet.tick()
        news(other)
        for number in reversed(range(6)):
            # The last asks first.
            answer = ask(other if number % 2 else fleet, places[number])
            if answer.status_code == 200 and number not in went_in:
                went_in.append(number)
    assert went_in == [0, 1, 2, 3, 4, 5]
    assert full_node.claimed == 6


def test_as_many_go_in_at_once_as_slots_became_free(fleet: SteppedWorker, full_node: FakeNode) -> None:
    places = [come(fleet) for _ in range(5)]
    full_node.ready = 3
    fleet.tick()
    statuses = [ask(fleet, place).status_code for place in reversed(places)]
    assert statuses == [202, 202, 200, 200, 200]


def test_a_newcomer_joins_the_end_while_anybody_waits(
    fleet: SteppedWorker, full_node: FakeNode, other: SteppedWorker
) -> None:
    first = come(fleet)
    full_node.ready = 1
    fleet.tick()
    newcomer = come(other)
    assert ask(other, newcomer).status_code == 202, "the one slot is for the first"
    assert ask(fleet, first).status_code == 200


def test_a_newcomer_goes_straight_in_when_there_is_room_for_all_who_wait_and_one_more(
    fleet: SteppedWorker, full_node: FakeNode
) -> None:
    come(fleet)
    full_node.ready = 2
    fleet.tick()
    assert fleet.visit().status_code == 302


def test_with_plenty_of_room_a_newcomer_costs_the_database_nothing(fleet: SteppedWorker, full_node: FakeNode) -> None:
    come(fleet)
    full_node.capacity = full_node.ready = 60
    fleet.tick()
    assert fleet.visit().status_code == 302
    with fleet.worker.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM tickets")).scalar_one() == 1


def test_a_program_that_does_not_wait_cannot_go_past_those_who_do(fleet: SteppedWorker, full_node: FakeNode) -> None:
    first = come(fleet)
    full_node.ready = 1
    fleet.tick()
    refused = fleet.web.post("/api/spawn")
    assert (refused.status_code, refused.get_json()["status"]) == (429, "full")
    assert ask(fleet, first).status_code == 200
    fleet.tick()
    assert fleet.worker.waiting_queue.queue.waiting("default") == 0, "it left nothing behind"


def test_a_closed_tab_holds_up_nobody_for_more_than_two_intervals(fleet: SteppedWorker, full_node: FakeNode) -> None:
    closed, behind = come(fleet), come(fleet)
    full_node.ready = 1
    assert ask(fleet, behind).status_code == 202
    lapse(fleet, closed["ticket"])
    fleet.tick()
    assert ask(fleet, behind).status_code == 200


def test_the_same_ticket_gets_the_same_sandbox_again_if_the_answer_was_lost(
    fleet: SteppedWorker, full_node: FakeNode, other: SteppedWorker
) -> None:
    place = come(fleet, "/lab/tree/a.ipynb")
    full_node.ready = 1
    fleet.tick()
    news(other)
    first = ask(fleet, place).get_json()["url"]
    assert first.endswith("/lab/tree/a.ipynb")
    assert ask(other, place).get_json()["url"] == first
    assert full_node.claimed == 1


@pytest.mark.silence
def test_whoever_cannot_find_their_sandbox_since_its_node_hangs_gets_another_and_gives_the_first_back(
    nodes: FakeNodes, fleet: SteppedWorker, full_node: FakeNode
) -> None:
    place = come(fleet)
    full_node.ready = 1
    fleet.tick()
    first = ask(fleet, place).get_json()["url"]
    fleet.add(nodes.add("n2"))
    full_node.claim_mood = "hanging"
    calls = len(full_node.spawns())
    assert ask(fleet, place).get_json()["url"] != first
    assert len(full_node.spawns()) == calls + 1, "it is not waited for twice"
    full_node.claim(full_node.spawns()[-1])  # the node gets to the question at last
    fleet.worker.abandonment.tick()
    assert full_node.claimed == 0


def test_those_far_behind_cost_the_database_nothing_of_their_own(fleet: SteppedWorker, full_node: FakeNode) -> None:
    places = [come(fleet) for _ in range(12)]
    fleet.tick()
    claims = len(full_node.spawns())
    last = ask(fleet, places[-1]).get_json()
    assert last["position"] == 12
    fleet.worker.sync_loop.tick()
    lapse(fleet, places[-1]["ticket"])
    fleet.worker.sync_loop.tick()
    assert fleet.worker.waiting_queue.queue.place(places[-1]["ticket"], "default") is None
    assert ask(fleet, places[-1]).get_json()["position"] == 12, "back soon enough to find the old place"
    assert len(full_node.spawns()) == claims, "none of it was worth asking a node for"


def test_what_was_asked_meanwhile_keeps_a_place_alive(fleet: SteppedWorker, full_node: FakeNode) -> None:
    places = [come(fleet) for _ in range(12)]
    fleet.tick()
    assert full_node.ready == 0
    assert ask(fleet, places[-1]).status_code == 202
    with fleet.worker.database.writing() as connection:
        connection.execute(text("UPDATE tickets SET live_until = 1"))
    fleet.worker.sync_loop.tick()
    assert list(fleet.worker.waiting_queue.queue.tickets["default"]) == [places[-1]["ticket"]]


@pytest.mark.usefixtures("full_node")
def test_each_pool_has_a_queue_of_its_own(nodes: FakeNodes, fleet: SteppedWorker) -> None:
    come(fleet)
    fleet.add(nodes.add("n2", ready=0, pools={"R": 1}))
    assert fleet.visit("/?pool=R").status_code == 302
    place = come(fleet, "/?pool=R")
    assert place["position"] == 1
    assert place["next"].endswith("/?pool=R")
    with_another_pool = dict(place, next=f"/wait/{place['ticket']}/")
    assert ask(fleet, with_another_pool).get_json()["ticket"] != place["ticket"], "no way in through another queue"


@pytest.mark.usefixtures("full_node")
def test_nobody_waits_for_a_pool_that_is_not_there(fleet: SteppedWorker) -> None:
    waiting = fleet.web.post("/api/spawn", json={"pool": "none", "wait": True})
    asking = fleet.web.post("/api/spawn", json={"pool": "none", "ticket": "x" * 32})
    assert [waiting.status_code, asking.status_code] == [404, 404]
    assert waiting.get_json()["status"] == asking.get_json()["status"] == "unknown_pool"


def test_refusals_waits_and_admissions_are_counted(fleet: SteppedWorker, full_node: FakeNode) -> None:
    place = come(fleet)
    full_node.ready = 1
    fleet.tick()
    ask(fleet, place)
    fleet.visit("/?pool=none")
    fleet.tick()
    counted = Journal(fleet.worker.database).counters()
    assert {name: counted.get(name) for name in ("waited", "admitted", "placed", "refused_unknown_pool")} == {
        "waited": 1,
        "admitted": 1,
        "placed": 1,
        "refused_unknown_pool": 1,
    }
    assert "refused_full" not in counted, "whoever waits is not turned away"


def test_beyond_its_limit_the_room_takes_nobody_and_says_so(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_WAITING_LIMIT="2") as fleet:
        fleet.add(nodes.add("n1", ready=0))
        first = come(fleet)
        come(fleet)
        person = fleet.worker.app.test_client(use_cookies=False).get("/", headers={"Accept": "text/html"})
        assert person.status_code == 503
        assert int(person.headers["Retry-After"]) > 0
        assert "waiting" in person.text
        program = fleet.web.post("/api/spawn", json={"wait": True})
        assert (program.status_code, program.get_json()["status"]) == (429, "full")
        assert ask(fleet, first).status_code == 202, "who is in there stays"


def test_without_a_waiting_room_all_in_use_is_a_503(nodes: FakeNodes, tmp_path: Path) -> None:
    with stepped_worker(tmp_path, TMPNB_WAITING_LIMIT="0") as fleet:
        fleet.add(nodes.add("n1", ready=0))
        answer = fleet.visit(headers={"Accept": "text/html"})
        assert answer.status_code == 503
        assert "in use" in answer.text
        assert answer.headers["Refresh"] == answer.headers["Retry-After"]


def test_with_the_database_away_whoever_asks_may_try_their_luck(fleet: SteppedWorker, full_node: FakeNode) -> None:
    place = come(fleet)
    with fleet.worker.database.writing() as connection:
        connection.execute(text("ALTER TABLE tickets RENAME TO tickets_away"))
    fleet.worker.sync_loop.tick()
    assert ask(fleet, place).get_json()["status"] == "waiting"
    newcomer = come(fleet)
    assert fleet.web.post("/api/spawn", json={}).status_code == 429, "this one does not wait"
    full_node.ready = 3
    fleet.tick()
    assert fleet.visit().status_code == 302
    assert ask(fleet, place).status_code == 200
    assert ask(fleet, newcomer).status_code == 200


def test_who_came_while_the_database_was_away_joins_the_queue_once_it_is_back(
    fleet: SteppedWorker, full_node: FakeNode
) -> None:
    with fleet.worker.database.writing() as connection:
        connection.execute(text("ALTER TABLE tickets RENAME TO tickets_away"))
    newcomer = come(fleet)
    assert newcomer["status"] == "waiting"
    with fleet.worker.database.writing() as connection:
        connection.execute(text("ALTER TABLE tickets_away RENAME TO tickets"))
    fleet.tick()
    joined = ask(fleet, newcomer).get_json()
    assert (joined["status"], joined["position"]) == ("waiting", 1)
    assert come(fleet)["position"] == 2
    full_node.ready = 1
    fleet.tick()
    assert ask(fleet, joined).status_code == 200


@pytest.mark.silence
def test_while_no_node_answers_those_who_wait_keep_their_place(
    nodes: FakeNodes, fleet: SteppedWorker, full_node: FakeNode
) -> None:
    place = come(fleet)
    nodes.die(full_node)
    fleet.tick(4)
    told = ask(fleet, place).get_json()
    assert (told["status"], told["mood"], told["position"]) == ("waiting", "trouble", 1)
    full_node.ready = 1
    nodes.start(full_node)
    fleet.tick(6)
    assert ask(fleet, place).status_code == 200


@pytest.mark.silence
def test_with_every_node_down_newcomers_wait_too(nodes: FakeNodes, fleet: SteppedWorker, full_node: FakeNode) -> None:
    nodes.die(full_node)
    fleet.tick(4)
    first, second = come(fleet), come(fleet)
    assert [first["mood"], second["mood"]] == ["trouble", "trouble"]
    full_node.ready = 2
    nodes.start(full_node)
    fleet.tick(6)
    assert [ask(fleet, place).status_code for place in (first, second)] == [200, 200]


def test_a_place_that_cannot_be_written_down_is_no_reason_to_turn_anybody_away(
    fleet: SteppedWorker, full_node: FakeNode
) -> None:
    come(fleet)
    fleet.worker.sync_loop.tick()
    full_node.ready = 1
    fleet.tick()
    with fleet.worker.database.writing() as connection:
        connection.execute(text("ALTER TABLE tickets RENAME TO tickets_away"))
    assert fleet.visit().status_code == 302


def test_over_its_limit_a_client_queues_and_lets_others_pass(nodes: FakeNodes, tmp_path: Path) -> None:
    limits = {"TMPNB_CLIENT_BURST": "2", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_CLIENT_FREE": "10.0.0.0/8"}
    with stepped_worker(tmp_path, TMPNB_WORKERS="1", **limits) as fleet:
        node = nodes.add("n1", ready=50, capacity=50)
        fleet.add(node)
        greedy = {"REMOTE_ADDR": "198.51.100.7"}
        stranger = fleet.worker.app.test_client(use_cookies=False)
        assert [stranger.get("/", environ_base=greedy).status_code for _ in range(2)] == [302, 302]
        held = stranger.get("/", headers=PROGRAM, environ_base=greedy)
        assert (held.status_code, held.get_json()["mood"]) == (202, "held")
        assert ask(fleet, held.get_json()).get_json()["mood"] == "held"
        for address in ("203.0.113.1", "10.0.0.1"):
            assert stranger.get("/", environ_base={"REMOTE_ADDR": address}).status_code == 302
        spawned = fleet.web.post("/api/spawn", environ_base=greedy)
        assert (spawned.status_code, spawned.get_json()["status"]) == (429, "limited")
        assert node.claimed == 4
        with fleet.worker.database.writing() as connection:
            connection.execute(text("UPDATE tickets SET held_until = 1"))
        assert ask(fleet, held.get_json()).status_code == 200


def test_a_client_far_over_its_limit_is_asked_to_come_back_later(nodes: FakeNodes, tmp_path: Path) -> None:
    limits = {"TMPNB_CLIENT_BURST": "1", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_CLIENT_FREE": ""}
    with stepped_worker(tmp_path, TMPNB_WORKERS="1", **limits) as fleet:
        fleet.add(nodes.add("n1", ready=50, capacity=50))
        client = fleet.worker.app.test_client(use_cookies=False)
        answers = [client.get("/", headers={"Accept": "text/html"}) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [302, 200, 200, 200, 200, 200, 429, 429]
        assert "network" in answers[-1].text
        assert int(answers[-1].headers["Retry-After"]) > 0


def test_one_client_holds_no_more_places_than_its_share_and_others_still_find_one(
    nodes: FakeNodes, tmp_path: Path
) -> None:
    with stepped_worker(tmp_path, TMPNB_WAITING_PER_CLIENT="5") as fleet:
        fleet.add(nodes.add("n1", ready=0, capacity=2, claimed=2))
        client = fleet.worker.app.test_client(use_cookies=False)

        def places(address: str, count: int) -> list[int]:
            environ = {"REMOTE_ADDR": address}
            return [client.get("/", headers=PROGRAM, environ_base=environ).status_code for _ in range(count)]

        assert places("198.51.100.7", 7) == [202] * 5 + [429] * 2
        assert places("198.51.100.8", 1) == [202]
        assert places("2001:db8:1:1::1", 6) == [202] * 5 + [429]
        spread = [status for network in range(2, 12) for status in places(f"2001:db8:1:{network}::1", 1)]
        assert spread.count(202) == 1, "the /56 around them has a fifth more"
        assert places("2001:db8:2::1", 1) == [202]
        assert places("127.0.0.1", 7) == [202] * 7, "this host's own"


def test_a_class_that_found_no_place_has_its_whole_share_once_there_is_room(nodes: FakeNodes, tmp_path: Path) -> None:
    limits = {"TMPNB_CLIENT_BURST": "3", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_WAITING_LIMIT": "0"}
    with stepped_worker(tmp_path, **limits) as fleet:
        node = nodes.add("n1", ready=0, capacity=9, claimed=9)
        fleet.add(node)
        client = fleet.worker.app.test_client(use_cookies=False)
        environ = {"REMOTE_ADDR": "198.51.100.7"}
        turned_away = [client.get("/", headers=PROGRAM, environ_base=environ).get_json() for _ in range(12)]
        assert {answer["status"] for answer in turned_away} == {"full"}
        node.ready, node.claimed = 9, 0
        fleet.tick(2)
        assert [client.get("/", environ_base=environ).status_code for _ in range(4)] == [302, 302, 302, 429]


def test_of_many_at_once_over_two_workers_each_slot_goes_to_the_earliest(
    fleet: SteppedWorker, full_node: FakeNode, other: SteppedWorker
) -> None:
    places = [come(fleet if number % 2 else other) for number in range(10)]
    full_node.ready = 4
    fleet.tick()
    news(other)

    def try_in(number: int) -> int:
        return ask(other if number % 2 else fleet, places[number]).status_code

    with ThreadPoolExecutor(8) as crowd:
        statuses = list(crowd.map(try_in, reversed(range(10))))
    inside = {number for number, status in zip(reversed(range(10)), statuses, strict=True) if status == 200}
    assert inside <= {0, 1, 2, 3}
    assert full_node.claimed == len(inside)
    while len(inside) < 4:
        inside |= {number for number in range(4) if number not in inside and try_in(number) == 200}
    assert full_node.claimed == 4


def test_who_waited_for_what_no_node_can_make_sense_of_is_told_so_and_holds_up_nobody(
    fleet: SteppedWorker, full_node: FakeNode
) -> None:
    odd, behind = come(fleet, "/lab/odd"), come(fleet)
    full_node.puzzled_by, full_node.ready = "odd", 1
    fleet.tick()
    answer = ask(fleet, odd)
    assert (answer.status_code, answer.get_json()["status"]) == (400, "bad_request")
    assert ask(fleet, behind).status_code == 200


def test_with_the_database_away_a_wish_without_sense_is_refused_too(fleet: SteppedWorker, full_node: FakeNode) -> None:
    place = come(fleet, "/lab/odd")
    full_node.puzzled_by, full_node.ready = "odd", 1
    fleet.tick()
    with fleet.worker.database.writing() as connection:
        connection.execute(text("ALTER TABLE tickets RENAME TO tickets_away"))
    fleet.worker.sync_loop.tick()
    assert ask(fleet, place).status_code == 400


def test_a_clock_that_is_set_back_refuses_nobody(
    nodes: FakeNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    set_back = 0.0
    monkeypatch.setattr(time, "time", lambda: now() - set_back)
    limits = {"TMPNB_CLIENT_BURST": "2", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_CLIENT_FREE": ""}
    with stepped_worker(tmp_path, TMPNB_WORKERS="1", **limits) as fleet:
        fleet.add(nodes.add("n1"))
        client = fleet.worker.app.test_client(use_cookies=False)
        assert [client.get("/", headers=PROGRAM).status_code for _ in range(2)] == [302, 302]
        set_back = 3600.0
        held = client.get("/", headers=PROGRAM)
        assert (held.status_code, held.get_json()["mood"]) == (202, "held"), "for a minute, not for an hour"
