"""Builds a node's view, NODE of docs/http-api.md, from the registry's row and what was seen of the node. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

from redirector.admin_api.views import NodeView, PoolView
from redirector.model.nodes import NO_ORDER, Node, PoolOrder, Seen, drained, eligibility, pending
from redirector.model.slot_counts import SlotCounts, counts_now, counts_of, is_current
from tmpnb_common.wire import NodeStats, PoolStats

NOTHING = NodeStats(available=0, capacity=0)


def view_of_node(
    node: Node,
    seen: Seen,
    now: float,
    orders: Mapping[str, PoolOrder] = MappingProxyType({}),
    *,
    unanswered: str = "",
) -> NodeView:
    """All that operators may know of a node: everything but its token.

    Args:
        node: its row of the registry.
        seen: what was observed of it.
        now: seconds since 1970.
        orders: by pool, what the fleet ordered of it.
        unanswered: why the node did not answer just now, where it was asked; empty if it did or was not asked.
    """
    stats = seen.stats or NOTHING
    place = eligibility(node, seen)
    current, takes_visitors = is_current(seen), place.order != "never"
    # The one number that outlives its moment: sessions live on while nobody hears of their node.
    counts = replace(counts_now(node, seen), claimed=stats.claimed)
    return NodeView(
        name=node.name,
        url=node.url,
        control_url=node.control_url,
        version=node.version,
        node_id=node.node_id,
        intent=node.intent,
        intent_reason=node.intent_reason,
        intent_by=node.intent_by,
        intent_since=node.intent_since,
        pending=pending(node, seen),
        drained=drained(node, seen),
        health=seen.health,
        reason=place.reason or next((pool.unfit for pool in stats.pools.values() if pool.unfit), ""),
        since=seen.since or node.added_at,
        eligible=place.order == "first",
        health_reason=seen.reason,
        unanswered=unanswered,
        current=current,
        **asdict(counts),
        last_known=None if current or seen.stats is None else _last_known(stats),
        pools={
            name: _pool(pool, orders.get(name, NO_ORDER), seen.asked_at, current=current, takes_visitors=takes_visitors)
            for name, pool in stats.pools.items()
        },
        software=stats.version,
        image=stats.container_image,
        stats_age_seconds=max(0.0, now - seen.asked_at) if seen.stats is not None else None,
        added_at=node.added_at,
        max_age_seconds=stats.max_age_seconds,
        end_sessions_at=node.end_sessions_at,
    )


def _pool(pool: PoolStats, order: PoolOrder, asked_at: float, *, current: bool, takes_visitors: bool) -> PoolView:
    counts = counts_of(pool, takes_visitors=takes_visitors) if current else SlotCounts()
    numbers = asdict(pool) | asdict(counts) | {"claimed": pool.claimed}
    unmet = order.unmet(pool, asked_at)
    return PoolView(
        **numbers,
        image_before=order.image_before,
        image_ordered=order.image if "image" in unmet else "",
        capacity_ordered=order.capacity if "capacity" in unmet else None,
    )


def _last_known(stats: NodeStats) -> dict[str, int]:
    """What a node reported before it fell silent; `stats_age_seconds` says when."""
    return {name: getattr(stats, name) for name in ("available", "capacity", "starting", "startable", "claimed")}


def state_word(node: Node, seen: Seen) -> str:
    """One word to count a node under: what the operator wants if it drains, else how it is."""
    return "draining" if node.intent == "draining" else str(seen.health)
