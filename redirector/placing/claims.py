"""Claim at one node, for one visitor or several, and let every answer correct what is known of that node."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from redirector.memory.outbox import Reports
from redirector.memory.view import PoolView, View
from redirector.model.events import Sighting
from redirector.model.nodes import Failure, Node
from redirector.node_client.client import Wish
from tmpnb_common.wire import Claim, Refusal

Answer = Claim | Refusal | Failure


class Client(Protocol):
    """Who speaks to nodes."""

    def claim(self, node: Node, wish: Wish, *, protocol: int, seconds: float) -> Answer:
        """For one visitor, within so many seconds."""
        ...

    def claim_several(self, node: Node, wishes: Sequence[Wish], *, seconds: float) -> Sequence[Answer]:
        """For several of one pool: as many answers, in their order."""
        ...


class Claims:
    """Safe to use from several threads."""

    def __init__(self, *, view: View, client: Client, reports: Reports, clock: Callable[[], float]) -> None:
        self._view = view
        self._client = client
        self._reports = reports
        self._clock = clock

    def at_once(self, node: Node, room: PoolView) -> int:
        """For how many visitors one call may claim at that node: no more than it has room for, as far as is known."""
        return max(1, room.tally.free.get(node.name, 0)) if self.repeatable(node) else 1

    def repeatable(self, node: Node) -> bool:
        """Whether a claim may be made again, or be given up: an original tmpnb knows no tickets."""
        return self._protocol(node) > 0

    def make(
        self, node: Node, wishes: Sequence[Wish], room: PoolView, *, seconds: float = math.inf
    ) -> Sequence[Answer]:
        """Claim, and wait for the answer as long as any claim may take, or so many seconds if that is less."""
        room.tally.begin(node.name, now=self._clock(), count=len(wishes))
        answers: Sequence[Answer] = ()
        try:
            answers = self._call(node, wishes, seconds)
        finally:
            stats = self._view.board.of(node.name).stats
            room.tally.end(
                node.name,
                now=self._clock(),
                count=len(wishes),
                took=sum(isinstance(answer, Claim) for answer in answers),
                available=_left(answers, several_pools=stats is not None and len(stats.pools) > 1),
            )
        if any(isinstance(answer, Claim) for answer in answers) and node.name not in room.ranking.first:
            self._view.trust(node.name)
            self._reports.sighting(Sighting(node.name, proved=True))
        return answers

    def failed(self, node: Node, reason: str) -> None:
        """A claim came to nothing by the node's fault: it is doubted here at once, and whoever polls hears of it."""
        news = self._view.doubt(node.name)
        self._reports.sighting(Sighting(node.name, proved=False, reason=f"a claim failed: {reason}"), urgent=news)

    def _call(self, node: Node, wishes: Sequence[Wish], seconds: float) -> Sequence[Answer]:
        if len(wishes) == 1:
            return [self._client.claim(node, wishes[0], protocol=self._protocol(node), seconds=seconds)]
        return self._client.claim_several(node, wishes, seconds=seconds)

    def _protocol(self, node: Node) -> int:
        stats = self._view.board.of(node.name).stats
        return stats.protocol if stats is not None else 0


def _left(answers: Sequence[Answer], *, several_pools: bool) -> int | None:
    """The free slots that the answers tell of; None where they tell nothing of this pool."""
    for answer in answers:
        if isinstance(answer, Refusal) and answer.status != "bad_request":
            return 0
        if isinstance(answer, Claim) and not several_pools:
            return answer.available
    return None
