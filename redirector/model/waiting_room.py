"""The waiting room: the order of those who wait, who of them may go in, and what each is told. Pure.

Invariant: whoever goes in leaves, as far as anyone knows, a free slot for every live ticket before them. So no live
ticket is overtaken, and yet a hundred slots that become free at once are taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

INTERVALS = 2
SLACK_SECONDS = 1.0
LEAST_LIVE_SECONDS = 3.0
"""A ticket is live for two of its page's polling intervals, and a bit for what lies between page and database; and not
for less than this, so that nobody loses the place at the front by one packet that is lost.
"""

FRONT = 8
"""So many beyond the free slots are looked up in the database itself when they ask. The rest get their position from
what their worker read a moment ago, and cost the database nothing of their own."""

QUICKEST_SECONDS = 0.4
SLOWEST_SECONDS = 5.0
PLACES_A_SECOND = 20
"""Who is next asks at this pace, so that a slot is not idle for longer; who has a hundred before them asks every five
seconds, since a place cannot come sooner than that in any fleet that has a queue at all."""

LATELY_SECONDS = 300.0
LEAST_LET_IN = 3
"""What can be said about the future rests on those let in lately; on fewer than this it would be a guess."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Free slots of one node, as of the moment when it was asked."""

    node: str
    free: int
    asked_at: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts when one ticket asks to go in: of its pool, at this moment."""

    ahead: int
    """Earlier live tickets, those that are claiming at this moment included."""
    claiming_behind: int = 0
    """Later ones that were let in, since there was room for them too, and are claiming at this moment."""
    refused_at: float = 0.0
    """When somebody last found nothing although they were let in: what nodes said before that is worth nothing."""
    let_in: Sequence[tuple[str, float]] = ()
    """Node and time of those who got a sandbox lately."""


def may_enter(facts: Facts, offers: Sequence[Offer]) -> bool:
    """Whether the ticket may claim now.

    The first in line always may: a sandbox may have become ready since anyone asked.
    """
    return facts.ahead == 0 or facts.ahead + facts.claiming_behind < free_slots(facts, offers)


def free_slots(facts: Facts, offers: Sequence[Offer]) -> int:
    """What nodes said, without what was handed out since each of them said it, by the database's clock."""
    return sum(
        max(0, offer.free - sum(node == offer.node and at > offer.asked_at for node, at in facts.let_in))
        for offer in offers
        if offer.asked_at > facts.refused_at
    )


@dataclass(frozen=True, slots=True)
class LetIn:
    """How many were let in lately, and over how long."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """One pool's part of the waiting room in numbers, for operators."""

    waiting: int
    first_seconds: float | None
    """How long the first of them has waited; None: nobody waits."""
    lately: LetIn

    @property
    def expected_seconds(self) -> float | None:
        """What somebody who comes now would wait; None: nobody can tell."""
        return expected_seconds(self.waiting, self.lately) if self.waiting else None


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a ticket stands."""

    ahead: int
    waiting: int
    """All who wait for that pool."""
    expected_seconds: float | None
    """None: nobody can tell."""

    @property
    def position(self) -> int:
        """As people count."""
        return self.ahead + 1


@dataclass(frozen=True, slots=True)
class Queue:
    """All live tickets as one worker last read them: by pool, in the order of their arrival."""

    tickets: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    lately: Mapping[str, LetIn] = field(default_factory=dict)
    index: Mapping[str, tuple[str, int]] = field(default_factory=dict, repr=False)

    def waiting(self, pool: str) -> int:
        """How many."""
        return len(self.tickets.get(pool, ()))

    def place(self, ticket: str, pool: str) -> QueuePlace | None:
        """Of one ticket; None if it is not here, or waits for another pool."""
        found = self.index.get(ticket)
        return self.place_at(*found) if found is not None and found[0] == pool else None

    def place_at(self, pool: str, ahead: int) -> QueuePlace:
        """Of somebody with so many before them."""
        return QueuePlace(ahead, max(self.waiting(pool), ahead + 1), expected_seconds(ahead, self.lately.get(pool)))


def queue_of(tickets: Sequence[tuple[str, str]], lately: Mapping[str, LetIn]) -> Queue:
    """Sort (pool, ticket) out, which come in the order of arrival."""
    pools: dict[str, list[str]] = {}
    index = {}
    for pool, ticket in tickets:
        order = pools.setdefault(pool, [])
        index[ticket] = (pool, len(order))
        order.append(ticket)
    return Queue(pools, lately, index)


def expected_seconds(ahead: int, lately: LetIn | None) -> float | None:
    """How long it takes until so many have gone in and one more; None if too few were let in lately to tell."""
    if lately is None or lately.count < LEAST_LET_IN or lately.seconds <= 0:
        return None
    return (ahead + 1) * lately.seconds / lately.count


def ask_again_seconds(ahead: int) -> float:
    """When to ask again with so many before one."""
    return min(SLOWEST_SECONDS, max(QUICKEST_SECONDS, ahead / PLACES_A_SECOND))


def live_seconds(interval: float) -> float:
    """How long a place lives when its page does not ask again."""
    return max(LEAST_LIVE_SECONDS, INTERVALS * interval + SLACK_SECONDS)
