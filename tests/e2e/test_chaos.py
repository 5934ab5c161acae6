"""A minute of chaos: nobody loses anything but by a power cut of their own node, and nothing is left."""

from __future__ import annotations

import pytest

from tests.chaos.run import run

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(600)]


def test_a_minute_of_faults_costs_no_visitor_a_session_and_leaves_nothing_behind() -> None:
    outcome = run(minutes=1, seed=11, every=6, visitors=6)
    assert outcome.problems == [], f"{outcome.visitors}\n{outcome.faults}"
