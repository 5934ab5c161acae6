"""Tests of why a sandbox is culled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node_agent.jupyter.client import Activity
from node_agent.pools.culling import Limits, Look, at_work, check_due, check_pace, next_end, why_cull
from node_agent.sandboxes import Sandbox, State

LIMITS = Limits(idle=3600, max_age=14400, unvisited=60)
CLAIMED = Sandbox("k" * 34, "default", "image", "claimed", created_at=0.0, claimed_at=1000.0)
CLAIMED = replace(CLAIMED, visited=True, last_activity=1500.0)


@pytest.mark.parametrize(
    ("age", "visited", "last_activity", "busy", "reason"),
    [
        (59, False, None, False, None),
        (60, False, None, False, "unvisited"),
        (60, False, None, True, None),
        (60, True, None, False, None),
        (3599, True, None, False, None),
        (3600, True, None, False, "idle"),
        (4099, True, 1500.0, False, None),
        (4100, True, 1500.0, False, "idle"),
        (4100, True, 1500.0, True, None),
        (14399, True, 15000.0, True, None),
        (14400, True, 15000.0, True, "max_age"),
        (14400, True, 15000.0, False, "max_age"),
    ],
)
def test_a_claimed_sandbox_ends_when_it_is_old_unused_or_never_visited(
    age: float, visited: bool, last_activity: float | None, busy: bool, reason: str | None
) -> None:
    sandbox = replace(CLAIMED, visited=visited, last_activity=last_activity, busy=busy)
    assert why_cull(sandbox, LIMITS, 1000.0 + age) == reason


EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
REST = Activity(EARLY, busy=False)


@pytest.mark.parametrize(
    ("before", "after", "work"),
    [
        (REST, REST, False),
        (None, None, False),
        (REST, None, False),
        (None, Activity("", busy=False), False),
        (REST, Activity(LATE, busy=False), True),
        (REST, Activity(EARLY, busy=True), True),
        (Activity(EARLY, busy=True), REST, False),
        (None, REST, True),
        # The clock was set back, or a kernel was ended: something happened all the same.
        (Activity(LATE, busy=False), REST, True),
    ],
)
def test_what_kernels_and_terminals_exchange_is_work(
    before: Activity | None, after: Activity | None, work: bool
) -> None:
    assert at_work(Look(100.0, before), Look(130.0, after)) is work


def test_a_program_in_a_terminal_is_work_until_it_is_done_be_it_ever_so_silent() -> None:
    last = Look(100.0, REST, 7.0)
    assert at_work(last, Look(130.0, REST, 7.0, program=True))
    assert not at_work(last, Look(130.0, REST, 7.0))


@pytest.mark.parametrize(
    ("seconds", "before", "after", "work"),
    [
        (30.0, 7.0, 9.9, False),
        (30.0, 7.0, 10.0, True),
        (30.0, None, 10.0, False),
        (30.0, 7.0, None, False),
        (30.0, 10.0, 7.0, False),
        # A burst of requests a moment after the last look.
        (1.0, 7.0, 7.4, False),
        (0.0, 7.0, 7.5, True),
    ],
)
def test_a_tenth_of_a_processor_is_work(seconds: float, before: float | None, after: float | None, work: bool) -> None:
    last, look = Look(100.0, REST, before), Look(100.0 + seconds, REST, after)
    assert at_work(last, look) is work


@pytest.mark.parametrize("state", ["starting", "ready", "ending"])
def test_a_sandbox_that_is_nobodys_is_not_culled_however_old(state: State) -> None:
    assert why_cull(replace(CLAIMED, state=state, claimed_at=None), LIMITS, 1e9) is None


@pytest.mark.parametrize(
    ("checked_at", "now", "due"),
    [
        (1000.0, 1029.0, False),
        (1000.0, 1030.0, True),
        # Idle since 1500, it would end at 5100: looked at once more at that moment, for somebody may have come back.
        (5090.0, 5099.0, False),
        (5090.0, 5100.0, True),
        (5100.0, 5101.0, False),
    ],
)
def test_a_claimed_sandbox_is_looked_at_at_a_steady_pace_and_when_its_end_is_due(
    checked_at: float, now: float, due: bool
) -> None:
    assert check_due(CLAIMED, LIMITS, checked_at, now) is due


def test_a_ready_sandbox_is_not_looked_at() -> None:
    assert not check_due(replace(CLAIMED, state="ready", claimed_at=None), LIMITS, 0.0, 1e9)


@pytest.mark.parametrize(
    ("last_activity", "busy", "end"),
    [
        (None, False, (4600.0, "idle")),
        (900.0, False, (4600.0, "idle")),
        (1500.0, False, (5100.0, "idle")),
        (1500.0, True, (15400.0, "max_age")),
        (9e99, False, (5200.0, "idle")),
    ],
)
def test_the_end_to_come_is_the_one_that_culling_brings(
    last_activity: float | None, busy: bool, end: tuple[float, str]
) -> None:
    sandbox = replace(CLAIMED, last_activity=last_activity, busy=busy)
    assert next_end(sandbox, LIMITS, 1600.0) == end
    assert next_end(sandbox, replace(LIMITS, idle=20000), 1600.0) == (15400.0, "max_age")


@pytest.mark.parametrize(
    ("busy", "limits", "end"),
    [
        (False, LIMITS, (1060.0, "unvisited")),
        (True, LIMITS, (15400.0, "max_age")),
        (False, replace(LIMITS, idle=30), (1030.0, "idle")),
        (False, replace(LIMITS, max_age=60), (1060.0, "max_age")),
    ],
)
def test_one_that_nobody_has_opened_ends_as_unvisited_and_culling_agrees(
    busy: bool, limits: Limits, end: tuple[float, str]
) -> None:
    sandbox = replace(CLAIMED, visited=False, last_activity=None, busy=busy)
    at, reason = next_end(sandbox, limits, 1001.0)
    assert (at, reason) == end
    assert why_cull(sandbox, limits, at - 1) is None
    assert why_cull(sandbox, limits, at) == reason


def test_a_short_limit_is_watched_more_closely_than_a_long_one() -> None:
    assert check_pace(Limits(idle=10, max_age=100, unvisited=5)) == 2.5
    assert check_pace(Limits(idle=3600, max_age=14400, unvisited=60)) == 30


EMBEDDED = replace(CLAIMED, embedded=True, page_seen=1500.0)
CLOSING = replace(LIMITS, closed=600)


@pytest.mark.parametrize(
    ("sandbox", "limits", "end"),
    [
        (EMBEDDED, CLOSING, (2100.0, "closed")),
        (replace(EMBEDDED, page_seen=None), CLOSING, (1600.0, "closed")),
        (replace(EMBEDDED, busy=True), CLOSING, (15400.0, "max_age")),
        (EMBEDDED, LIMITS, (5100.0, "idle")),
        (CLAIMED, CLOSING, (5100.0, "idle")),
        (replace(EMBEDDED, visited=False), CLOSING, (1060.0, "unvisited")),
        (replace(EMBEDDED, page_seen=9000.0), CLOSING, (5100.0, "idle")),
    ],
)
def test_live_code_ends_after_its_page_and_nobody_elses_session_does(
    sandbox: Sandbox, limits: Limits, end: tuple[float, str]
) -> None:
    at, reason = next_end(sandbox, limits, 1550.0)
    assert (at, reason) == end
    assert why_cull(sandbox, limits, at - 1) is None
    assert why_cull(sandbox, limits, at) == reason


def test_live_code_is_looked_at_once_more_before_it_ends_for_a_closed_page() -> None:
    assert check_due(EMBEDDED, CLOSING, 2090.0, 2100.0)
    assert not check_due(EMBEDDED, CLOSING, 2090.0, 2099.0)
    assert check_pace(replace(LIMITS, closed=20), embedded=True) == 5
    assert check_pace(replace(LIMITS, closed=20)) == 30
