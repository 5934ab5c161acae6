"""Events as programs read them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redirector.model.events import Event

FIELDS = ("id", "at", "kind", "node", "by", "reason")


def events_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """In the order in which they came."""
    return [{field: getattr(event, field) for field in FIELDS} for event in events]
