"""Nodes' own numbers of this moment, for whoever acts on them.

The board is as old as the last poll, and a poll is as old as its tick: too old to say of a node that nobody is left on
it. So what operators are shown is asked of the nodes themselves; one that does not answer keeps what the board has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from redirector.model.board import Board
from redirector.model.nodes import Failure, Health, Node, Seen
from redirector.node_client.client import AgentClient
from redirector.node_client.fan_out import FanOut
from tmpnb_common.wire import NodeStats


@dataclass(frozen=True, slots=True)
class Answered:
    """What asking one node brought: what is known of it now, and why it did not answer, if it did not."""

    seen: Seen
    unanswered: str = ""


class LiveStats:
    """Asks nodes. Safe to use from several threads."""

    def __init__(self, client: AgentClient, fan_out: FanOut, clock: Callable[[], float]) -> None:
        self._client = client
        self._fan_out = fan_out
        self._clock = clock
        self._lock = Lock()
        self._answers: Mapping[str, tuple[float, NodeStats]] = {}
        self._asked_at = float("-inf")

    def one(self, node: Node, seen: Seen) -> Answered:
        """Ask one node, also one that counts as down."""
        asked_at = self._clock()
        answer = self._client.stats(node.address)
        if isinstance(answer, Failure):
            return Answered(seen, answer.reason)
        if _is_another(node, answer):
            return Answered(seen, "another node answers at its address")
        return Answered(_with(seen, answer, asked_at))

    def all(self, nodes: Mapping[str, Node], board: Board) -> Board:
        """The board with the numbers of all nodes that answer at once. One that is down is not waited for.

        Whoever comes while nodes are being asked shares what the next asking brings, so that a crowd of operators costs
        the nodes no more than a few do, and no number is older than the request for it.
        """
        came_at = self._clock()
        with self._lock:
            if not came_at <= self._asked_at <= self._clock():
                due = [node for name, node in nodes.items() if board.of(name).health is not Health.DOWN]
                self._asked_at, self._answers = self._clock(), self._ask(due)
            answers = self._answers
        seen = dict(board.seen)
        for name, (asked_at, stats) in answers.items():
            if name in nodes and not _is_another(nodes[name], stats) and asked_at >= board.of(name).asked_at:
                seen[name] = _with(board.of(name), stats, asked_at)
        return replace(board, seen=seen)

    def _ask(self, nodes: list[Node]) -> dict[str, tuple[float, NodeStats]]:
        asked_at = self._clock()
        answers = self._fan_out.ask(nodes, lambda node: self._client.stats(node.address))
        return {name: (asked_at, stats) for name, stats in answers.items() if isinstance(stats, NodeStats)}


def _with(seen: Seen, stats: NodeStats, asked_at: float) -> Seen:
    """Newer numbers; how well the node is, only polls and claims decide."""
    return replace(seen, stats=stats, asked_at=asked_at, failures=0)


def _is_another(node: Node, stats: NodeStats) -> bool:
    return bool(node.node_id) and stats.node_id != node.node_id
