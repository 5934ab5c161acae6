"""The order of the queue: who may go in, and what the others are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redirector.model.waiting_room import (
    Facts,
    LetIn,
    Line,
    Offer,
    ask_again_seconds,
    expected_seconds,
    free_slots,
    live_seconds,
    may_enter,
    queue_of,
)


def test_the_first_may_always_try() -> None:
    assert may_enter(Facts(ahead=0), [])


@given(ahead=st.integers(1, 50), behind=st.integers(0, 50), free=st.integers(0, 100))
def test_anyone_else_may_only_if_a_slot_is_left_for_each_before_them(ahead: int, behind: int, free: int) -> None:
    allowed = may_enter(Facts(ahead, claiming_behind=behind), [Offer("n1", free, 1.0)])
    assert allowed == (free - ahead - behind >= 1)


def test_free_slots_are_what_nodes_said_less_what_went_out_since() -> None:
    offers = [Offer("n1", 3, 10.0), Offer("n2", 1, 12.0), Offer("n3", 2, 5.0)]
    let_in = [("n1", 11.0), ("n1", 9.0), ("n2", 13.0), ("n2", 14.0)]
    assert free_slots(Facts(0, let_in=let_in), offers) == 2 + 0 + 2
    assert free_slots(Facts(0, let_in=let_in, refused_at=6.0), offers) == 2


def test_a_queue_knows_everyones_place() -> None:
    queue = queue_of([("default", "a"), ("R", "r"), ("default", "b")], {"default": LetIn(6, 60.0)})
    place = queue.place("b", "default")
    assert place is not None
    assert (place.position, place.waiting, place.expected_seconds) == (2, 2, 20.0)
    alone = queue.place("r", "R")
    assert alone is not None
    assert (alone.position, alone.waiting, alone.expected_seconds) == (1, 1, None)
    assert queue.place("r", "default") is None, "nobody stands in one queue for another"
    assert queue.place("stranger", "default") is None
    assert queue.waiting("julia") == 0


def test_somebody_who_was_not_read_yet_stands_behind_the_rest() -> None:
    place = queue_of([("default", "a")], {}).place_at("default", 1)
    assert (place.position, place.waiting) == (2, 2)


def test_the_wait_is_unknown_until_enough_were_let_in_to_tell() -> None:
    assert expected_seconds(3, None) is None
    assert expected_seconds(3, LetIn(2, 10.0)) is None
    assert expected_seconds(3, LetIn(5, 10.0)) == 8.0


def test_the_next_in_line_ask_often_and_the_others_seldom() -> None:
    asked = [ask_again_seconds(ahead) for ahead in range(500)]
    assert asked == sorted(asked)
    assert asked[0] < 0.5, "a freed slot is not idle for a second"
    assert asked[20] == 1.0
    assert asked[-1] == 5.0
    assert sum(1 / seconds for seconds in asked) < 200, "requests a second of five hundred"
    assert live_seconds(5.0) > 10.0
    assert live_seconds(asked[0]) >= 3.0


def test_what_a_newcomer_would_wait_is_said_while_anybody_does() -> None:
    assert Line(4, 10.0, LetIn(10, 100.0)).expected_seconds == 50.0
    assert Line(0, None, LetIn(10, 100.0)).expected_seconds is None
    assert Line(4, 10.0, LetIn(2, 100.0)).expected_seconds is None, "on two nobody can tell"
