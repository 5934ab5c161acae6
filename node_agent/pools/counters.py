"""What a node has done since its agent's start, counted for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

START_BOUNDS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Upper bounds in seconds: a cheap image on an idle host, to the default deadline."""


@dataclass(slots=True)
class Durations:
    """How long something took, by upper bounds."""

    bounds: Sequence[float] = START_BOUNDS
    counts: Counter[int] = field(default_factory=Counter)
    """By the position of the bound that was not exceeded; beyond the last one for what was longer."""
    total: float = 0.0

    def note(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def upto(self) -> list[tuple[str, int]]:
        """Each bound as Prometheus writes it, with how many did not exceed it."""
        found, sum_so_far = [], 0
        for position, bound in enumerate([*map(str, self.bounds), "+Inf"]):
            sum_so_far += self.counts[position]
            found.append((bound, sum_so_far))
        return found


@dataclass(slots=True)
class Tally:
    """Only `Pools` writes here, with its lock held."""

    claims: Counter[str] = field(default_factory=Counter)
    """By pool."""
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By pool and status."""
    abandoned: int = 0
    """Sandboxes that were taken back, since nobody waited for them any more."""
    ends: Counter[str] = field(default_factory=Counter)
    """By reason."""
    starts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By pool and result: `ready` or `failed`."""
    start_seconds: dict[str, Durations] = field(default_factory=dict)
    """Of those that became ready, by pool."""

    def started(self, pool: str, seconds: float) -> None:
        self.starts[pool, "ready"] += 1
        self.start_seconds.setdefault(pool, Durations()).note(seconds)
