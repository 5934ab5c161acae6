"""What the counters say about visitors: how many came, got a sandbox, waited, were turned away. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redirector.model.outcomes import REFUSALS


@dataclass(frozen=True, slots=True)
class Visitors:
    """Of one span of time."""

    came: int
    placed: int
    turned_away: int


def visitors(counters: Mapping[str, int]) -> Visitors:
    """Whoever waited first and was admitted then came once, not twice.

    Over a long time `came` is the sum of the two others, and of those who wait or have left the waiting room.
    """
    placed = counters.get("placed", 0)
    turned_away = sum(counters.get(f"refused_{reason}", 0) for reason in REFUSALS if reason.fleets_fault)
    came = placed - counters.get("admitted", 0) + counters.get("waited", 0) + turned_away
    return Visitors(max(0, came), placed, turned_away)


def by_minute(grown: Mapping[str, list[int]], count: int) -> list[Visitors]:
    """The same for each of so many minutes, oldest first."""
    return [visitors({name: values[minute] for name, values in grown.items()}) for minute in range(count)]
