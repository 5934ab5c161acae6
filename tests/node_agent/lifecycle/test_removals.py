"""What is said and done about sandboxes that cannot be removed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from node_agent.lifecycle.removals import ALARM_SECONDS, LINE_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Removals

BUSY = "device or resource busy"


@pytest.fixture
def removals() -> Removals:
    return Removals()


def test_the_pauses_between_tries_double_up_to_two_minutes(removals: Removals) -> None:
    now, tries = 0.0, []
    while now < 1000:
        if removals.due("a", now):
            tries.append(now)
            removals.failed("a", BUSY, now)
        now += 1.0
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[:7] == [2, 4, 8, 16, 32, 64, LONGEST_PAUSE_SECONDS]
    assert set(pauses[7:]) == {LONGEST_PAUSE_SECONDS}


def test_a_few_lines_tell_of_all_of_them(removals: Removals) -> None:
    lines = []
    for now in range(3600):
        for name in "abcde":
            if removals.due(name, now):
                removals.failed(name, BUSY, now)
        lines += [line] if (line := removals.line(now)) else []
    assert lines[0] == f"5 sandboxes (a, b, c and 2 more) cannot be removed, for 0 s, so that slots stay taken: {BUSY}"
    assert len(lines) <= 5 + 3600 / LINE_PAUSE_SECONDS


def test_it_is_a_problem_only_after_minutes_and_none_any_more_once_they_are_gone(removals: Removals) -> None:
    removals.failed("a", BUSY, 0)
    assert removals.problem(ALARM_SECONDS - 1) == ""
    assert "1 sandbox (a) cannot be removed, for 180 s" in removals.problem(ALARM_SECONDS)
    removals.done("a")
    removals.done("never-failed")
    assert removals.problem(ALARM_SECONDS) == ""
    assert removals.due("a", 0)
    removals.failed("b", BUSY, 10)
    assert removals.line(10), "another story, told at once"
