"""How often nodes are polled. Pure."""

from __future__ import annotations

import math

AT_ONCE = 64
"""So many nodes are asked in one go. A larger fleet is spread over the tick, so that the worker that asks has its hands
free for visitors in between."""

SPREAD = 0.7
"""The part of a tick over which a large fleet is spread; the rest is for those that answer late."""

HURRIED_SECONDS = 0.3
HURRIED_POLLS = 200
"""While somebody waits, a freed slot should not be idle for long: ticks come as soon as this, at so many polls a second
at most.
"""


def interval_of(seconds: float, nodes: int, *, hurried: bool) -> float:
    """Seconds from one tick to the next: `seconds`, or fewer while somebody waits for what the next one may find."""
    return min(seconds, max(HURRIED_SECONDS, nodes / HURRIED_POLLS)) if hurried else seconds


def portion_of(due: int, part: float) -> int:
    """How many of the nodes that are due are asked in one go, of which each takes that part of a tick."""
    return max(AT_ONCE, math.ceil(due * part / SPREAD))
