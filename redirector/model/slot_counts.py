"""A node's or the whole fleet's slots in numbers that add up, and of what is known now. Pure.

Numbers are counted only while they are current: those of a node that has not answered three polls in a row tell what
was, and stand nowhere beside what is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Protocol

from redirector.model.health import DOWN_AFTER
from redirector.model.nodes import Health, Node, Seen, eligibility


class Reported(Protocol):
    """Slots as a node reports them: of all its pools together, or of one."""

    @property
    def available(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def starting(self) -> int: ...
    @property
    def startable(self) -> int: ...
    @property
    def claimed(self) -> int: ...
    @property
    def ending(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """Slots by use.

    Invariant: `available + starting + startable + claimed + ending + unusable == capacity + over`; for one node one of
    `unusable` and `over` is 0.
    """

    available: int = 0
    """Ready for a visitor, and a visitor may be sent there."""
    capacity: int = 0
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    ending: int = 0
    """Of sandboxes that are being removed, and take up their place until that is done."""
    unusable: int = 0
    """None of these: ready ones of a node that takes nobody, slots without memory for them."""
    over: int = 0
    """More sandboxes than the capacity, as after it was lowered."""

    def __add__(self, other: SlotCounts) -> SlotCounts:
        """The sum of each; `over` of one node and `unusable` slots of another are kept apart."""
        return SlotCounts(*(one + two for one, two in zip(asdict(self).values(), asdict(other).values(), strict=True)))


def is_current(seen: Seen) -> bool:
    """Whether what a node reported last may be taken for what is.

    Counted in polls, not by a clock: whoever polls may run on another host.
    """
    return seen.stats is not None and seen.health in (Health.UP, Health.SUSPECT) and seen.failures < DOWN_AFTER


def counts_of(reported: Reported, *, takes_visitors: bool = True) -> SlotCounts:
    """What a node reported, sorted so that it adds up, whatever it reported."""
    available = reported.available if takes_visitors else 0
    startable = reported.startable if takes_visitors else 0
    rest = reported.capacity - available - startable - reported.starting - reported.claimed - reported.ending
    return SlotCounts(
        available=available,
        capacity=reported.capacity,
        starting=reported.starting,
        startable=startable,
        claimed=reported.claimed,
        ending=reported.ending,
        unusable=max(0, rest),
        over=max(0, -rest),
    )


def counts_now(node: Node, seen: Seen) -> SlotCounts:
    """A node's slots as they count for the fleet now: none, while nothing current is known of it."""
    if seen.stats is None or not is_current(seen):
        return SlotCounts()
    return counts_of(seen.stats, takes_visitors=eligibility(node, seen).order != "never")


def total(counts: Iterable[SlotCounts]) -> SlotCounts:
    return sum(counts, SlotCounts())
