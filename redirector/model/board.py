"""The board: what was last seen of every node, published by the one worker that polls, read by all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from redirector.model.nodes import NO_ORDER, Health, Node, PoolOrder, Seen
from tmpnb_common.json_object import JsonError, decode

PARTITION_AT_LEAST = 2
"""One silent node is a silent node, also where it is half of the fleet."""


@dataclass(frozen=True, slots=True)
class Board:
    """What was published at one moment, in seconds since 1970; 0 is the empty one before the first."""

    published_at: float = 0.0
    holder: str = ""
    """Who polled for it."""
    seen: Mapping[str, Seen] = field(default_factory=dict)

    def of(self, name: str) -> Seen:
        """What is known of a node: of one that was never polled, that it is joining."""
        return self.seen.get(name, _NEVER_SEEN)


_NEVER_SEEN = Seen()


def host_of(holder: str) -> str:
    """The host of a worker, which stands at the beginning of its name."""
    return holder.partition(":")[0]


def partition_suspected(seen: Mapping[str, Seen]) -> bool:
    """Whether more than half of the nodes fell silent at once: then we are cut off, not they."""
    counted = [one for one in seen.values() if one.health is not Health.DOWN]
    silent = sum(one.silent for one in counted)
    return silent >= PARTITION_AT_LEAST and 2 * silent > len(counted)


def alarms(
    nodes: Mapping[str, Node],
    board: Board,
    *,
    now: float,
    stale_after: float,
    orders: Mapping[str, Mapping[str, PoolOrder]] = MappingProxyType({}),
) -> list[str]:
    """What an operator should look at, in sentences."""
    found = []
    if nodes and now - board.published_at > stale_after:
        found.append(
            f"nobody has polled the nodes for {now - board.published_at:.0f} s"
            if board.published_at
            else "nobody has polled the nodes yet"
        )
    if partition_suspected(board.seen):
        found.append("more than half of the nodes are silent: this host is probably cut off from them")
    presumed = [name for name in nodes if board.of(name).presumed]
    if presumed:
        found.append(f"whether visitors reach {', '.join(presumed)} cannot be told: {board.of(presumed[0]).unreached}")
    return [*found, *(alarm for name in nodes for alarm in _alarms_of(name, board.of(name), orders.get(name, {})))]


def _alarms_of(name: str, seen: Seen, orders: Mapping[str, PoolOrder]) -> Iterator[str]:
    """What an operator should look at in one node."""
    if seen.health is Health.DOWN:
        yield f"{name} is down: {seen.reason}"
    if seen.intent_error:
        yield f"{name} does not take over its intent: {seen.intent_error}"
    if seen.stats is None:
        return
    if seen.stats.unremovable:
        yield f"{name}: {seen.stats.unremovable}"
    for pool, stats in seen.stats.pools.items():
        order = orders.get(pool, NO_ORDER)
        unmet = order.unmet(stats, seen.asked_at)
        if "image" in unmet:
            yield (
                f"{name} runs {stats.image} in pool {pool}, though it was moved to {order.image}; "
                f"where that is meant: tmpnb roll {stats.image} --pool {pool}"
            )
        if "capacity" in unmet:
            yield (
                f"{name} has {stats.capacity} slots in pool {pool}, though it was resized to {order.capacity}; "
                f"where that is meant: tmpnb node resize {name} --pool {pool} --capacity {stats.capacity}"
            )
        if stats.problem:
            yield f"{name} cannot start sandboxes of pool {pool}: {stats.problem}"
        if stats.unfit:
            yield f"{name} gets visitors of pool {pool} only where nothing else is free: {stats.unfit}"


def seen_text(board: Board) -> str:
    """The document of a version: what was seen, as one JSON object by node."""
    return msgspec.json.encode(board.seen).decode()


def parse_seen(document: str) -> dict[str, Seen]:
    """Read a document back. What another version of this program wrote and we cannot read counts as never seen."""
    entries = decode(dict[str, msgspec.Raw], document, "the board")
    return {name: seen for name, entry in entries.items() if (seen := _parse_entry(entry)) is not None}


def _parse_entry(entry: msgspec.Raw) -> Seen | None:
    try:
        return decode(Seen, bytes(entry))
    except JsonError:
        return None
