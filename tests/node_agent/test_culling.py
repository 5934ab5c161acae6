"""Tests of why a sandbox is culled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node_agent.culling import Limits, check_due, check_pace, next_end, why_cull
from node_agent.sandboxes import Sandbox, State

LIMITS = Limits(idle=3600, max_age=14400, unvisited=60)
CLAIMED = Sandbox("k" * 34, "default", "image", "claimed", created_at=0.0, claimed_at=1000.0, last_activity=1500.0)


@pytest.mark.parametrize(
    ("age", "last_activity", "busy", "reason"),
    [
        (59, 900.0, False, None),
        (60, 900.0, False, "unvisited"),
        (60, 1000.0, False, "unvisited"),
        (60, 1000.1, False, None),
        (60, None, False, None),
        (3599, None, False, None),
        (3600, None, False, "idle"),
        (4099, 1500.0, False, None),
        (4100, 1500.0, False, "idle"),
        (4100, 1500.0, True, None),
        (60, 900.0, True, None),
        (14399, 15000.0, True, None),
        (14400, 15000.0, True, "max_age"),
        (14400, 9e99, False, "max_age"),
        (14399, 9e99, False, None),
    ],
)
def test_a_claimed_sandbox_ends_when_it_is_old_unused_or_never_visited(
    age: float, last_activity: float | None, busy: bool, reason: str | None
) -> None:
    sandbox = replace(CLAIMED, last_activity=last_activity, busy=busy)
    assert why_cull(sandbox, LIMITS, 1000.0 + age) == reason


@pytest.mark.parametrize("state", ["starting", "ready", "ending"])
def test_a_sandbox_that_is_nobodys_is_not_culled_however_old(state: State) -> None:
    assert why_cull(replace(CLAIMED, state=state, claimed_at=None), LIMITS, 1e9) is None


@pytest.mark.parametrize(
    ("checked_at", "now", "due"),
    [
        (1000.0, 1029.0, False),
        (1000.0, 1030.0, True),
        # The visitor should have come by 1060: asked at that moment, not half a pace later.
        (1045.0, 1059.0, False),
        (1045.0, 1060.0, True),
        (1060.0, 1061.0, False),
        (1060.0, 1090.0, True),
        # Idle since 1500, it would end at 5100: asked once more at that moment, for somebody may have come back.
        (5090.0, 5099.0, False),
        (5090.0, 5100.0, True),
        (5100.0, 5101.0, False),
    ],
)
def test_a_claimed_sandbox_is_asked_at_a_steady_pace_and_when_its_visitor_or_its_end_is_due(
    checked_at: float, now: float, due: bool
) -> None:
    assert check_due(CLAIMED, LIMITS, checked_at, now, every=30.0) is due


def test_a_ready_sandbox_is_not_asked() -> None:
    assert not check_due(replace(CLAIMED, state="ready", claimed_at=None), LIMITS, 0.0, 1e9, every=30.0)


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


def test_a_short_limit_is_watched_more_closely_than_a_long_one() -> None:
    assert check_pace(Limits(idle=10, max_age=100, unvisited=5)) == 2.5
    assert check_pace(Limits(idle=3600, max_age=14400, unvisited=60)) == 30
