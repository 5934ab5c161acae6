"""Find a sandbox for a visitor: ask the best node, and when it refuses or fails, the next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from redirector.counters.histograms import PLACEMENT, observed
from redirector.memory.fleet_state import FleetState, PoolState
from redirector.memory.outbox import Outbox
from redirector.model.nodes import Failure, FailureKind, Node
from redirector.model.placement import NodeOutcome, senseless, verdict
from redirector.node_client.claims import ClaimAnswer
from redirector.placing.abandonment import Abandonment
from redirector.placing.claims import NodeClaims
from redirector.placing.outcomes import AdmissionRequest, Placed, Refused, Result
from tmpnb_common.claims import Claim, ClaimRequest, Refusal, ticket_mark
from tmpnb_common.log_lines import fields

log = logging.getLogger("placing")

HOPELESS_TRIES = 8
"""Nodes without a free slot, as far as is known, that are asked for one visitor: something may have become free since.
Those that have one are asked as long as there is time, so that nobody goes away while a slot is free.
"""

AGAIN_SECONDS = 0.8
"""Whoever has a sandbox already is given somewhat longer than that to find it."""

MOST_LATE = 10
"""Nodes that are asked before one that was late is asked again, after 1.5 s altogether. Where all are slow, it has
answered by then, and each visitor costs the fleet no more claims than this.
"""


@dataclass(slots=True)
class _Search:
    """What one visitor's search has come to."""

    give_up_at: float = math.inf
    unable: dict[str, NodeOutcome] = field(default_factory=dict)
    """Nodes that are not asked at all."""
    outcomes: dict[str, NodeOutcome] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    late: list[Node] = field(default_factory=list)
    """Those that may be asked again."""
    owing: set[str] = field(default_factory=set)
    """Those of which nobody knows whether they have carried the claim out, or still will."""
    tries: int = 0
    hopeless: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """A node to ask, and for how many seconds at most."""

    node: Node
    seconds: float


