"""How polls and claims change what is known of a node's health. Pure."""

from __future__ import annotations

from dataclasses import replace

from redirector.model.events import PassiveCheck
from redirector.model.nodes import Failure, FailureKind, Health, Node, Seen
from tmpnb_common.wire import NodeStats

DOWN_AFTER = 3
"""Bad polls in a row after which a node is down: at one poll every 2 s a restart of its agent stays a suspicion."""

SUCCESSES_AFTER_BAD_POLL = 1
SUCCESSES_AFTER_DOWN = 2
SUCCESSES_AFTER_BAD_CLAIM = 10
"""Good polls that a suspect owes before it counts as up: after one bad poll, after having been down, and after a
failed claim, which weighs more because polls had not noticed what visitors met."""


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


def after_passive_check(seen: Seen, passive_check: PassiveCheck, now: float) -> Seen:
    """What is known of a node once others have told what they met there."""
    if not passive_check.passed:
        return after_bad_claim(seen, passive_check.reason, now=now)
    if passive_check.reason:
        return after_witnessed(seen, passive_check.reason, now=now)
    return after_good_claim(seen, now=now)


def _turn(seen: Seen, health: Health, reason: str, now: float) -> Seen:
    return replace(seen, health=health, reason=reason, since=seen.since if seen.health is health else now)
