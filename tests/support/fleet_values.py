"""Made-up nodes, stats and observations for tests of pure functions."""

from __future__ import annotations

from typing import Any

from node_agent.wire import NodeStats, PoolStats
from redirector.board import Board
from redirector.nodes import Health, Node, Seen


def a_node(name: str = "n1", **fields: Any) -> Node:
    return Node(**{"name": name, "url": f"http://{name}.example.org", "node_id": f"id-{name}", **fields})


def stats(available: int = 3, capacity: int = 5, **fields: Any) -> NodeStats:
    values = {"protocol": 1, "node_id": "id-n1", "boot_id": "boot-1", "generation": 1, **fields}
    return NodeStats(available, capacity, **values)


def pools(**available: int) -> dict[str, PoolStats]:
    return {name: PoolStats(count, count) for name, count in available.items()}


def seen(health: Health = Health.UP, said: NodeStats | None = None, **fields: Any) -> Seen:
    return Seen(health=health, **{"reason": "", "stats": said or stats(), "polls": 1, **fields})


def board(**entries: Seen) -> Board:
    return Board(version=1, published_at=0.0, holder="someone", seen=entries)
