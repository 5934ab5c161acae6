"""Find a sandbox for a visitor: ask the best node, and when it refuses or fails, the next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from redirector.counters.histograms import PLACEMENT, observed
from redirector.memory.fleet_state import FleetState, PoolState
from redirector.memory.outbox import Outbox
from redirector.model.nodes import Failure, FailureKind, Node
from redirector.model.placement import Outcome, Status, choose, senseless, verdict
from redirector.node_client.client import Wish
from redirector.placing.abandonment import Abandonment
from redirector.placing.batching import Batcher
from redirector.placing.claims import Answer, Claims, Client
from tmpnb_common.log_lines import fields
from tmpnb_common.wire import DEFAULT_POOL, Claim, Refusal, ticket_mark

log = logging.getLogger("placing")

HOPELESS_TRIES = 8
"""Nodes without a free slot, as far as is known, that are asked for one visitor: something may have become free since.
Those that have one are asked as long as there is time, so that nobody goes away while a slot is free.
"""

LATE_SECONDS = 0.4
"""Claims take milliseconds. A node that has not answered by then is late, and another one that has room is asked; the
late one is asked again when nothing else has room. After each late node the next one has half of that time, down to
`SHORTEST_SECONDS`, so that a visitor who meets several nodes that hang is with a good one within 2 s.
"""

SHORTEST_SECONDS = 0.1
"""The least that a node is given to answer a claim while another one has room."""

AGAIN_SECONDS = 0.8
"""Whoever has a sandbox already is given somewhat longer than that to find it."""

MOST_LATE = 10
"""Nodes that are asked before one that was late is asked again, after 1.5 s altogether. Where all are slow, it has
answered by then, and each visitor costs the fleet no more claims than this.
"""

OUTCOMES: dict[str, Outcome] = {
    "full": "full",
    "starting": "starting",
    "draining": "elsewhere",
    "unknown_pool": "elsewhere",
    "forbidden": "failed",
    "bad_request": "bad_request",
    "abandoned": "elsewhere",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A sandbox was handed out."""

    url: str = field(repr=False)
    """Absolute. Whoever knows it is in, so it belongs into no log."""
    node: str
    name: str
    tries: int


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """None was, and why: in a word, and per node that was asked in a sentence."""

    status: Status | Literal["unknown_pool"]
    reasons: Mapping[str, str]
    tries: int


Result = Placed | NotPlaced
Asked = tuple[Node, Answer]


