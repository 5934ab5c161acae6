"""What the counters say about visitors."""

from __future__ import annotations

import pytest

from redirector.counters.visitor_counts import Visitors, visitors
from redirector.model.outcomes import REFUSALS


@pytest.mark.parametrize("reason", REFUSALS)
def test_arrivals_are_those_who_were_placed_and_those_who_were_turned_away(reason: str) -> None:
    away = 3 if reason in [each for each in REFUSALS if each.fleets_fault] else 0
    assert visitors({"placed": 5, f"refused_{reason}": 3}) == Visitors(5 + away, 5, away)


def test_a_program_that_asks_again_until_its_sandbox_is_ready_came_once() -> None:
    assert visitors({"placed": 1, "refused_starting": 40}) == Visitors(1, 1, 0)


def test_whoever_waited_and_was_let_in_came_once() -> None:
    assert visitors({"placed": 2, "waited": 2, "admitted": 1}) == Visitors(3, 2, 0)
