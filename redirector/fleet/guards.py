"""Which node the fleet cannot spare. Pure.

Invariant: without force no operator's step takes away the last node that takes visitors, nor leaves less than the set
part of the fleet free.
"""

from __future__ import annotations

from collections.abc import Mapping

from redirector.board import Board
from redirector.errors import LastNodeError, TooLittleFreeError
from redirector.nodes import Node, standing


def refuse_unless_spared(name: str, nodes: Mapping[str, Node], board: Board, min_free_percent: int) -> None:
    """Refuse to take a node away that the fleet needs.

    Raises:
        LastNodeError: no other node takes visitors.
        TooLittleFreeError: the others have too little room left.
    """
    orders = {other: standing(node, board.of(other)).order for other, node in nodes.items()}
    if [other for other, order in orders.items() if order == "first"] == [name]:
        raise LastNodeError(name)
    if orders[name] == "never" or not _free(board, name):
        # Visitors find as much room without it as with it.
        return
    others = [other for other, order in orders.items() if order != "never" and other != name]
    capacity = sum(stats.capacity for other in others if (stats := board.of(other).stats) is not None)
    percent = 100 * sum(_free(board, other) for other in others) / capacity if capacity else 0.0
    if percent < min_free_percent:
        raise TooLittleFreeError(name, percent, min_free_percent)


def _free(board: Board, name: str) -> int:
    stats = board.of(name).stats
    return stats.available + stats.startable if stats is not None else 0
