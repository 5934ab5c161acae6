"""Tests of how many sandboxes to start."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.pools.planning import (
    LONGEST_PAUSE_SECONDS,
    Counts,
    StartHealth,
    after_failure,
    excess,
    room_for,
    startable,
    starts,
    to_end,
)

WELL = StartHealth()
NUMBERS = st.integers(0, 50)
COUNTS = st.builds(Counts, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@pytest.mark.parametrize(
    ("counts", "warm", "capacity", "free_workers", "expected"),
    [
        (Counts(), 10, 10, 4, 4),
        (Counts(ready=8, starting=1), 10, 10, 4, 1),
        (Counts(ready=10), 10, 10, 4, 0),
        (Counts(ready=2, claimed=8), 10, 10, 4, 0),
        (Counts(ready=0, claimed=8, ending=1), 10, 10, 4, 1),
        (Counts(ready=3, claimed=1), 3, 10, 4, 0),
        (Counts(ready=2, claimed=1), 3, 10, 4, 1),
        (Counts(claimed=12), 10, 10, 4, 0),
        (Counts(), 10, 10, 0, 0),
        (Counts(), 10, 10, -1, 0),
        # Beside the last ready one of a former image one starts where there is no place left, and only one.
        (Counts(ready=1, outdated=1), 1, 1, 4, 1),
        (Counts(ready=1, outdated=1, claimed=3), 4, 4, 4, 1),
        (Counts(ready=1, outdated=1, claimed=3, starting=1), 4, 4, 4, 0),
        (Counts(ready=1, outdated=1, claimed=2, starting=1), 4, 4, 4, 0),
        (Counts(ready=1, outdated=1, claimed=3, ending=1), 4, 4, 4, 0),
        (Counts(ready=2, outdated=2, claimed=2), 4, 4, 4, 0),
        (Counts(ready=1, claimed=3), 4, 4, 4, 0),
    ],
)
def test_a_pool_is_refilled_to_its_warmth_within_its_capacity(
    counts: Counts, warm: int, capacity: int, free_workers: int, expected: int
) -> None:
    assert starts(counts, warm=warm, capacity=capacity, free_workers=free_workers, health=WELL, now=0.0) == expected


@given(COUNTS, NUMBERS, NUMBERS, NUMBERS)
def test_no_plan_exceeds_the_capacity_the_warmth_or_the_hands(
    counts: Counts, warm: int, capacity: int, free_workers: int
) -> None:
    planned = starts(counts, warm=warm, capacity=capacity, free_workers=free_workers, health=WELL, now=0.0)
    assert 0 <= planned <= free_workers
    assert planned == 0 or counts.total + planned <= capacity
    assert planned == 0 or counts.ready + counts.starting + planned <= warm


def test_an_image_that_fails_is_tried_again_one_at_a_time_after_its_pause() -> None:
    failing = StartHealth(failures=1, retry_at=100.0)

    def planned(counts: Counts, now: float) -> int:
        return starts(counts, warm=10, capacity=10, free_workers=4, health=failing, now=now)

    assert planned(Counts(), 99.0) == 0
    assert planned(Counts(), 100.0) == 1
    assert planned(Counts(starting=1), 100.0) == 0


def test_the_pause_doubles_up_to_a_bound_and_is_never_less_than_its_base() -> None:
    health, pauses = StartHealth(), []
    for _ in range(100):
        health = after_failure(health, now=0.0, jitter=0.0)
        pauses.append(health.retry_at)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert after_failure(StartHealth(), now=0.0, jitter=1.0).retry_at == 1.25


def test_what_could_be_started_is_what_the_capacity_leaves() -> None:
    assert startable(Counts(ready=1, starting=2, claimed=3, ending=1), capacity=10, health=WELL) == 3
    assert startable(Counts(claimed=12), capacity=10, health=WELL) == 0


def test_nothing_is_startable_while_the_image_fails() -> None:
    assert startable(Counts(), capacity=10, health=StartHealth(failures=1)) == 0


@pytest.mark.parametrize(
    ("counts", "warm", "capacity", "expected"),
    [
        (Counts(ready=4), 4, 4, 0),
        (Counts(ready=5), 4, 10, 1),
        (Counts(ready=4, claimed=2), 4, 4, 2),
        (Counts(ready=1, claimed=5), 4, 4, 1),
        (Counts(ready=8, outdated=8), 8, 8, 2),
        (Counts(ready=7, outdated=7, starting=1), 8, 8, 1),
        (Counts(ready=6, outdated=6, starting=1, ending=1), 8, 8, 0),
        (Counts(ready=8, outdated=8), 8, 10, 0),
        (Counts(ready=1, outdated=1), 1, 1, 0),
        (Counts(ready=1, outdated=1, claimed=3), 4, 4, 0),
        (Counts(ready=1, outdated=1, claimed=3, starting=1), 4, 4, 0),
        (Counts(ready=2, outdated=1, claimed=3), 4, 4, 1),
        (Counts(ready=1, claimed=4), 4, 4, 1),
        (Counts(ready=2, outdated=1, claimed=2), 4, 4, 1),
        (Counts(ready=10, outdated=2), 8, 10, 2),
    ],
)
def test_what_is_beyond_the_wish_goes_and_another_image_comes_a_quarter_at_a_time(
    counts: Counts, warm: int, capacity: int, expected: int
) -> None:
    assert to_end(counts, warm=warm, capacity=capacity, health=WELL) == expected


def test_nothing_of_a_former_image_goes_while_the_new_one_fails() -> None:
    assert to_end(Counts(ready=8, outdated=8), warm=8, capacity=8, health=StartHealth(failures=1)) == 0


@given(NUMBERS, st.integers(1, 50), NUMBERS, st.integers(1, 50))
def test_no_roll_empties_a_pool_that_has_something_ready_and_every_roll_ends(
    ready: int, warm: int, claimed: int, capacity: int
) -> None:
    """Played to its end: what was to_end has gone by the next turn, and what was started is ready by the one after."""
    ready = min(ready, warm, capacity)
    counts = Counts(ready=ready, outdated=ready, claimed=min(claimed, capacity - ready))
    for _ in range(200):
        counts = ended(counts, excess(counts, warm=warm, capacity=capacity))
        counts = ended(counts, to_end(counts, warm=warm, capacity=capacity, health=WELL))
        assert counts.ready > 0 or ready == 0
        assert counts.ready + counts.claimed <= capacity, "more than it may hold could be handed out"
        begun = starts(counts, warm=warm, capacity=capacity, free_workers=4, health=WELL, now=0.0)
        assert counts.total + begun <= capacity + 1, "one more than it may hold, and that only while one is replaced"
        counts = replace(counts, ready=counts.ready + counts.starting, starting=begun, ending=0)
    assert counts.outdated == 0


def ended(counts: Counts, gone: int) -> Counts:
    """Those of a former image go first, as in the pool."""
    return replace(
        counts,
        ready=counts.ready - gone,
        outdated=max(0, counts.outdated - gone),
        ending=counts.ending + gone,
    )


def test_memory_has_room_for_what_the_reserves_and_the_real_use_leave() -> None:
    assert room_for([], memory=1000, reserve=100) == 10
    assert room_for([50, 100, 350], memory=1000, reserve=100) == 4
    assert room_for([1200], memory=1000, reserve=100) == 0


def test_no_more_starts_than_the_memory_has_room_for() -> None:
    assert starts(Counts(), warm=10, capacity=10, free_workers=8, health=WELL, now=0.0, room=3) == 3
    lone = Counts(ready=1, outdated=1)
    assert starts(lone, warm=1, capacity=1, free_workers=8, health=WELL, now=0.0, room=0) == 0
    assert startable(Counts(), capacity=10, health=WELL, room=3) == 3
