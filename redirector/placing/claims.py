"""Choose a node, claim at it for one visitor or several, and let every answer correct what is known of that node."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Protocol

from redirector.memory.fleet_state import FleetState, PoolState
from redirector.memory.outbox import Outbox
from redirector.model.events import PassiveCheck
from redirector.model.nodes import Node
from redirector.model.placement import choose
from redirector.node_client.claims import ClaimAnswer
from redirector.placing.batching import Batcher
from tmpnb_common.claims import Claim, ClaimRequest, Refusal

LATE_SECONDS = 0.4
"""Claims take milliseconds. A node that has not answered by then is late, and another one that has room is asked; the
late one is asked again when nothing else has room. After each late node the next one has half of that time, down to
`SHORTEST_SECONDS`, so that a visitor who meets several nodes that hang is with a good one within 2 s.
"""

SHORTEST_SECONDS = 0.1
"""The least that a node is given to answer a claim while another one has room."""

NodeAnswer = tuple[Node, ClaimAnswer]


class ClaimClient(Protocol):
    """Speaks to nodes, as `node_client.claims.ClaimCalls` does."""

    def claim(
        self, node: Node, pool: str, requests: Sequence[ClaimRequest], *, seconds: float
    ) -> Sequence[ClaimAnswer]:
        """Claim for visitors of one pool, within so many seconds: as many answers, in their order."""
        ...

    def claim_plainly(self, node: Node, path: str, *, seconds: float) -> ClaimAnswer:
        """Claim for one visitor at an original tmpnb."""
        ...


class NodeClaims:
    """Chooses nodes and claims at them. Safe to use from several threads."""

    def __init__(
        self, *, fleet_state: FleetState, client: ClaimClient, outbox: Outbox, clock: Callable[[], float], rng: Random
    ) -> None:
        self._fleet_state = fleet_state
        self._client = client
        self._outbox = outbox
        self._clock = clock
        self._rng = rng
        self._batcher = Batcher(self._claim_together)

    def first(self, pool: PoolState, request: ClaimRequest) -> NodeAnswer | None:
        """Make a visitor's first claim, together with those who come at the same moment; None if there is no node."""
        return self._batcher.submit(pool, request)

    def choose(self, pool: PoolState, excluded: Collection[str] = ()) -> Node | None:
        """Choose the node to claim at next; None when asking any more of them makes no sense."""
        now, free_slots = self._clock(), pool.free_slots
        slow, refused = free_slots.overdue(now), free_slots.asked_lately(now)
        name = choose(pool.ranking, free_slots.free, refused, excluded, self._rng, slow=slow)
        return self._fleet_state.nodes.get(name) if name is not None else None

    def patience(self, pool: PoolState, node: Node, excluded: Collection[str] = (), *, late: int = 0) -> float:
        """Return the seconds for which to wait for a node's answer: few while another one has room.

        Args:
            pool: the pool that is claimed from.
            node: the one that is asked.
            excluded: nodes that this visitor was refused by.
            late: how many nodes have been late for this visitor and may be asked again.
        """
        free = pool.free_slots.free
        # Of those that are well: where all seem slow, it is this host that is, and more claims would not help it.
        others = late > 0 or any(
            free.get(name, 0) > 0 and name != node.name and name not in excluded for name in pool.ranking.first
        )
        return max(SHORTEST_SECONDS, LATE_SECONDS / 2**late) if others and self.repeatable(node) else math.inf

    def repeatable(self, node: Node) -> bool:
        """Whether a claim may be made again, or be given up: an original tmpnb knows no tickets."""
        stats = self._fleet_state.board.of(node.name).stats
        return stats is not None and stats.protocol > 0

    def make(
        self, pool: PoolState, node: Node, requests: Sequence[ClaimRequest], *, seconds: float = math.inf
    ) -> Sequence[ClaimAnswer]:
        """Claim, and wait for the answer as long as any claim may take, or so many seconds if that is less."""
        pool.free_slots.begin(node.name, now=self._clock(), count=len(requests))
        answers: Sequence[ClaimAnswer] = ()
        try:
            answers = self._call(pool, node, requests, seconds)
        finally:
            stats = self._fleet_state.board.of(node.name).stats
            pool.free_slots.end(
                node.name,
                now=self._clock(),
                count=len(requests),
                took=sum(isinstance(answer, Claim) for answer in answers),
                available=_left(answers, several_pools=stats is not None and len(stats.pools) > 1),
            )
        if any(isinstance(answer, Claim) for answer in answers) and node.name not in pool.ranking.first:
            self._fleet_state.clear_suspect(node.name)
            self._outbox.passive_check(PassiveCheck(node.name, passed=True))
        return answers

    def failed(self, node: Node, reason: str) -> None:
        """A claim came to nothing by the node's fault: it is doubted here at once, and whoever polls hears of it."""
        news = self._fleet_state.mark_suspect(node.name)
        self._outbox.passive_check(
            PassiveCheck(node.name, passed=False, reason=f"a claim failed: {reason}"), urgent=news
        )

    def _claim_together(self, pool: PoolState, requests: Sequence[ClaimRequest]) -> list[NodeAnswer]:
        """Claim for those who came at the same moment, all of them at one node, as far as it has room."""
        node = self.choose(pool)
        if node is None:
            return []
        at_once = max(1, pool.free_slots.free.get(node.name, 0)) if self.repeatable(node) else 1
        answers = self.make(pool, node, requests[:at_once], seconds=self.patience(pool, node))
        return [(node, answer) for answer in answers]

    def _call(
        self, pool: PoolState, node: Node, requests: Sequence[ClaimRequest], seconds: float
    ) -> Sequence[ClaimAnswer]:
        if self.repeatable(node):
            return self._client.claim(node, pool.name, requests, seconds=seconds)
        return [self._client.claim_plainly(node, request.path, seconds=seconds) for request in requests]


def _left(answers: Sequence[ClaimAnswer], *, several_pools: bool) -> int | None:
    """The free slots that the answers tell of; None where they tell nothing of this pool."""
    for answer in answers:
        if isinstance(answer, Refusal) and answer.status != "bad_request":
            return 0
        if isinstance(answer, Claim) and not several_pools:
            return answer.available
    return None
