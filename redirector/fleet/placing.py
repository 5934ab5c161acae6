"""Find a sandbox for a visitor: ask the best node, and when it refuses or fails, the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from node_agent.log_lines import fields
from node_agent.wire import Claim, Refusal, ticket_mark
from redirector.agent_client import Wish
from redirector.fleet.claims import Answer, Claims, Client
from redirector.fleet.gathering import Gathering
from redirector.fleet.reports import Reports
from redirector.fleet.view import PoolView, View
from redirector.histograms import PLACEMENT, observed
from redirector.nodes import DEFAULT_POOL, Failure, Node
from redirector.placement import Outcome, Status, choose, senseless, verdict

log = logging.getLogger(__name__)

HOPELESS_TRIES = 8
"""Nodes without a free slot, as far as is known, that are asked for one visitor: something may have become free since.
Those that have one are asked as long as there is time, so that nobody goes away while a slot is free.
"""

OUTCOMES: dict[str, Outcome] = {
    "full": "full",
    "starting": "starting",
    "draining": "elsewhere",
    "unknown_pool": "elsewhere",
    "forbidden": "failed",
    "bad_request": "bad_request",
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


class Placer:
    """Places visitors, many at a time."""

    def __init__(
        self,
        *,
        view: View,
        client: Client,
        reports: Reports,
        clock: Callable[[], float],
        rng: Random,
        new_ticket: Callable[[], str],
        seconds: float,
    ) -> None:
        self._view = view
        self._claims = Claims(view=view, client=client, reports=reports, clock=clock)
        self._together = Gathering(self._ask_first)
        self._reports = reports
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
            self._reports.count(placed=1, tries=result.tries, **observed(PLACEMENT, seconds))
            log.info("placed", extra=fields(**known, node=result.node, sandbox=result.name, seconds=seconds))
        elif waits:
            self._reports.count(tries=result.tries)
            log.debug("not placed yet", extra=fields(**known, status=result.status, reasons=result.reasons))
        else:
            self._reports.count(tries=result.tries, **{f"refused_{result.status}": 1})
            log.info("not placed", extra=fields(**known, status=result.status, reasons=result.reasons))
        return result

    def again(self, name: str, ticket: str, path: str = "", pool: str = DEFAULT_POOL) -> Placed | None:
        """The sandbox that a ticket got at that node before; None if the node does not say so."""
        node = self._view.nodes.get(name)
        if node is None:
            return None
        _, answer = self._ask(node, Wish(ticket, path, "" if pool == DEFAULT_POOL else pool), self._view.pool(pool))
        return Placed(answer.url, name, answer.name, 1) if isinstance(answer, Claim) else None

    def _search(self, ticket: str, path: str, pool: str) -> Result:
        room = self._view.pool(pool)
        if pool != DEFAULT_POOL and not room.ranking.free:
            return NotPlaced("unknown_pool", {}, 0)
        wish = Wish(ticket, path, "" if pool == DEFAULT_POOL else pool)
        give_up_at = self._clock() + self._seconds
        outcomes: dict[str, Outcome] = {}
        reasons: dict[str, str] = {}
        hopeless = 0
        asked = self._together.bring(pool, wish)
        while True:
            if asked is not None:
                node, answer = asked
                if isinstance(answer, Claim):
                    return Placed(answer.url, node.name, answer.name, len(outcomes) + 1)
                outcomes[node.name], reasons[node.name] = self._judge(node, answer)
            goes_on = hopeless < HOPELESS_TRIES and self._clock() < give_up_at and not senseless(outcomes)
            found = self._choose(room, outcomes) if goes_on else None
            if found is None:
                break
            hopeless += room.tally.free.get(found.name, 0) <= 0
            asked = self._ask(found, wish, room)
        return NotPlaced(verdict(room.ranking, room.tally.free, outcomes), reasons, len(outcomes))

    def _choose(self, room: PoolView, outcomes: Mapping[str, Outcome]) -> Node | None:
        """Whom to ask next."""
        now, tally = self._clock(), room.tally
        slow = tally.overdue(now)
        name = choose(room.ranking, tally.free, tally.asked_lately(now), outcomes, self._rng, slow=slow)
        return self._view.nodes.get(name) if name is not None else None

    def _ask_first(self, pool: str, wishes: Sequence[Wish]) -> list[Asked]:
        """The first try of those who came at the same moment: all of them at one node, as far as it has room."""
        room = self._view.pool(pool)
        node = self._choose(room, {})
        if node is None:
            return []
        fitting = wishes[: self._claims.at_once(node, room)]
        return [(node, answer) for answer in self._claims.make(node, fitting, room)]

    def _ask(self, node: Node, wish: Wish, room: PoolView) -> Asked:
        (answer,) = self._claims.make(node, [wish], room)
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
