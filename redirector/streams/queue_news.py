"""News of all launches that stand far from the front of the waiting room, asked for together: a thousand of them cost
the redirector some thirty requests every few seconds, not a thousand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from redirector.streams.entry_client import UnansweredError

log = logging.getLogger("streams")

ASK_SECONDS = 4.0
"""All are asked for within this: below the 5 s that the waiting room expects of a page far from the front."""

SILENT_ROUNDS = 10
"""So often it may give no answer, as while it restarts; then each asks alone, and hears what that comes to."""

PARTS, LEAST_AT_ONCE, MOST_AT_ONCE = 30, 20, 500
"""They are asked for in so many requests, of so many tickets each; the redirector reads no more in one."""


class PlacesSource(Protocol):
    """Who knows of the places."""

    async def places(self, tickets: Sequence[str]) -> Mapping[str, msgspec.Raw]:
        """What is to be said of those of these tickets that stand far from the front."""
        ...


class QueueNews:
    """Collects those who want news, and gives it to all of them at once."""

    def __init__(self, source: PlacesSource) -> None:
        self._source = source
        self._listeners: dict[str, set[asyncio.Future[msgspec.Raw | None]]] = {}
        """Two streams may have one ticket, and one of them may end."""
        self._newcomers: set[str] = set()
        """Of whom the redirector's processes may not all have read yet."""
        self._known: set[str] = set()
        self._silent_rounds = 0

    async def next(self, ticket: str) -> msgspec.Raw | None:
        """Wait for the next news of a ticket: the event; None if it has to be asked for alone."""
        listener: asyncio.Future[msgspec.Raw | None] = asyncio.get_running_loop().create_future()
        listeners = self._listeners.setdefault(ticket, set())
        if not listeners and ticket not in self._known:
            self._newcomers.add(ticket)
        listeners.add(listener)
        try:
            return await listener
        finally:
            # Whoever has gone is not asked for any more, so that their place lapses.
            listeners.discard(listener)
            if not listeners:
                del self._listeners[ticket]

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            parts = _parts([ticket for ticket in self._listeners if ticket not in self._newcomers])
            self._newcomers.clear()
            known: set[str] = set()
            for tickets in parts or [[]]:
                # Evenly: visitors who come meanwhile are to notice nothing.
                await asyncio.sleep(ASK_SECONDS / max(1, len(parts)))
                waiting = [ticket for ticket in tickets if ticket in self._listeners]
                known.update(await self._tell(waiting) if waiting else ())
            self._known = known

    async def _tell(self, tickets: Sequence[str]) -> Iterable[str]:
        """Ask for these, and give them what there is; of whom there is news."""
        try:
            news = await self._source.places(tickets)
        except UnansweredError as error:
            self._silent_rounds += 1
            if self._silent_rounds < SILENT_ROUNDS:
                log.warning("the redirector does not say how the waiting room stands: %s", error)
                return tickets
            news = {}
        self._silent_rounds = 0
        for ticket in tickets:
            for listener in self._listeners.get(ticket, ()):
                if not listener.done():
                    listener.set_result(news.get(ticket))
        return news


def _parts(tickets: Sequence[str]) -> list[Sequence[str]]:
    size = min(MOST_AT_ONCE, max(LEAST_AT_ONCE, len(tickets) // PARTS))
    return [tickets[start : start + size] for start in range(0, len(tickets), size)]