@dataclass(slots=True)
class _Search:
    """What one visitor's search has come to."""

    give_up_at: float = math.inf
    outcomes: dict[str, Outcome] = field(default_factory=dict)
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
        client: Client,
        outbox: Outbox,
        abandonment: Abandonment,
        clock: Callable[[], float],
        rng: Random,
        new_ticket: Callable[[], str],
        seconds: float,
    ) -> None:
        self._fleet_state = fleet_state
        self._claims = Claims(fleet_state=fleet_state, client=client, outbox=outbox, clock=clock)
        self._together = Batcher(self._ask_first)
        self._outbox = outbox
        self._abandonment = abandonment
        self._clock = clock
        self._rng = rng
        self._new_ticket = new_ticket
        self._seconds = seconds

    def place(self, path: str = "", pool: str = DEFAULT_POOL, *, ticket: str = "", waits: bool = False) -> Result:
        """Get a sandbox for one visitor.

        Args:
            path: the path and query that they want to see inside it.
            pool: where from.
            ticket: of the waiting room; without one they get a ticket for this search.
            waits: they will wait when there is none, and so are not refused.
        """
        began, ticket = self._clock(), ticket or self._new_ticket()
        result = self._search(ticket, path, pool)
        known = {"ticket": ticket_mark(ticket), "pool": pool[:63], "tries": result.tries}
        if isinstance(result, Placed):
            seconds = max(0.0, self._clock() - began)
            self._outbox.count(placed=1, tries=result.tries, **observed(PLACEMENT, seconds))
            log.info("placed", extra=fields(**known, node=result.node, sandbox=result.name, seconds=seconds))
        elif waits:
            self._outbox.count(tries=result.tries)
            log.debug("not placed yet", extra=fields(**known, status=result.status, reasons=result.reasons))
        else:
            self._outbox.count(tries=result.tries, **{f"refused_{result.status}": 1})
            log.info("not placed", extra=fields(**known, status=result.status, reasons=result.reasons))
        return result

    def again(self, name: str, ticket: str, path: str = "", pool: str = DEFAULT_POOL) -> Placed | None:
        """The sandbox that a ticket got at that node before; None if the node does not soon say so."""
        node = self._fleet_state.nodes.get(name)
        if node is None:
            return None
        wish = self._wish(ticket, path, pool)
        _, answer = self._ask(node, wish, self._fleet_state.pool(pool), AGAIN_SECONDS)
        if isinstance(answer, Claim):
            return Placed(answer.url, name, answer.name, 1)
        if isinstance(answer, Failure) and self._claims.repeatable(node):
            self._give_up([name], wish)
        return None

    def _search(self, ticket: str, path: str, pool: str) -> Result:
        room = self._fleet_state.pool(pool)
        if pool != DEFAULT_POOL and not room.ranking.free:
            return NotPlaced("unknown_pool", {}, 0)
        wish = self._wish(ticket, path, pool)
        search = _Search(give_up_at=self._clock() + self._seconds)
        asked = self._together.submit(pool, wish)
        while True:
            if asked is not None:
                node, answer = asked
                search.tries += 1
                if isinstance(answer, Claim):
                    self._give_up(search.owing - {node.name}, wish)
                    return Placed(answer.url, node.name, answer.name, search.tries)
                self._learn(search, node, answer)
            call = self._next_call(room, search)
            if call is None:
                break
            asked = self._ask(call.node, wish, room, call.seconds)
        self._give_up(search.owing, wish)
        return NotPlaced(verdict(room.ranking, room.free_slots.free, search.outcomes), search.reasons, search.tries)

    def _wish(self, ticket: str, path: str, pool: str) -> Wish:
        return Wish(ticket, path, "" if pool == DEFAULT_POOL else pool, self._new_ticket())

    def _learn(self, search: _Search, node: Node, answer: Refusal | Failure) -> None:
        if isinstance(answer, Failure) and self._claims.repeatable(node):
            # What it got is not known: the node may carry the claim out later, or its answer was lost on the way back.
            search.owing.add(node.name)
            if _is_silent(answer) and node.name not in search.outcomes:
                search.late.append(node)
        search.outcomes[node.name], search.reasons[node.name] = self._judge(node, answer)

    def _next_call(self, room: PoolState, search: _Search) -> _Call | None:
        """Whom to ask next, and how long to wait for that: nobody waits for one node while another one has room."""
        if self._clock() >= search.give_up_at or senseless(search.outcomes):
            return None
        node = self._choose(room, search.outcomes)
        has_room = node is not None and room.free_slots.free.get(node.name, 0) > 0
        if node is not None and has_room and len(search.owing) < MOST_LATE:
            return self._call(node, room, search)
        if search.late:
            # It had some more time meanwhile, and the same ticket gets what it got before.
            return _Call(search.late.pop(0), math.inf)
        if node is None or search.hopeless >= HOPELESS_TRIES:
            return None
        search.hopeless += not has_room
        return self._call(node, room, search)

    def _call(self, node: Node, room: PoolState, search: _Search) -> _Call:
        excluded = {*search.outcomes, node.name}
        free, ranking = room.free_slots.free, room.ranking
        # Of those that are well: where all seem slow, it is this host that is, and more claims would not help it.
        others = bool(search.late) or any(free.get(name, 0) > 0 and name not in excluded for name in ranking.first)
        seconds = max(SHORTEST_SECONDS, LATE_SECONDS / 2 ** len(search.late))
        return _Call(node, seconds if others and self._claims.repeatable(node) else math.inf)

    def _give_up(self, names: Collection[str], wish: Wish) -> None:
        for name in names:
            self._abandonment.give_up(name, wish.attempt)

    def _choose(self, room: PoolState, outcomes: Mapping[str, Outcome]) -> Node | None:
        """Whom to ask next."""
        now, free_slots = self._clock(), room.free_slots
        slow = free_slots.overdue(now)
        name = choose(room.ranking, free_slots.free, free_slots.asked_lately(now), outcomes, self._rng, slow=slow)
        return self._fleet_state.nodes.get(name) if name is not None else None

    def _ask_first(self, pool: str, wishes: Sequence[Wish]) -> list[Asked]:
        """The first try of those who came at the same moment: all of them at one node, as far as it has room."""
        room = self._fleet_state.pool(pool)
        node = self._choose(room, {})
        if node is None:
            return []
        seconds = self._call(node, room, _Search()).seconds
        fitting = wishes[: self._claims.at_once(node, room)]
        return [(node, answer) for answer in self._claims.make(node, fitting, room, seconds=seconds)]

    def _ask(self, node: Node, wish: Wish, room: PoolState, seconds: float) -> Asked:
        (answer,) = self._claims.make(node, [wish], room, seconds=seconds)
        return node, answer

    def _judge(self, node: Node, answer: Refusal | Failure) -> tuple[Outcome, str]:
        if isinstance(answer, Refusal):
            outcome = OUTCOMES[answer.status]
            reason = answer.message or answer.status
            if outcome != "failed":
                return outcome, reason
        reason = answer.reason if isinstance(answer, Failure) else "it does not accept the fleet's token"
        self._claims.failed(node, reason)
        return "failed", reason


def _is_silent(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.kind is FailureKind.TIMEOUT
