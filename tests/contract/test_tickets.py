"""What the waiting room's tickets promise, over SQLite and PostgreSQL alike."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from redirector.model.clients import PlaceBound
from redirector.model.waiting_room import LATELY_SECONDS, Offer
from redirector.store.database import Database
from redirector.store.signing_key import read_signing_key
from redirector.store.ticket_rows import CLAIM_SECONDS, KEPT_SECONDS, Ticket
from redirector.store.tickets import Tickets

INTERVAL = 60.0
"""Long, so that nothing lapses while a test runs unless it says so."""


@pytest.fixture
def tickets(database: Database) -> Tickets:
    return Tickets(database)


def join(tickets: Tickets, *names: str, pool: str = "default", **options: float) -> None:
    for name in names:
        values = {"limit": 100, "held_seconds": 0.0, "interval": INTERVAL, **options}
        joined = tickets.join(Ticket(name, pool, ""), refused=False, **values)  # type: ignore[arg-type]  # whole numbers
        assert joined is not None


def order(tickets: Tickets, pool: str = "default") -> list[str]:
    return list(tickets.queue().tickets.get(pool, ()))


def enter(tickets: Tickets, ticket: str, free: int = 0) -> str:
    return tickets.enter(ticket, "default", [Offer("n1", free, time.time())], interval=INTERVAL).state


def let_time_pass(database: Database, seconds: float) -> None:
    """As if it had passed for every ticket."""
    with database.writing() as connection:
        connection.execute(
            text(
                "UPDATE tickets SET live_until = live_until - :s, held_until = held_until - :s,"
                " claiming_until = claiming_until - :s,"
                " let_in_at = CASE WHEN let_in_at > 0 THEN let_in_at - :s ELSE 0 END"
            ),
            {"s": seconds},
        )


def test_a_ticket_that_gets_its_sandbox_says_how_long_it_waited(tickets: Tickets, database: Database) -> None:
    join(tickets, "a")
    with database.writing() as connection:
        connection.execute(text("UPDATE tickets SET joined_at = joined_at - 90"))
    waited = tickets.got("a", "n1")
    assert waited is not None
    assert 90 <= waited < 150
    assert tickets.got("nobody", "n1") is None


def test_who_is_no_longer_there_holds_up_nobody_when_the_clock_is_set_back(
    tickets: Tickets, database: Database
) -> None:
    join(tickets, "gone")
    join(tickets, "held", held_seconds=200.0)
    join(tickets, "claiming")
    assert enter(tickets, "claiming", free=2) == "enter"
    let_time_pass(database, -3600)
    join(tickets, "here")
    assert order(tickets) == ["here"]
    assert enter(tickets, "here", free=1) == "enter"
    assert enter(tickets, "held", free=9) == "enter", "its hour is not another one away"
    assert enter(tickets, "gone", free=9) == "enter", "it was there after all"


def test_tickets_stand_in_the_order_of_their_arrival_each_pool_for_itself(tickets: Tickets) -> None:
    join(tickets, "b", "a")
    join(tickets, "r", pool="R")
    join(tickets, "c")
    assert order(tickets) == ["b", "a", "c"]
    assert order(tickets, "R") == ["r"]
    assert tickets.anyone("R")
    assert not tickets.anyone("julia")
    assert enter(tickets, "r", free=9) == "unknown", "nobody stands in one queue for another"


def test_a_ticket_that_does_not_ask_again_for_two_intervals_holds_up_nobody(
    tickets: Tickets, database: Database
) -> None:
    join(tickets, "closed")
    join(tickets, "open")
    let_time_pass(database, 2 * INTERVAL + 2)
    tickets.saw({"open": INTERVAL})
    assert order(tickets) == ["open"]
    assert enter(tickets, "open") == "enter"


def test_who_comes_back_soon_finds_the_old_place_and_later_none(tickets: Tickets, database: Database) -> None:
    join(tickets, "away", "other")
    let_time_pass(database, 2 * INTERVAL + 2)
    tickets.sweep()
    tickets.saw({"away": INTERVAL, "other": INTERVAL})
    assert order(tickets) == ["away", "other"]
    let_time_pass(database, 2 * INTERVAL + KEPT_SECONDS + 2)
    tickets.sweep()
    assert tickets.find("away") is None
    assert enter(tickets, "away") == "unknown"


def test_the_first_in_line_may_try_though_nothing_is_free_and_the_second_may_not(tickets: Tickets) -> None:
    join(tickets, "first", "second")
    assert enter(tickets, "second") == "wait"
    assert enter(tickets, "first") == "enter"
    assert enter(tickets, "second") == "wait", "the first is still claiming"


def test_as_many_may_try_at_once_as_there_are_free_slots(tickets: Tickets) -> None:
    join(tickets, "a", "b", "c", "d")
    answers = {name: enter(tickets, name, free=3) for name in ("d", "c", "b", "a")}
    assert answers == {"d": "wait", "c": "enter", "b": "enter", "a": "enter"}


def test_a_slot_that_was_handed_out_since_the_node_spoke_is_not_handed_out_again(tickets: Tickets) -> None:
    join(tickets, "a", "b", "c")
    offers = [Offer("n1", 2, time.time())]
    assert tickets.enter("a", "default", offers, interval=INTERVAL).state == "enter"
    tickets.got("a", "n1")
    assert tickets.enter("c", "default", offers, interval=INTERVAL).state == "wait", (
        "of the two slots one is taken, the other is b's"
    )
    assert tickets.enter("b", "default", offers, interval=INTERVAL).state == "enter"


def test_what_nodes_said_before_a_refusal_is_void(tickets: Tickets) -> None:
    join(tickets, "a", "b")
    offers = [Offer("n1", 9, time.time())]
    assert tickets.enter("a", "default", offers, interval=INTERVAL).state == "enter"
    tickets.refused("a")
    assert tickets.enter("b", "default", offers, interval=INTERVAL).state == "wait"
    assert tickets.enter("a", "default", offers, interval=INTERVAL).state == "enter", "the place is kept"


def test_who_got_a_sandbox_no_longer_stands_before_anybody(tickets: Tickets) -> None:
    join(tickets, "a", "b")
    assert enter(tickets, "a") == "enter"
    tickets.got("a", "n1")
    assert order(tickets) == ["b"]
    assert tickets.find("a") == Ticket("a", "default", "n1")
    assert enter(tickets, "a") == "done"
    assert enter(tickets, "b") == "enter"


def test_a_second_tab_of_one_that_is_claiming_waits_for_the_outcome(tickets: Tickets) -> None:
    join(tickets, "a")
    assert enter(tickets, "a") == "enter"
    assert enter(tickets, "a") == "claiming"


def test_a_claim_whose_worker_died_does_not_hold_up_the_queue_for_ever(tickets: Tickets, database: Database) -> None:
    join(tickets, "a", interval=600.0)
    join(tickets, "b", interval=600.0)
    assert enter(tickets, "a") == "enter"
    let_time_pass(database, CLAIM_SECONDS + 1)
    assert enter(tickets, "a") == "enter"


def test_a_held_ticket_lets_others_pass_and_then_has_the_place_it_came_at(tickets: Tickets, database: Database) -> None:
    join(tickets, "greedy", held_seconds=30.0)
    join(tickets, "b", "c")
    assert order(tickets) == ["b", "c"]
    assert enter(tickets, "greedy", free=9) == "throttled"
    assert enter(tickets, "b") == "enter"
    let_time_pass(database, 31)
    assert order(tickets) == ["greedy", "b", "c"]


def test_one_client_and_the_networks_around_it_hold_so_many_places_and_no_more(tickets: Tickets) -> None:
    def come(ticket: str, network: str) -> object:
        bounds = [PlaceBound(network, 2), PlaceBound(network[:10], 3)]
        entry = Ticket(ticket, "R", "")
        return tickets.join(entry, limit=9, bounds=bounds, held_seconds=0, interval=INTERVAL, refused=False)

    a, b, elsewhere = "6:20010db80001000a", "6:20010db80001000b", "6:20010db90001000a"
    assert [come("a1", a), come("a2", a), come("a3", a)] == [0, 1, "limited"]
    assert [come("b1", b), come("b2", b)] == [2, "limited"]
    assert come("c1", elsewhere) == 3
    tickets.leave("a1")
    assert come("b2", b) == 3


def test_a_room_at_its_limit_takes_nobody(tickets: Tickets) -> None:
    join(tickets, "a", "b", limit=2)
    assert tickets.join(Ticket("c", "R", ""), limit=2, held_seconds=0, interval=INTERVAL, refused=False) == "crowded"
    assert tickets.find("c") is None


def test_the_pace_at_which_people_are_let_in_is_counted(tickets: Tickets, database: Database) -> None:
    join(tickets, "a", "b", "c")
    for name in ("a", "b"):
        enter(tickets, name)
        tickets.got(name, "n1")
    let_time_pass(database, 20)
    lately = tickets.queue().lately["default"]
    assert lately.count == 2
    assert 20 <= lately.seconds < 40
    let_time_pass(database, LATELY_SECONDS)
    assert tickets.queue().lately == {}
    tickets.sweep()
    assert tickets.find("a") is None


def test_of_many_who_ask_at_once_exactly_as_many_are_let_in_as_there_is_room(tickets: Tickets) -> None:
    names = [f"t{number:02}" for number in range(12)]
    join(tickets, *names)
    with ThreadPoolExecutor(8) as workers:
        answers = dict(zip(names, workers.map(lambda name: enter(tickets, name, free=5), names), strict=True))
    assert [name for name in names if answers[name] == "enter"] == names[:5]


def test_everyone_is_told_how_many_stand_before_them(tickets: Tickets) -> None:
    join(tickets, "other", pool="R")
    join(tickets, "a", "b")
    assert tickets.join(Ticket("c", "default", ""), limit=9, held_seconds=0, interval=INTERVAL, refused=False) == 2
    assert tickets.enter("b", "default", [], interval=INTERVAL).ahead == 1


def test_a_ticket_that_leaves_is_forgotten(tickets: Tickets) -> None:
    join(tickets, "a")
    tickets.leave("a")
    assert tickets.find("a") is None


def test_the_fleet_has_one_key_to_sign_with(database: Database) -> None:
    assert len(read_signing_key(database)) > 40
    assert read_signing_key(database) == read_signing_key(database)


def test_operators_see_each_pools_line_in_numbers(tickets: Tickets, database: Database) -> None:
    assert tickets.lines() == {}
    join(tickets, "gone", "a", "b")
    join(tickets, "r1", pool="r")
    join(tickets, "held", held_seconds=60.0)
    with database.writing() as connection:
        connection.execute(text("UPDATE tickets SET joined_at = joined_at - 90 WHERE ticket IN ('gone', 'a')"))
    tickets.got("gone", "n1")
    lines = tickets.lines()
    assert {pool: (line.waiting, line.lately.count) for pool, line in lines.items()} == {"default": (2, 1), "r": (1, 0)}
    first = lines["default"].first_seconds
    assert first is not None
    assert 90 <= first < 150
    tickets.leave("a")
    tickets.leave("b")
    assert tickets.lines()["default"].first_seconds is None
    let_time_pass(database, LATELY_SECONDS + 1)
    tickets.leave("r1")
    assert "default" not in tickets.lines()
