"""Free slots as one worker counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redirector.memory.free_slots import ASK_AGAIN_SECONDS, OVERDUE_SECONDS, FreeSlots


def a_tally(free: int = 5, asked_at: float = 10.0) -> FreeSlots:
    free_slots = FreeSlots()
    free_slots.take({"n1": free}, {"n1": asked_at})
    return free_slots


def test_a_claim_under_way_has_its_slot() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.begin("n1", now=10.0)
    assert free_slots.free["n1"] == 3


def test_a_reply_corrects_the_count() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=True, available=1)
    assert free_slots.free["n1"] == 1


def test_a_reply_without_a_count_takes_one_off() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=True, available=None)
    assert free_slots.free["n1"] == 4


def test_a_clock_that_was_set_back_does_not_keep_old_replies_newer_than_every_poll() -> None:
    free_slots = a_tally(asked_at=5000.0)
    free_slots.begin("n1", now=5001.0)
    free_slots.end("n1", now=5001.0, took=0, available=0)
    free_slots.take({"n1": 4}, {"n1": 5000.5})
    assert free_slots.free["n1"] == 0, "the reply is newer than that"
    free_slots.take({"n1": 4}, {"n1": 1400.0})
    assert free_slots.free["n1"] == 4


def test_a_claim_that_failed_gives_its_slot_back() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=False, available=None)
    assert free_slots.free["n1"] == 5


def test_a_report_that_was_asked_for_before_a_reply_does_not_undo_it() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=True, available=0)
    free_slots.take({"n1": 5}, {"n1": 10.9})
    assert free_slots.free["n1"] == 0
    free_slots.take({"n1": 3}, {"n1": 11.1})
    assert free_slots.free["n1"] == 3


def test_a_node_that_refused_was_asked_lately_for_a_moment() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=False, available=0)
    assert free_slots.asked_lately(11.0) == {"n1"}
    assert free_slots.asked_lately(11.0 + ASK_AGAIN_SECONDS) == set()


def test_a_node_is_overdue_once_claims_have_waited_for_it_and_nothing_came() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    assert free_slots.overdue(10.0 + OVERDUE_SECONDS) == set()
    assert free_slots.overdue(10.1 + OVERDUE_SECONDS) == {"n1"}


def test_a_node_that_answers_anybody_is_not_overdue_and_a_time_out_is_no_answer() -> None:
    free_slots = a_tally()
    for _ in range(3):
        free_slots.begin("n1", now=10.0)
    free_slots.end("n1", now=11.0, took=False, available=None)
    assert free_slots.overdue(11.0) == {"n1"}
    free_slots.end("n1", now=11.0, took=True, available=3)
    assert free_slots.overdue(11.1) == set()
    free_slots.end("n1", now=11.1, took=True, available=2)
    assert free_slots.overdue(99.0) == set(), "nobody waits for it"


def test_a_node_that_left_is_forgotten_and_its_late_replies_do_no_harm() -> None:
    free_slots = a_tally()
    free_slots.begin("n1", now=10.0)
    free_slots.take({}, {})
    assert free_slots.free == {}
    free_slots.end("n1", now=11.0, took=True, available=None)
    assert free_slots.free["n1"] == 0


@given(st.lists(st.sampled_from(["report", "begin", "took", "failed", "refused"]), max_size=40), st.integers(0, 3))
def test_the_count_never_falls_below_zero_whatever_races(events: list[str], free: int) -> None:
    free_slots = a_tally(free)
    under_way = 0
    for moment, event in enumerate(events):
        now = 10.0 + moment
        match event:
            case "report":
                free_slots.take({"n1": free}, {"n1": now - 1.5})
            case "begin":
                free_slots.begin("n1", now=now)
                under_way += 1
            case _ if under_way:
                free_slots.end("n1", now=now, took=event == "took", available=0 if event == "refused" else None)
                under_way -= 1
        assert free_slots.free["n1"] >= 0
    for _ in range(under_way):
        free_slots.end("n1", now=100.0, took=False, available=None)
    free_slots.take({"n1": free}, {"n1": 200.0})
    assert free_slots.free["n1"] == free, "nothing is left over once all is quiet"
