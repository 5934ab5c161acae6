"""Tests of the clock by which ages count."""

from __future__ import annotations

from node_agent.pools.steady_clock import SteadyClock
from tests.support.node_fakes import Clock


def test_it_reads_like_the_hosts_clock_at_first_and_runs_on_when_that_is_set() -> None:
    wall, running = Clock(1_700_000_000.0), Clock(5000.0)
    clock = SteadyClock(wall, running)
    assert clock() == 1_700_000_000.0
    wall.now -= 18_000
    running.advance(10)
    assert clock() == 1_700_000_010.0
