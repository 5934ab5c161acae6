"""What a node is, what was seen of it, and whether it may receive visitors. Pure.

What the operator wants (`Node.intent`, durable) and what polls and claims observe (`Seen`, never stored as truth) are
two things; `standing` is the one predicate that joins them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from redirector.errors import BadRequestError
from tmpnb_common.wire import DEFAULT_POOL, NodeState, NodeStats, PoolStats

DOWN_AFTER = 3
"""Bad polls in a row after which a node is down: at one poll every 2 s a restart of its agent stays a suspicion."""

SUCCESSES_AFTER_BAD_POLL = 1
SUCCESSES_AFTER_DOWN = 2
SUCCESSES_AFTER_BAD_CLAIM = 10
"""Good polls that a suspect owes before it counts as up: after one bad poll, after having been down, and after a
failed claim, which weighs more because polls had not noticed what visitors met."""


NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


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


def after_good_poll(node: Node, seen: Seen, stats: NodeStats, *, asked_at: float, now: float) -> Seen:
    """What is known once the node has answered as a node does."""
    if node.node_id and stats.node_id != node.node_id:
        reason = f"another node answers at this address: its id is {stats.node_id or 'missing':.40}, not {node.node_id}"
        return replace(_turn(seen, Health.DOWN, reason, now), failures=DOWN_AFTER, polls=seen.polls + 1, silent=False)
    known = replace(seen, failures=0, silent=False, polls=seen.polls + 1, asked_at=asked_at, stats=stats)
    restarted = seen.stats is not None and seen.stats.boot_id != stats.boot_id
    if seen.health is Health.DOWN and not restarted:
        return replace(_turn(known, Health.SUSPECT, "answers again", now), successes_needed=SUCCESSES_AFTER_DOWN - 1)
    successes_needed = 0 if restarted else max(0, seen.successes_needed - 1)
    if successes_needed:
        return replace(known, successes_needed=successes_needed)
    return replace(_turn(known, Health.UP, "", now), successes_needed=0)


def after_bad_poll(seen: Seen, failure: Failure, *, now: float, partition_suspected: bool) -> Seen:
    """What is known after a poll that failed.

    Args:
        seen: what was known before.
        failure: how the poll failed.
        now: seconds since 1970.
        partition_suspected: most of the fleet is silent, so that the fault is probably ours: nothing is
            declared down for silence.
    """
    failures = seen.failures + 1
    silent = failure.kind is FailureKind.TIMEOUT
    troubles = {**seen.troubles, failure.kind.value: seen.troubles.get(failure.kind.value, 0) + 1}
    worse = replace(
        seen,
        failures=failures,
        silent=silent,
        polls=seen.polls + 1,
        successes_needed=max(seen.successes_needed, SUCCESSES_AFTER_BAD_POLL),
        troubles=troubles,
    )
    if seen.health is Health.DOWN or (failures >= DOWN_AFTER and not (silent and partition_suspected)):
        return _turn(worse, Health.DOWN, failure.reason, now)
    if seen.health is Health.JOINING:
        return replace(worse, reason=failure.reason)
    return _turn(worse, Health.SUSPECT, failure.reason, now)


def after_unreached(
    node: Node, seen: Seen, stats: NodeStats, reason: str, *, blind: bool, at: float, now: float
) -> Seen:
    """What is known of a node that answered a poll well, though not at the URL that visitors get.

    Args:
        node: who it is.
        seen: what was known before.
        stats: its answer.
        reason: what was in the way at its public URL.
        blind: this redirector reaches no node's public URL, which says more of itself than of them. That is believed
            only once others have had the time to be reached.
        at: when the poll began.
        now: seconds since 1970.
    """
    if seen.presumed or (blind and seen.failures + 1 >= DOWN_AFTER):
        well = after_good_poll(node, seen, stats, asked_at=at, now=now)
        return replace(well, unreached=reason, presumed=True)
    worse = after_bad_poll(seen, Failure(FailureKind.PROTOCOL_ERROR, reason), now=now, partition_suspected=False)
    return replace(worse, stats=stats, asked_at=at, unreached=reason)


def after_bad_claim(seen: Seen, reason: str, *, now: float) -> Seen:
    """What is known after a visitor's claim failed: polls have to prove the node anew, or a claim that works."""
    if seen.health not in (Health.UP, Health.SUSPECT):
        return seen
    return replace(_turn(seen, Health.SUSPECT, reason, now), successes_needed=SUCCESSES_AFTER_BAD_CLAIM)


def after_good_claim(seen: Seen, *, now: float) -> Seen:
    """What is known after a visitor got a sandbox from a suspect: there is no better proof, but of its public URL."""
    if seen.health is not Health.SUSPECT or (seen.unreached and not seen.presumed):
        return seen
    return replace(_turn(seen, Health.UP, "", now), successes_needed=0, failures=0)


def after_witnessed(seen: Seen, words: str, *, now: float) -> Seen:
    """What is known once another host has reached a node that polls fail at: it is no better, and not down either."""
    if seen.health not in (Health.SUSPECT, Health.DOWN) or not seen.failures or seen.unreached:
        return seen
    reason = seen.reason.removesuffix(f"; {words}")
    return replace(_turn(seen, Health.SUSPECT, f"{reason}; {words}", now), failures=0)


def _turn(seen: Seen, health: Health, reason: str, now: float) -> Seen:
    return replace(seen, health=health, reason=reason, since=seen.since if seen.health is health else now)


def checked_name(name: str) -> str:
    """A node's name as it is.

    Raises:
        BadRequestError: it is none.
    """
    if not NAME.fullmatch(name):
        raise BadRequestError(
            f"{name!r:.80} is no name for a node: use a to z, 0 to 9 and hyphens inside, at most 63 characters"
        )
    return name


def default_name(url: str, own_name: str) -> str:
    """The node's own name where that is valid, else one made from the URL's host and port."""
    if NAME.fullmatch(own_name):
        return own_name
    parts = urlsplit(url)
    made = re.sub(r"[^a-z0-9]+", "-", f"{parts.netloc}{parts.path}".lower()).strip("-")
    return made[:63].strip("-")


def normalised_url(text: str) -> str:
    """One spelling for one address, so that a node cannot be added twice by letter case, port or trailing slash.

    Raises:
        BadRequestError: it is no address of a node.
    """
    shown = f"{text!r:.80}"
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadRequestError(f"{shown} is no URL of a node")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadRequestError(f"{shown} is no URL of a node") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise BadRequestError(f"{shown} is no URL of a node: it has to start with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise BadRequestError("the URL of a node holds no user name or password: a token goes into a file")
    if "?" in text or "#" in text:
        raise BadRequestError(f"{shown} is no URL of a node: it has a query or a fragment")
    if any(part in (".", "..") for part in parts.path.split("/")):
        raise BadRequestError(f"{shown} is no URL of a node: its path has dots for a segment")
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{parts.path.rstrip('/')}"
