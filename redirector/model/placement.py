"""Which node to ask for the next visitor, and what to say when none gave. Pure.

Nodes are ranked by free slots, ties at random. The ranking may be wrong, since the node alone owns its slots: whoever
uses it claims, and goes on to the next node when refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from redirector.model.board import Board
from redirector.model.nodes import Health, Node, eligibility, slots
from redirector.model.outcomes import DenialReason
from tmpnb_common.claims import RefusalStatus
from tmpnb_common.wire import DEFAULT_POOL

SAMPLE = 48
"""Nodes that are looked at for one visitor. Of more, a random sample of this size is ranked: the decision costs the
same in any fleet, and several redirectors do not all run to the same node."""

NodeOutcome = RefusalStatus | Literal["failed"]
"""What asking one node came to where it gave nothing: its own word, or `failed` where it gave no plain answer."""

BELIEVED = 2
"""Nodes that have to say so before the fault is looked for in the wish, where there are so many: one may be odd."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The nodes that have a pool, by the use that may be made of them, with their slots as the board has them."""

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    """Suspects, and those that say that they are unfit: asked only when nothing else is free."""
    free: Mapping[str, int] = field(default_factory=dict)
    coming: Mapping[str, int] = field(default_factory=dict)
    """Slots in which a sandbox starts or could start."""
    joining: bool = False
    """Some node waits for its first good poll, so that there may be room in a moment."""

    def with_suspect(self, name: str) -> Ranking:
        """The same with one node moved to the last."""
        if name not in self.first:
            return self
        first = tuple(other for other in self.first if other != name)
        return Ranking(first, (*self.last, name), self.free, self.coming, self.joining)


def ranking_of(nodes: Mapping[str, Node], board: Board, pool: str = DEFAULT_POOL) -> Ranking:
    """Sort the fleet out for one pool."""
    order: dict[str, list[str]] = {"first": [], "last": [], "never": []}
    free, coming = {}, {}
    joining = False
    for name, node in nodes.items():
        seen = board.of(name)
        joining = joining or (seen.health is Health.JOINING and node.intent == "active")
        offered = None if seen.stats is None else slots(seen.stats, pool)
        if offered is None:
            continue
        free[name], coming[name] = offered.available, offered.starting + offered.startable
        place = eligibility(node, seen).order
        order["last" if place == "first" and offered.unfit else place].append(name)
    return Ranking(tuple(order["first"]), tuple(order["last"]), free, coming, joining)


def choose(
    ranking: Ranking,
    free: Mapping[str, int],
    asked_lately: Collection[str],
    excluded: Collection[str],
    rng: Random,
    *,
    slow: Collection[str] = (),
) -> str | None:
    """The node to ask next; None when asking any more of them makes no sense.

    Args:
        ranking: the fleet, sorted out.
        free: slots by node as this worker counts them, which is the newer truth than the board's.
        asked_lately: nodes that refused a moment ago, which nobody needs to ask again already.
        excluded: nodes that this visitor was refused by.
        rng: breaks ties.
        slow: nodes that owe this worker an answer for longer than is usual. They are asked when nothing else is free.
    """
    first: Sequence[str] = ranking.first
    last: Sequence[str] = ranking.last
    if slow:
        first = [name for name in first if name not in slow]
        last = [*last, *(name for name in slow if name in ranking.first)]
    for names in (first, last):
        name = _most([name for name in names if name not in excluded] if excluded else names, free, rng)
        if name is not None and free.get(name, 0) > 0:
            return name
    # Nothing is free as far as we know, which is a moment ago: a sandbox may have become ready since.
    rest = [name for name in ranking.first + ranking.last if name not in excluded and name not in asked_lately]
    return _most(rest, ranking.coming, rng)


def verdict(ranking: Ranking, free: Mapping[str, int], outcomes: Mapping[str, NodeOutcome]) -> DenialReason:
    """What to tell a visitor who got nothing.

    `starting` whenever waiting a moment makes sense, so that nobody is refused while anything may become free; `full`
    when the nodes say so; `trouble` when no node gave a plain answer: a timeout is not `full`; `bad_request` when
    every node that was asked, or enough of them, could make no sense of the wish.
    """
    if senseless(outcomes) or (outcomes and set(outcomes.values()) == {"bad_request"}):
        return DenialReason.BAD_REQUEST
    usable = [name for name in ranking.first + ranking.last if outcomes.get(name) in (None, "starting")]
    if ranking.joining or "starting" in outcomes.values():
        return DenialReason.STARTING
    if any(free.get(name, 0) > 0 or ranking.coming.get(name, 0) > 0 for name in usable):
        return DenialReason.STARTING
    if usable or "full" in outcomes.values():
        return DenialReason.FULL
    return DenialReason.TROUBLE


def senseless(outcomes: Mapping[str, NodeOutcome]) -> bool:
    """Whether enough nodes refused a wish as such: the others need not be asked."""
    return sum(outcome == "bad_request" for outcome in outcomes.values()) >= BELIEVED


def _most(names: Sequence[str], weight: Mapping[str, int], rng: Random) -> str | None:
    """The name of the greatest weight among a sample, ties at random. A sample without any weight is no reason to give
    up, so all are looked at then.
    """
    if len(names) > SAMPLE:
        best = _best(rng.sample(names, SAMPLE), weight, rng)
        if best is not None and weight.get(best, 0) > 0:
            return best
    return _best(names, weight, rng)


def _best(names: Sequence[str], weight: Mapping[str, int], rng: Random) -> str | None:
    if not names:
        return None
    top = max(weight.get(name, 0) for name in names)
    return rng.choice([name for name in names if weight.get(name, 0) == top])
