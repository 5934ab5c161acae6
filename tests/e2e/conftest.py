"""A fleet of two nodes with five sandboxes each, shared by the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.live_fleet import LiveFleet

NODES, CAPACITY = 2, 5


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    with LiveFleet(NODES, CAPACITY) as fleet:
        fleet.wait_until_available(NODES * CAPACITY)
        yield fleet
