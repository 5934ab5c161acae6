"""Durations counted in buckets, as plain counters that add up over workers and hosts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

PLACEMENT = ("place", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0))
"""From a visitor's request to the sandbox they got, in seconds."""

QUEUE = ("queue", (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0))
"""From taking a place in the waiting room to the sandbox, in seconds."""

Scale = tuple[str, tuple[float, ...]]

MICRO = 1_000_000
"""Counters are whole numbers, so sums are in microseconds."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was observed so far."""

    upto: tuple[tuple[str, int], ...]
    """Observations up to each bound and `+Inf`."""
    total_seconds: float


def observed(scale: Scale, seconds: float) -> dict[str, int]:
    """The counters that one observation adds to."""
    name, bounds = scale
    return {f"{name}_le_{_bound(bounds, bisect_left(bounds, seconds))}": 1, f"{name}_micros": round(seconds * MICRO)}


def read(scale: Scale, counters: Mapping[str, int]) -> Histogram:
    """The histogram that the counters hold."""
    name, bounds = scale
    words = [_bound(bounds, place) for place in range(len(bounds) + 1)]
    upto = accumulate(counters.get(f"{name}_le_{word}", 0) for word in words)
    return Histogram(tuple(zip(words, upto, strict=True)), counters.get(f"{name}_micros", 0) / MICRO)


def _bound(bounds: tuple[float, ...], place: int) -> str:
    return f"{bounds[place]:g}" if place < len(bounds) else "+Inf"
