"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.05

LEAST_SECONDS = 30.0
"""However soon a condition should hold, a busy machine is given this long: nobody waits for it where it does hold."""


def wait_until(condition: Callable[[], T], within: float, what: str = "the condition") -> T:
    """Return the first true value of `condition`, asked again for `within` seconds, or for `LEAST_SECONDS`."""
    within = max(within, LEAST_SECONDS)
    deadline, pause = time.monotonic() + within, FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come about within {within} s"
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
