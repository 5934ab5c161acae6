"""What the dashboard draws, in one document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redirector.counters.visitor_counts import by_minute
from redirector.model.nodes import Health, Node, Seen, drained, eligibility, pending
from redirector.model.slot_counts import counts_of, is_current
from redirector.model.snapshot import MINUTES, FleetSnapshot
from tmpnb_common.wire import NodeStats


def node_card(node: Node, seen: Seen, now: float) -> dict[str, Any]:
    """One node as its card shows it."""
    stats = seen.stats
    return {
        "name": node.name,
        "url": node.url,
        "version": node.version,
        "state": _state(node, seen),
        "reason": eligibility(node, seen).reason,
        "since": node.intent_since if node.intent == "draining" else seen.since or node.added_at,
        "by": node.intent_by,
        "pending": pending(node, seen),
        "slots": slot_grid(node, seen),
        "claimed": stats.claimed if stats is not None else 0,
        "problems": _problems(stats),
        "image": stats.container_image if stats is not None else "",
        "pools": {
            name: {"image": pool.image, "problem": pool.problem}
            for name, pool in (stats.pools if stats else {}).items()
        },
        "current": is_current(seen),
        "software": stats.version if stats is not None else "",
        "age": max(0.0, now - seen.asked_at) if stats is not None else None,
        "last_end": _last_end(node, stats),
        "end_sessions_at": node.end_sessions_at,
    }


def slot_grid(node: Node, seen: Seen) -> dict[str, int]:
    """Slots by colour, as the node's own page has them. Of a node that is down nobody knows: they are `unknown`."""
    stats = seen.stats
    if stats is None:
        return {}
    if not is_current(seen):
        return {"unknown": stats.capacity}
    draining = node.intent == "draining" or stats.state == "draining"
    counts = counts_of(stats, takes_visitors=not draining)
    left = counts.startable + counts.unusable
    return {
        "claimed": counts.claimed,
        "ready": counts.available,
        "starting": counts.starting,
        "ending": counts.ending,
        "draining": left if draining else 0,
        "free": 0 if draining else left,
    }


def charts(grown: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Arrivals, hand-outs and refusals by the minute, oldest first; the last minute is still under way."""
    minutes = by_minute(grown, MINUTES)
    return {
        "came": [each.came for each in minutes],
        "placed": [each.placed for each in minutes],
        "turned_away": [each.turned_away for each in minutes],
    }


def cards(snapshot: FleetSnapshot) -> list[dict[str, Any]]:
    """Every node."""
    return [node_card(node, snapshot.board.of(name), snapshot.at) for name, node in snapshot.nodes.items()]


def _state(node: Node, seen: Seen) -> str:
    """One word, which is also the card's colour. What is wrong goes before what is wanted."""
    if seen.health is Health.DOWN:
        return "down"
    if drained(node, seen):
        return "drained"
    if node.intent == "draining" or (seen.stats is not None and seen.stats.state == "draining"):
        return "draining"
    return seen.health.value


def _problems(stats: NodeStats | None) -> list[str]:
    if stats is None:
        return []
    problems = [f"{name}: {why}" for name, pool in stats.pools.items() for why in (pool.problem, pool.unfit) if why]
    return [*problems, stats.unremovable] if stats.unremovable else problems


def _last_end(node: Node, stats: NodeStats | None) -> float | None:
    """By when the last session of a draining node has ended, by the node's own limit."""
    if node.intent != "draining" or stats is None or not stats.claimed:
        return None
    by_age = node.intent_since + stats.max_age_seconds if stats.max_age_seconds else None
    ends = [moment for moment in (by_age, node.end_sessions_at or None) if moment is not None]
    return min(ends) if ends else None
