"""What the dashboard draws, in one document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redirector.admin_api.node_view import view_of_node
from redirector.counters.visitor_counts import by_minute
from redirector.model.nodes import Health, Node, Seen, drained, eligibility
from redirector.model.slot_counts import counts_of, is_current
from redirector.model.snapshot import MINUTES, FleetSnapshot
from tmpnb_common.wire import NodeStats


def node_card(node: Node, seen: Seen, now: float) -> dict[str, Any]:
    """One node as its card shows it."""
    stats, view = seen.stats, view_of_node(node, seen, now)
    return {
        "name": node.name,
        "url": node.url,
        "version": node.version,
        "state": _state(node, seen),
        "reason": eligibility(node, seen).reason,
        "since": node.intent_since if node.intent == "draining" else view.since,
        "by": node.intent_by,
        "pending": view.pending,
        "slots": slot_grid(node, seen),
        "claimed": view.claimed,
        "problems": _problems(stats),
        "image": view.image,
        "pools": {name: {"image": pool.image, "problem": pool.problem} for name, pool in view.pools.items()},
        "current": view.current,
        "software": view.software,
        "age": view.stats_age_seconds,
        "last_end": view.last_end,
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
