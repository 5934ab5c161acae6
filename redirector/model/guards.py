"""Which node the fleet cannot spare. Pure.

Invariant: without force no operator's step takes away the last node that takes visitors, nor leaves less than the set
part of the fleet free.
"""

from __future__ import annotations

from collections.abc import Mapping

from redirector.errors import LastNodeError, TooLittleFreeError
from redirector.model.board import Board
from redirector.model.nodes import Node, Seen, eligibility
from redirector.model.slot_counts import counts_now


def refuse_unless_spared(
    name: str, nodes: Mapping[str, Node], board: Board, min_free_percent: int, *, now: float
) -> None:
    """Refuse to take a node away that the fleet needs.

    Args:
        name: the node.
        nodes: the registry.
        board: the nodes' numbers, as fresh as can be had: whoever acts on a poll may act on a fleet that has filled up.
        min_free_percent: how much of the fleet has to be free without the node.
        now: seconds since 1970, to say how old the oldest number is.

    Raises:
        LastNodeError: no other node takes visitors.
        TooLittleFreeError: the others have too little room left.
    """
    orders = {other: eligibility(node, board.of(other)).order for other, node in nodes.items()}
    if [other for other, order in orders.items() if order == "first"] == [name]:
        raise LastNodeError(name)
    if orders[name] == "never" or not _free(nodes[name], board.of(name)):
        # Visitors find as much room without it as with it.
        return
    others = [other for other, order in orders.items() if order != "never" and other != name]
    capacity = sum(counts_now(nodes[other], board.of(other)).capacity for other in others)
    percent = 100 * sum(_free(nodes[other], board.of(other)) for other in others) / capacity if capacity else 0.0
    if percent < min_free_percent:
        oldest = min((board.of(other).asked_at for other in others), default=now)
        raise TooLittleFreeError(name, percent, min_free_percent, max(0.0, now - oldest))


def _free(node: Node, seen: Seen) -> int:
    counts = counts_now(node, seen)
    return counts.available + counts.startable
