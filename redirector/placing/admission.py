"""The door: whoever comes gets a sandbox, or a place in the waiting room, or the reason why neither."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, chain

from redirector.counters.histograms import QUEUE, observed
from redirector.errors import DatabaseAwayError
from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.memory.rate_limits import Limits
from redirector.memory.waiting_queue import WaitingQueue
from redirector.model.waiting_room import FRONT, SLOWEST_SECONDS, Offer, Place, ask_again_seconds
from redirector.placing.outcomes import AdmissionRequest, Outcome, Reason, Refused, Waiting
from redirector.placing.placer import NotPlaced, Placed, Placer
from redirector.store.tickets import Ticket, Tickets
from tmpnb_common.wire import DEFAULT_POOL

PLENTY = 32
"""With so many more free slots than people waiting, a newcomer takes nobody's: there is no need to ask the database."""


WAITABLE = ("full", "starting", "trouble")
"""What waiting may help against."""


class Admission:
    """Invariant: while anybody waits for a pool, nobody goes in past them, wherever they come from."""

    def __init__(
        self,
        *,
        fleet_state: FleetState,
        placer: Placer,
        waiting_queue: WaitingQueue,
        tickets: Tickets,
        limits: Limits,
        outbox: Outbox,
        clock: Callable[[], float],
        new_ticket: Callable[[], str],
        waiting_limit: int,
    ) -> None:
        self._fleet_state = fleet_state
        self._placer = placer
        self._waiting_queue = waiting_queue
        self._tickets = tickets
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self._new_ticket = new_ticket
        self._waiting_limit = waiting_limit

    def arrive(self, visit: AdmissionRequest) -> Outcome:
        """Somebody new: straight in if nobody waits and there is room, else to the end of the queue."""
        if not self._has(visit.pool):
            return self._refuse("unknown_pool")
        waits = visit.waits and self._waiting_limit > 0
        held = self._limits.take(visit.address, self._clock())
        outcome = self._admit(visit, held, waits=waits)
        if held is not None and isinstance(outcome, Refused):
            # Whoever got nothing has used up nothing: a page that tries again would take its class's whole share.
            self._limits.give_back(visit.address)
        return outcome

    def _admit(self, visit: AdmissionRequest, held: float | None, *, waits: bool) -> Outcome:
        """Somebody new, whose turn by their client's limits it is in `held` seconds; None: in no bearable time."""
        if held is None or (held and not waits):
            return self._refuse("limited")
        if self._waiting_queue.away:
            # Without a database there is no order to keep: nobody is held, and whoever waits tries their luck.
            return self._off_the_list(visit)
        if held or self._anyone_waits(visit.pool):
            return self._join(visit, held, None)
        result = self._placer.place(visit.path, visit.pool, waits=waits)
        if waits and isinstance(result, NotPlaced):
            return self._join(visit, held, result) if result.status in WAITABLE else self._refuse(result.status)
        return _at_once(result)

    def poll_ticket(self, ticket: str, visit: AdmissionRequest) -> Outcome | None:
        """Somebody who waits asks for news; None if nobody knows the ticket (any more)."""
        if not self._has(visit.pool):
            return self._refuse("unknown_pool")
        place = self._waiting_queue.queue.place(ticket, visit.pool)
        if self._waiting_queue.away:
            return self._off_the_list(visit, ticket)
        if place is not None and place.ahead >= self._free(visit.pool) + FRONT:
            waiting = self._waiting(ticket, visit, place)
            self._waiting_queue.saw(ticket, waiting.ask_seconds)
            return waiting
        return self._at_the_front(ticket, visit, self._interval(visit, place))

    def _anyone_waits(self, pool: str) -> bool:
        waiting = self._waiting_queue.queue.waiting(pool)
        if self._waiting_queue.away or any(free > waiting + PLENTY for free in accumulate(self._slots(pool))):
            return False
        if waiting:
            return True
        try:
            return self._tickets.anyone(pool)
        except DatabaseAwayError:
            return False

    def _refuse(self, status: Reason) -> Refused:
        self._outbox.count(**{f"refused_{status}": 1})
        return Refused(status)

    def _has(self, pool: str) -> bool:
        return pool == DEFAULT_POOL or bool(self._fleet_state.pool(pool).ranking.free)

    def _slots(self, pool: str) -> Iterator[int]:
        """Free slots, node by node."""
        room = self._fleet_state.pool(pool)
        return (room.free_slots.free.get(name, 0) for name in chain(room.ranking.first, room.ranking.last))

    def _free(self, pool: str) -> int:
        return sum(self._slots(pool))

    def _join(self, visit: AdmissionRequest, held: float, found: NotPlaced | None) -> Outcome:
        ticket, queue = self._new_ticket(), self._waiting_queue.queue
        interval = self._interval(visit, queue.place_at(visit.pool, queue.waiting(visit.pool)), held=held > 0)
        try:
            ahead = self._tickets.join(
                Ticket(ticket, visit.pool, ""),
                limit=self._waiting_limit,
                bounds=self._limits.places(visit.address),
                held_seconds=held,
                interval=interval,
                refused=found is not None,
            )
            if isinstance(ahead, str):
                return self._refuse(ahead)
            here = queue.place_at(visit.pool, ahead)
            waiting = self._waiting(ticket, visit, here, found, held=held > 0, within=interval)
            if found is None and not held:
                # There may be room for all who wait and one more.
                outcome = self._at_the_front(ticket, visit, interval)
                if isinstance(outcome, Placed):
                    self._outbox.count(waited=1)  # if only for an instant: whoever is admitted has waited
                    return outcome
                if isinstance(outcome, Refused):
                    return self._refuse(outcome.status)
            if not visit.waits:
                self._tickets.leave(ticket)
        except DatabaseAwayError:
            # Its row cannot be written just now: better past the others than turned away.
            return self._off_the_list(visit, found=found)
        if not visit.waits:
            return self._refuse("starting" if waiting.mood == "starting" else "full")
        self._outbox.count(waited=1)
        return waiting

    def _off_the_list(self, visit: AdmissionRequest, ticket: str = "", found: NotPlaced | None = None) -> Outcome:
        """Somebody who cannot be entered into the database: in if there is room, else they ask again.

        Whoever waits so has a ticket that nobody knows. Once the database is back, it counts as a newcomer's.
        """
        waits = visit.waits and self._waiting_limit > 0
        ticket = ticket or self._new_ticket()
        result = found or self._placer.place(visit.path, visit.pool, ticket=ticket, waits=waits)
        if isinstance(result, Placed) or not waits:
            return _at_once(result)
        if result.status not in WAITABLE:
            return self._refuse(result.status)
        queue = self._waiting_queue.queue
        place = queue.place_at(visit.pool, queue.waiting(visit.pool))
        # Each question is one for the nodes, so not too many of them.
        return self._waiting(ticket, replace(visit, interval=max(visit.interval, SLOWEST_SECONDS)), place, result)

    def _at_the_front(self, ticket: str, visit: AdmissionRequest, interval: float) -> Outcome | None:
        """Somebody whose turn it may be, or of whom this worker has not read yet; they live for two such intervals."""
        try:
            asked = self._tickets.enter(ticket, visit.pool, self._offers(visit.pool), interval=interval)
        except DatabaseAwayError:
            return self._waiting(ticket, visit, self._waiting_queue.queue.place_at(visit.pool, 0), within=interval)
        here = self._waiting_queue.queue.place_at(visit.pool, asked.ahead)
        match asked.entry:
            case "unknown":
                return None
            case "done":
                return self._once_more(ticket, visit)
            case "enter":
                return self._enter(ticket, visit, here)
            case "held" | "wait" | "claiming":
                return self._waiting(ticket, visit, here, held=asked.entry == "held", within=interval)

    def _enter(self, ticket: str, visit: AdmissionRequest, here: Place) -> Outcome:
        result = self._placer.place(visit.path, visit.pool, ticket=ticket, waits=True)
        # If the database has gone meanwhile, the ticket's claim lapses there by itself.
        with suppress(DatabaseAwayError):
            if isinstance(result, Placed):
                waited = self._tickets.got(ticket, result.node)
                if waited is not None:
                    self._outbox.count(**observed(QUEUE, waited))
            elif result.status in WAITABLE:
                self._tickets.refused(ticket)
            else:
                self._tickets.leave(ticket)
        if isinstance(result, NotPlaced):
            waits = result.status in WAITABLE
            return self._waiting(ticket, visit, here, result) if waits else _at_once(result)
        self._outbox.count(admitted=1)
        return result

    def _once_more(self, ticket: str, visit: AdmissionRequest) -> Outcome | None:
        """The answer with the sandbox was lost on its way, or another tab got it."""
        with suppress(DatabaseAwayError):
            known = self._tickets.find(ticket)
            result = self._placer.again(known.node, ticket, visit.path, visit.pool) if known is not None else None
            if result is None:
                self._tickets.leave(ticket)
            return result
        return None

    def _offers(self, pool: str) -> list[Offer]:
        board, room = self._fleet_state.board, self._fleet_state.pool(pool)
        return [
            Offer(name, room.ranking.free[name], board.of(name).asked_at)
            for name in (*room.ranking.first, *room.ranking.last)
        ]

    def _interval(self, visit: AdmissionRequest, place: Place | None, *, held: bool = False) -> float:
        """When somebody is to ask again, in seconds. Of whom nothing was read yet that may be long."""
        seconds = SLOWEST_SECONDS if place is None or held else ask_again_seconds(place.ahead)
        return max(seconds, visit.interval)

    def _waiting(
        self,
        ticket: str,
        visit: AdmissionRequest,
        place: Place,
        found: NotPlaced | None = None,
        *,
        held: bool = False,
        within: float = math.inf,
    ) -> Waiting:
        """What to tell somebody who has to ask again `within` so many seconds: their place lives for two of these."""
        seconds = min(self._interval(visit, place, held=held), within)
        if held:
            return Waiting(ticket, place, seconds, "held")
        ranking = self._fleet_state.pool(visit.pool).ranking
        if (found is not None and found.status == "trouble") or not (ranking.first or ranking.last):
            return Waiting(ticket, place, seconds, "trouble")
        coming = sum(ranking.coming.values())
        soon = place.ahead < coming + self._free(visit.pool)
        return Waiting(ticket, place, seconds, "starting" if soon else "full")


def _at_once(result: Placed | NotPlaced) -> Outcome:
    """For whom there is no waiting; the placer has counted it."""
    return result if isinstance(result, Placed) else Refused(result.status)
