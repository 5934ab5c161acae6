"""A node as the admin API shows it: NODE of docs/http-api.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from node_agent.wire import NodeStats
from redirector.nodes import Health, Node, Seen, drained, pending, standing

NOTHING = NodeStats(available=0, capacity=0)


def node_json(
    node: Node, seen: Seen, now: float, images_before: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """All that operators may know of a node: everything but its token."""
    stats = seen.stats or NOTHING
    place = standing(node, seen)
    return {
        "name": node.name,
        "url": node.url,
        "control_url": node.control_url,
        "version": node.version,
        "node_id": node.node_id,
        "intent": node.intent,
        "intent_reason": node.intent_reason,
        "intent_by": node.intent_by,
        "intent_since": node.intent_since,
        "pending": pending(node, seen),
        "drained": drained(node, seen),
        "health": seen.health,
        "reason": place.reason,
        "since": seen.since or node.added_at,
        "eligible": place.order == "first",
        "available": stats.available if place.order != "never" else 0,
        "capacity": stats.capacity if seen.health is not Health.DOWN else 0,
        "starting": stats.starting,
        "startable": stats.startable if place.order != "never" else 0,
        "claimed": stats.claimed,
        "pools": {
            name: asdict(pool) | {"image_before": images_before.get(name, "")} for name, pool in stats.pools.items()
        },
        "software": stats.version,
        "image": stats.container_image,
        "stats_age_seconds": max(0.0, now - seen.asked_at) if seen.stats is not None else None,
        "added_at": node.added_at,
        "max_age_seconds": stats.max_age_seconds,
        "end_sessions_at": node.end_sessions_at,
    }


def state_word(node: Node, seen: Seen) -> str:
    """One word to count a node under: what the operator wants if it drains, else how it is."""
    return "draining" if node.intent == "draining" else str(seen.health)