class Placer:
    """Places visitors, many at a time."""

    def __init__(
        self,
        *,
        fleet_state: FleetState,
        claims: NodeClaims,
        outbox: Outbox,
        abandonment: Abandonment,
        clock: Callable[[], float],
        new_ticket: Callable[[], str],
        seconds: float,
    ) -> None:
        """Make a placer that searches for at most so many seconds for one visitor."""
        self._fleet_state = fleet_state
        self._claims = claims
        self._outbox = outbox
        self._abandonment = abandonment
        self._clock = clock
        self._new_ticket = new_ticket
        self._seconds = seconds

    def place(self, request: AdmissionRequest, pool: PoolState, *, ticket: str = "", waits: bool = False) -> Result:
        """Get a sandbox for one visitor.

        Args:
            request: what they would like.
            pool: the pool that it names, which exists.
            ticket: their ticket of the waiting room; without one they get a ticket for this search.
            waits: they will wait when there is none, and so are not counted as refused.
        """
        began, ticket = self._clock(), ticket or self._new_ticket()
        result = self._search(request, pool, ticket)
        told = {"ticket": ticket_mark(ticket), "pool": request.pool[:63], "tries": result.tries}
        if isinstance(result, Placed):
            seconds = max(0.0, self._clock() - began)
            self._outbox.count(placed=1, tries=result.tries, **observed(PLACEMENT, seconds))
            log.info("placed", extra=fields(**told, node=result.node, sandbox=result.name, seconds=seconds))
        elif waits:
            self._outbox.count(tries=result.tries)
            log.debug("not placed yet", extra=fields(**told, status=result.reason, reasons=result.reasons))
        else:
            self._outbox.count(tries=result.tries, **{f"refused_{result.reason}": 1})
            log.info("not placed", extra=fields(**told, status=result.reason, reasons=result.reasons))
        return result

    def again(self, name: str, ticket: str, request: AdmissionRequest, pool: PoolState) -> Placed | None:
        """Find the sandbox that a ticket got at that node before; None if the node does not soon say so."""
        node = self._fleet_state.nodes.get(name)
        if node is None:
            return None
        claim_request = self._claim_request(request, ticket)
        (answer,) = self._claims.make(pool, node, [claim_request], seconds=AGAIN_SECONDS)
        if isinstance(answer, Claim):
            return Placed(answer.url, name, answer.name, 1, ticket)
        if isinstance(answer, Failure) and self._claims.repeatable(node):
            self._give_up([name], claim_request)
        return None

    def _search(self, request: AdmissionRequest, pool: PoolState, ticket: str) -> Result:
        claim_request = self._claim_request(request, ticket)
        unable = self._without_contents(pool) if request.content else {}
        search = _Search(give_up_at=self._clock() + self._seconds, unable=unable)
        # Those who come at the same moment are sent to a node together, which is one that can serve them all.
        claimed = None if unable else self._claims.first(pool, claim_request)
        while True:
            if claimed is not None:
                node, answer = claimed
                search.tries += 1
                if isinstance(answer, Claim):
                    self._give_up(search.owing - {node.name}, claim_request)
                    return Placed(answer.url, node.name, answer.name, search.tries, ticket)
                self._learn(search, node, answer)
            call = self._next_call(pool, search)
            if call is None:
                break
            (answer,) = self._claims.make(pool, call.node, [claim_request], seconds=call.seconds)
            claimed = call.node, answer
        self._give_up(search.owing, claim_request)
        reason = verdict(pool.ranking, pool.free_slots.free, {**search.unable, **search.outcomes})
        return Refused(reason, search.reasons, search.tries)

    def _without_contents(self, pool: PoolState) -> dict[str, NodeOutcome]:
        """The nodes whose software or disk takes no contents, as if they had not the pool."""
        board = self._fleet_state.board
        return {
            name: "unknown_pool"
            for name in (*pool.ranking.first, *pool.ranking.last)
            if (stats := board.of(name).stats) is None or not stats.holds_content
        }

    def _claim_request(self, request: AdmissionRequest, ticket: str) -> ClaimRequest:
        return ClaimRequest(
            ticket,
            request.path,
            self._new_ticket(),
            phone=request.phone,
            content=request.content,
            embedded=request.embedded,
        )

    def _learn(self, search: _Search, node: Node, answer: Refusal | Failure) -> None:
        if isinstance(answer, Failure) and self._claims.repeatable(node):
            # What it got is not known: the node may carry the claim out later, or its answer was lost on the way back.
            search.owing.add(node.name)
            if _is_silent(answer) and node.name not in search.outcomes:
                search.late.append(node)
        search.outcomes[node.name], search.reasons[node.name] = self._judge(node, answer)

    def _next_call(self, pool: PoolState, search: _Search) -> _Call | None:
        """Whom to ask next, and how long to wait for that: nobody waits for one node while another one has room."""
        if self._clock() >= search.give_up_at or senseless(search.outcomes):
            return None
        node = self._claims.choose(pool, {**search.unable, **search.outcomes})
        has_room = node is not None and pool.free_slots.free.get(node.name, 0) > 0
        if node is not None and has_room and len(search.owing) < MOST_LATE:
            return self._call(pool, node, search)
        if search.late:
            # It had some more time meanwhile, and the same ticket gets what it got before.
            return _Call(search.late.pop(0), math.inf)
        if node is None or search.hopeless >= HOPELESS_TRIES:
            return None
        search.hopeless += not has_room
        return self._call(pool, node, search)

    def _call(self, pool: PoolState, node: Node, search: _Search) -> _Call:
        return _Call(node, self._claims.patience(pool, node, search.outcomes, late=len(search.late)))

    def _give_up(self, names: Collection[str], request: ClaimRequest) -> None:
        for name in names:
            self._abandonment.give_up(name, request.attempt)

    def _judge(self, node: Node, answer: Refusal | Failure) -> tuple[NodeOutcome, str]:
        if isinstance(answer, Refusal) and answer.status != "forbidden":
            return answer.status, answer.message or answer.status
        reason = answer.reason if isinstance(answer, Failure) else "it does not accept the fleet's token"
        self._claims.failed(node, reason)
        return "failed", reason


def _is_silent(answer: ClaimAnswer) -> bool:
    return isinstance(answer, Failure) and answer.kind is FailureKind.TIMEOUT
