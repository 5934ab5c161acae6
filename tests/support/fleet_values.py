"""Made-up nodes, stats and observations for tests of pure functions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from redirector.model.board import Board
from redirector.model.nodes import Health, Node, Seen
from tmpnb_common.wire import NodeStats, PoolStats


def a_node(name: str = "n1", **fields: Any) -> Node:
    return Node(**{"name": name, "url": f"http://{name}.example.org", "node_id": f"id-{name}", **fields})


def stats(available: int = 3, capacity: int = 5, **fields: Any) -> NodeStats:
    values = {"protocol": 1, "node_id": "id-n1", "boot_id": "boot-1", "generation": 1, **fields}
    return NodeStats(available, capacity, **values)


def pools(**available: int) -> dict[str, PoolStats]:
    return {name: PoolStats(count, count) for name, count in available.items()}


def seen(health: Health = Health.UP, said: NodeStats | None = None, **fields: Any) -> Seen:
    return Seen(health=health, **{"reason": "", "stats": said or stats(), "polls": 1, **fields})


def any_fleets() -> st.SearchStrategy[tuple[dict[str, Node], Board]]:
    """Fleets in every state that nodes may be in, with numbers that need not make any sense."""
    counts = st.integers(0, 50)
    reported = st.builds(
        NodeStats,
        available=counts,
        capacity=counts,
        starting=counts,
        startable=counts,
        claimed=counts,
        ending=counts,
        state=st.sampled_from(["active", "draining"]),
        protocol=st.just(1),
        generation=st.integers(1, 2),
        pools=st.dictionaries(
            st.sampled_from(["default", "r"]),
            st.builds(PoolStats, available=counts, capacity=counts, starting=counts, startable=counts, claimed=counts),
        ),
    )
    observed = st.builds(
        Seen,
        health=st.sampled_from(Health),
        failures=st.integers(0, 5),
        stats=st.none() | reported,
        asked_at=st.floats(0, 1000),
    )
    entries = st.lists(st.tuples(st.sampled_from(["active", "draining"]), observed), max_size=6)
    return entries.map(_fleet_of)


def _fleet_of(entries: list[tuple[Any, Seen]]) -> tuple[dict[str, Node], Board]:
    names = [f"n{number}" for number in range(len(entries))]
    fleet = {name: a_node(name, intent=intent) for name, (intent, _) in zip(names, entries, strict=True)}
    return fleet, board(**{name: each for name, (_, each) in zip(names, entries, strict=True)})


def board(**entries: Seen) -> Board:
    return Board(published_at=1.0, holder="someone", seen=entries)
