"""Those who stand far from the front of the waiting room: their place is known without asking the database."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.memory.waiting_queue import WaitingQueue
from redirector.model.waiting_room import SLOWEST_SECONDS, QueuePlace
from redirector.placing.wait_reasons import is_far_back


class BackOfQueue:
    """Answers from what this worker has read a moment ago."""

    def __init__(self, *, fleet_state: FleetState, waiting_queue: WaitingQueue, database: DatabaseState) -> None:
        self._fleet_state = fleet_state
        self._waiting_queue = waiting_queue
        self._database = database

    def places(self, tickets: Iterable[str]) -> dict[str, QueuePlace]:
        """Where those of these tickets stand that are far from the front; the others have to ask for themselves.

        They have asked by this, and live on as if they asked again in `SLOWEST_SECONDS`.
        """
        if self._database.away:
            return {}
        queue, found = self._waiting_queue.queue, {}
        pools = cache(self._fleet_state.pool)
        for ticket in tickets:
            name, ahead = queue.index.get(ticket, ("", 0))
            if name and is_far_back(pools(name), ahead):
                found[ticket] = queue.place_at(name, ahead)
                self._waiting_queue.saw(ticket, SLOWEST_SECONDS)
        return found

    def keeps(self, ticket: str, pool: str, place: QueuePlace) -> bool:
        """Whether somebody who was just told their place is far from the front, and so may leave it to `places`."""
        far = not self._database.away and is_far_back(self._fleet_state.pool(pool), place.ahead)
        if far:
            self._waiting_queue.saw(ticket, SLOWEST_SECONDS)
        return far
