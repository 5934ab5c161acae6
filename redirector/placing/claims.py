"""Claim at one node, for one visitor or several, and let every answer correct what is known of that node."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from redirector.memory.fleet_state import FleetState, PoolState
from redirector.memory.outbox import Outbox
from redirector.model.events import PassiveCheck
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

    def __init__(self, *, fleet_state: FleetState, client: Client, outbox: Outbox, clock: Callable[[], float]) -> None:
        self._fleet_state = fleet_state
        self._client = client
        self._outbox = outbox
        self._clock = clock

    def at_once(self, node: Node, room: PoolState) -> int:
        """For how many visitors one call may claim at that node: no more than it has room for, as far as is known."""
        return max(1, room.free_slots.free.get(node.name, 0)) if self.repeatable(node) else 1

    def repeatable(self, node: Node) -> bool:
        """Whether a claim may be made again, or be given up: an original tmpnb knows no tickets."""
        return self._protocol(node) > 0

    def make(
        self, node: Node, wishes: Sequence[Wish], room: PoolState, *, seconds: float = math.inf
    ) -> Sequence[Answer]:
        """Claim, and wait for the answer as long as any claim may take, or so many seconds if that is less."""
        room.free_slots.begin(node.name, now=self._clock(), count=len(wishes))
        answers: Sequence[Answer] = ()
        try:
            answers = self._call(node, wishes, seconds)
        finally:
            stats = self._fleet_state.board.of(node.name).stats
            room.free_slots.end(
                node.name,
                now=self._clock(),
                count=len(wishes),
                took=sum(isinstance(answer, Claim) for answer in answers),
                available=_left(answers, several_pools=stats is not None and len(stats.pools) > 1),
            )
        if any(isinstance(answer, Claim) for answer in answers) and node.name not in room.ranking.first:
            self._fleet_state.clear_suspect(node.name)
            self._outbox.passive_check(PassiveCheck(node.name, passed=True))
        return answers

    def failed(self, node: Node, reason: str) -> None:
        """A claim came to nothing by the node's fault: it is doubted here at once, and whoever polls hears of it."""
        news = self._fleet_state.mark_suspect(node.name)
        self._outbox.passive_check(
            PassiveCheck(node.name, passed=False, reason=f"a claim failed: {reason}"), urgent=news
        )

    def _call(self, node: Node, wishes: Sequence[Wish], seconds: float) -> Sequence[Answer]:
        if len(wishes) == 1:
            return [self._client.claim(node, wishes[0], protocol=self._protocol(node), seconds=seconds)]
        return self._client.claim_several(node, wishes, seconds=seconds)

    def _protocol(self, node: Node) -> int:
        stats = self._fleet_state.board.of(node.name).stats
        return stats.protocol if stats is not None else 0


def _left(answers: Sequence[Answer], *, several_pools: bool) -> int | None:
    """The free slots that the answers tell of; None where they tell nothing of this pool."""
    for answer in answers:
        if isinstance(answer, Refusal) and answer.status != "bad_request":
            return 0
        if isinstance(answer, Claim) and not several_pools:
            return answer.available
    return None
