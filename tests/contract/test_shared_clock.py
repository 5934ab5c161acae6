"""The time that all hosts of a fleet share."""

from __future__ import annotations

import time

import pytest

from redirector.store.database import Database
from redirector.store.shared_clock import SLOWEST_SECONDS, SharedClock


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_host_whose_clock_is_wrong_goes_by_the_databases(database: Database, ahead: float) -> None:
    clock = SharedClock(database, own=lambda: time.time() + ahead)
    assert abs(clock() - time.time()) > 3500, "until it has been read"
    clock.adjust()
    assert abs(clock() - time.time()) < 60


def test_a_clock_that_is_set_does_not_move_the_shared_one(database: Database) -> None:
    own = [1000.0]
    clock = SharedClock(database, own=lambda: own[0], ticks=lambda: 5.0)
    own[0] = 9000.0
    assert clock() == 1000.0


def test_an_answer_that_took_long_is_not_believed(database: Database) -> None:
    ticks = iter([0.0, 0.0, 2 * SLOWEST_SECONDS, 0.0])
    clock = SharedClock(database, own=lambda: 1000.0, ticks=lambda: next(ticks))
    clock.adjust()
    assert clock() == 1000.0
