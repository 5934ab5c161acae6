"""The dashboard's charts and events, and which of them a page asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redirector.admin_api.answers import EventView
from redirector.errors import DatabaseAwayError
from redirector.model.snapshot import FleetSnapshot
from redirector.store.journal import Journal
from redirector.web.dashboard.cards import charts

MOMENT_DIGITS = 10
EVENTS_SHOWN = 60
"""The newest so many that match."""


def event_filter(query: Mapping[str, str]) -> tuple[str, float, float]:
    """Which events the page shows: of a node, from and until a time; what makes no sense there filters nothing."""

    def moment(name: str) -> float:
        given = query.get(name, "")
        return float(given) if given.isascii() and given.isdigit() and len(given) <= MOMENT_DIGITS else 0.0

    return query.get("node", ""), moment("from"), moment("until")


def history(journal: Journal, snapshot: FleetSnapshot, node: str, start: float, end: float) -> dict[str, Any]:
    """Charts and events; empty while the database, which alone has them, is away."""
    if snapshot.database_problem:
        return {"charts": charts({}), "events": []}
    try:
        events = journal.events(limit=EVENTS_SHOWN, not_before=start, not_after=end, node=node)
        return {
            "charts": charts(snapshot.minutes),
            "events": [EventView.of(event) for event in reversed(events)],
        }
    except DatabaseAwayError:
        return {"charts": charts({}), "events": []}
