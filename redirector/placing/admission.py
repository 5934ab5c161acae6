"""The admission: whoever comes gets a sandbox, or a place in the waiting room, or the reason why neither."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate

from redirector.counters.histograms import QUEUE, observed
from redirector.errors import DatabaseAwayError
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState, PoolState
from redirector.memory.outbox import Outbox
from redirector.memory.rate_limits import RateLimits
from redirector.memory.waiting_queue import WaitingQueue
from redirector.model.outcomes import DenialReason
from redirector.model.waiting_room import SLOWEST_SECONDS, Offer, QueuePlace
from redirector.placing.outcomes import AdmissionRequest, Outcome, Placed, Refused, Waiting
from redirector.placing.placer import Placer
from redirector.placing.wait_reasons import ask_seconds, is_far_back, slots_in_order, wait_reason
from redirector.store.ticket_rows import Ticket
from redirector.store.tickets import Tickets
from tmpnb_common.wire import DEFAULT_POOL

PLENTY = 32
"""With so many more free slots than people waiting, a newcomer takes nobody's: there is no need to ask the database."""


class Admission:
    """Invariant: while anybody waits for a pool, nobody goes in past them, wherever they come from."""

    def __init__(
        self,
        *,
        fleet_state: FleetState,
        placer: Placer,
        waiting_queue: WaitingQueue,
        tickets: Tickets,
        database: DatabaseState,
        limits: RateLimits,
        outbox: Outbox,
        clock: Callable[[], float],
        new_ticket: Callable[[], str],
        waiting_limit: int,
    ) -> None:
        self._fleet_state = fleet_state
        self._placer = placer
        self._waiting_queue = waiting_queue
        self._tickets = tickets
        self._database = database
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self._new_ticket = new_ticket
        self._waiting_limit = waiting_limit

    def arrive(self, request: AdmissionRequest) -> Outcome:
        """Admit somebody new: straight in if nobody waits and there is room, else to the end of the queue."""
        pool = self._pool(request)
        if pool is None:
            return self._refuse(DenialReason.UNKNOWN_POOL)
        waits = request.waits and self._waiting_limit > 0
        turn = self._limits.take(request.address, self._clock())
        outcome = self._admit(request, pool, turn, waits=waits)
        if turn is not None and isinstance(outcome, Refused):
            # Whoever got nothing has used up nothing: a page that tries again would take its class's whole share.
            self._limits.give_back(request.address)
        return outcome

    def poll_ticket(self, ticket: str, request: AdmissionRequest) -> Outcome | None:
        """Answer somebody who waits and asks for news; None if nobody knows the ticket (any more)."""
        pool = self._pool(request)
        if pool is None:
            return self._refuse(DenialReason.UNKNOWN_POOL)
        if self._database.away:
            return self._off_the_list(request, pool, ticket)
        place = self._waiting_queue.queue.place(ticket, pool.name)
        if place is not None and is_far_back(pool, place.ahead):
            waiting = self._waiting(ticket, request, pool, place)
            self._waiting_queue.saw(ticket, waiting.ask_seconds)
            return waiting
        return self._at_the_front(ticket, request, pool, ask_seconds(request, place))

    def again(self, node: str, ticket: str, request: AdmissionRequest) -> Placed | None:
        """The sandbox that a ticket got at a node; None if it has ended, or the node does not soon say so."""
        pool = self._pool(request)
        return self._placer.again(node, ticket, request, pool) if pool is not None else None

    def _pool(self, request: AdmissionRequest) -> PoolState | None:
        """The pool that a request names, which is looked up once in a visit; None if no node has it."""
        pool = self._fleet_state.pool(request.pool)
        return pool if pool.ranking.free or request.pool == DEFAULT_POOL else None

    def _admit(self, request: AdmissionRequest, pool: PoolState, turn: float | None, *, waits: bool) -> Outcome:
        """Somebody new, whose turn by their client's limits it is in `turn` seconds; None: in no bearable time."""
        if turn is None or (turn and not waits):
            return self._refuse(DenialReason.LIMITED)
        if self._database.away:
            # Without a database there is no order to keep: nobody is held, and whoever waits tries their luck.
            return self._off_the_list(request, pool)
        if turn or self._anyone_waits(pool):
            return self._join(request, pool, turn, None)
        result = self._placer.place(request, pool, waits=waits)
        if isinstance(result, Placed) or not waits:
            return result
        return self._join(request, pool, turn, result) if result.reason.waitable else self._refuse(result.reason)

    def _anyone_waits(self, pool: PoolState) -> bool:
        waiting = self._waiting_queue.queue.waiting(pool.name)
        if self._database.away or any(free > waiting + PLENTY for free in accumulate(slots_in_order(pool))):
            return False
        if waiting:
            return True
        try:
            return self._tickets.anyone(pool.name)
        except DatabaseAwayError:
            return False

    def _refuse(self, reason: DenialReason) -> Refused:
        self._outbox.count(**{f"refused_{reason}": 1})
        return Refused(reason)

    def _join(self, request: AdmissionRequest, pool: PoolState, turn: float, refused: Refused | None) -> Outcome:
        """Put somebody at the end of the queue: one whom all nodes have refused just now, or who was not tried yet."""
        ticket, queue = self._new_ticket(), self._waiting_queue.queue
        throttled = turn > 0
        interval = ask_seconds(request, queue.place_at(pool.name, queue.waiting(pool.name)), throttled=throttled)
        try:
            ahead = self._tickets.join(
                Ticket(ticket, pool.name, ""),
                limit=self._waiting_limit,
                bounds=self._limits.places(request.address),
                held_seconds=turn,
                interval=interval,
                refused=refused is not None,
            )
            if isinstance(ahead, DenialReason):
                return self._refuse(ahead)
            place = queue.place_at(pool.name, ahead)
            waiting = self._waiting(ticket, request, pool, place, refused, throttled=throttled, within=interval)
            if refused is None and not throttled and not is_far_back(pool, ahead):
                # There may be room for all who wait and one more.
                outcome = self._at_the_front(ticket, request, pool, interval)
                if isinstance(outcome, Placed):
                    self._outbox.count(waited=1)  # if only for an instant: whoever is admitted has waited
                    return outcome
                if isinstance(outcome, Refused):
                    return self._refuse(outcome.reason)
            if not request.waits:
                self._tickets.leave(ticket)
        except DatabaseAwayError:
            # Its row cannot be written just now: better past the others than turned away.
            return self._off_the_list(request, pool, refused=refused)
        if not request.waits:
            starting = waiting.reason is DenialReason.STARTING
            return self._refuse(DenialReason.STARTING if starting else DenialReason.FULL)
        self._outbox.count(waited=1)
        return waiting

    def _off_the_list(
        self, request: AdmissionRequest, pool: PoolState, ticket: str = "", refused: Refused | None = None
    ) -> Outcome:
        """Somebody who cannot be entered into the database: in if there is room, else they ask again.

        Whoever waits so has a ticket that nobody knows. Once the database is back, it counts as a newcomer's.
        """
        waits = request.waits and self._waiting_limit > 0
        ticket = ticket or self._new_ticket()
        result = refused or self._placer.place(request, pool, ticket=ticket, waits=waits)
        if isinstance(result, Placed) or not waits:
            return result
        if not result.reason.waitable:
            return self._refuse(result.reason)
        queue = self._waiting_queue.queue
        place = queue.place_at(pool.name, queue.waiting(pool.name))
        # Each question is one for the nodes, so not too many of them.
        slower = replace(request, interval=max(request.interval, SLOWEST_SECONDS))
        return self._waiting(ticket, slower, pool, place, result)

    def _at_the_front(self, ticket: str, request: AdmissionRequest, pool: PoolState, interval: float) -> Outcome | None:
        """Somebody whose turn it may be, or of whom this worker has not read yet; they live for two such intervals."""
        try:
            answer = self._tickets.enter(ticket, pool.name, self._offers(pool), interval=interval)
        except DatabaseAwayError:
            place = self._waiting_queue.queue.place_at(pool.name, 0)
            return self._waiting(ticket, request, pool, place, within=interval)
        place = self._waiting_queue.queue.place_at(pool.name, answer.ahead)
        match answer.state:
            case "unknown":
                return None
            case "done":
                return self._once_more(ticket, request, pool)
            case "enter":
                return self._enter(ticket, request, pool, place)
            case "throttled" | "wait" | "claiming":
                throttled = answer.state == "throttled"
                return self._waiting(ticket, request, pool, place, throttled=throttled, within=interval)

    def _enter(self, ticket: str, request: AdmissionRequest, pool: PoolState, place: QueuePlace) -> Outcome:
        result = self._placer.place(request, pool, ticket=ticket, waits=True)
        # If the database has gone meanwhile, the ticket's claim lapses there by itself.
        with suppress(DatabaseAwayError):
            if isinstance(result, Placed):
                waited = self._tickets.got(ticket, result.node)
                if waited is not None:
                    self._outbox.count(**observed(QUEUE, waited))
            elif result.reason.waitable:
                self._tickets.refused(ticket)
            else:
                self._tickets.leave(ticket)
        if isinstance(result, Refused):
            return self._waiting(ticket, request, pool, place, result) if result.reason.waitable else result
        self._outbox.count(admitted=1)
        return result

    def _once_more(self, ticket: str, request: AdmissionRequest, pool: PoolState) -> Outcome | None:
        """The answer with the sandbox was lost on its way, or another tab got it."""
        with suppress(DatabaseAwayError):
            row = self._tickets.find(ticket)
            result = self._placer.again(row.node, ticket, request, pool) if row is not None else None
            if result is None:
                self._tickets.leave(ticket)
            return result
        return None

    def _offers(self, pool: PoolState) -> list[Offer]:
        board, ranking = self._fleet_state.board, pool.ranking
        return [Offer(name, ranking.free[name], board.of(name).asked_at) for name in (*ranking.first, *ranking.last)]

    def _waiting(
        self,
        ticket: str,
        request: AdmissionRequest,
        pool: PoolState,
        place: QueuePlace,
        refused: Refused | None = None,
        *,
        throttled: bool = False,
        within: float = math.inf,
    ) -> Waiting:
        """What to tell somebody who has to ask again `within` so many seconds: their place lives for two of these."""
        seconds = min(ask_seconds(request, place, throttled=throttled), within)
        reason = DenialReason.THROTTLED if throttled else wait_reason(pool, place, refused)
        return Waiting(ticket, place, seconds, reason)
