"""What a node is, what was seen of it, and whether it may receive visitors. Pure.

What the operator wants (`Node.intent`, durable) and what polls and claims observe (`Seen`, never stored as truth) are
two things; `standing` is the one predicate that joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from tmpnb_common.wire import DEFAULT_POOL, NodeState, NodeStats, PoolStats


class Health(StrEnum):
    """What polls and claims observe of a node."""

    JOINING = "joining"
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class FailureKind(StrEnum):
    """How a call to a node failed."""

    TIMEOUT = "silent"
    """No answer in time, or no way there: the fault may be ours."""
    REFUSED = "refused"
    """Its host answers, the node does not."""
    PROTOCOL_ERROR = "garbled"
    """It answers, but not as a node does."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call to a node that yielded nothing: an observation, not an exception."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the registry: who the node is and what the operator wants of it."""

    name: str
    url: str
    control_url: str = ""
    """Where the redirector speaks to it, if not at `url`, which is where visitors go."""
    token: str = field(default="", repr=False)
    node_id: str = ""
    """Who answered when the node was added; empty for an original tmpnb."""
    intent: NodeState = "active"
    intent_reason: str = ""
    intent_by: str = ""
    intent_since: float = 0.0
    generation: int = 1
    """Counts this fleet's intents for the node, so that the node can tell old from new."""
    version: int = 1
    """Of this row: changes with every change to it."""
    added_at: float = 0.0
    end_sessions_at: float = 0.0
    """When its drain ends the sessions that are left then; 0: never, they end by themselves."""

    @property
    def address(self) -> str:
        """Where calls to the node go."""
        return self.control_url or self.url


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed of one node. Times are seconds since 1970 on the clock that all workers share."""

    health: Health = Health.JOINING
    reason: str = "waits for its first good poll"
    since: float = 0.0
    failures: int = 0
    """Bad polls in a row."""
    successes_needed: int = 0
    """Good polls in a row that a suspect still owes."""
    polls: int = 0
    silent: bool = False
    """The last poll got no answer at all."""
    asked_at: float = 0.0
    """When the poll began that brought `stats`."""
    stats: NodeStats | None = None
    troubles: Mapping[str, int] = field(default_factory=dict)
    """Bad polls so far, by kind of failure."""
    intent_error: str = ""
    """Why the node does not take over the fleet's intent; empty while it does."""
    unreached: str = ""
    """Why visitors do not reach it at its public URL, where it is polled at another one; empty while they do."""
    presumed: bool = False
    """It counts as reached all the same: when it came, this redirector could reach no node's public URL."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a node may receive visitors: `first`, `last` (only when nothing else is free) or `never`, and why."""

    order: Literal["first", "last", "never"]
    reason: str = ""


def eligibility(node: Node, seen: Seen) -> Eligibility:
    """The one predicate that decides about new visitors."""
    if node.intent == "draining":
        return Eligibility("never", f"draining: {node.intent_reason}" if node.intent_reason else "draining")
    match seen.health:
        case Health.JOINING:
            return Eligibility("never", f"joining: {seen.reason}")
        case Health.DOWN:
            return Eligibility("never", f"down: {seen.reason}")
    if seen.stats is not None and seen.stats.state == "draining":
        return Eligibility(
            "never",
            "draining by its own operator or another fleet" if not pending(node, seen) else "resumes in a moment",
        )
    if seen.health is Health.SUSPECT:
        return Eligibility("last", f"suspect, used only when nothing else is free: {seen.reason}")
    return Eligibility("first")


def pending(node: Node, seen: Seen) -> bool:
    """Whether the node has yet to report the fleet's intent. An original tmpnb knows none, so none is ever pending."""
    if seen.stats is None:
        return True
    return seen.stats.protocol > 0 and seen.stats.generation != node.generation


def drained(node: Node, seen: Seen) -> bool:
    """Draining, and no session left."""
    return node.intent == "draining" and seen.stats is not None and seen.stats.claimed == 0 and not pending(node, seen)


@dataclass(frozen=True, slots=True)
class PoolOrder:
    """What the fleet last ordered of one pool of one node."""

    image: str = ""
    """Empty: the pool was never moved, and its image is the node's own business."""
    image_before: str = ""
    """Where the pool was before its last move: the way back. Empty where there is none."""
    capacity: int | None = None
    """In sandboxes. None: the pool was never resized, and its size is the node's own business."""
    moved_at: float = 0.0
    """When it last changed, in seconds since 1970."""

    def unmet(self, stats: PoolStats, asked_at: float) -> list[str]:
        """Which of `image` and `capacity` the pool has otherwise, by stats that were asked for at `asked_at`."""
        if asked_at <= self.moved_at:
            # A poll from before the order knows nothing of it.
            return []
        differing = {
            "image": self.image not in ("", stats.image),
            "capacity": self.capacity not in (None, stats.capacity),
        }
        return [name for name, differs in differing.items() if differs]


NO_ORDER = PoolOrder()


def pools_of(stats: NodeStats) -> Mapping[str, PoolStats]:
    """Every pool's slots. An original tmpnb has one pool without a name."""
    if stats.pools:
        return stats.pools
    only = PoolStats(stats.available, stats.capacity, stats.starting, stats.startable, stats.claimed)
    return {DEFAULT_POOL: only}


def slots(stats: NodeStats, pool: str = DEFAULT_POOL) -> PoolStats | None:
    """The slots of one pool; None where the node has no such pool."""
    return pools_of(stats).get(pool)
