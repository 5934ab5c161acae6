"""The fleet as the admin API and the dashboard show it: what `GET /api/fleet` of docs/http-api.md says. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redirector.board import alarms
from redirector.config import Settings
from redirector.fleet.overview import Picture
from redirector.web.node_json import node_json, state_word
from redirector.web.public import VERSION

STALE_BEATS = 3
STALE_SECONDS = 5.0
"""A board older than this many beats and seconds is an alarm: when the poller dies, another one follows within 4 s."""

SUMS = ("available", "capacity", "starting", "startable", "claimed")


def fleet_json(picture: Picture, settings: Settings, root: str) -> dict[str, Any]:
    """Numbers and alarms; `root` is the redirector's address as the request named it."""
    nodes, board, now = picture.nodes, picture.board, picture.at
    shown = [node_json(node, board.of(name), now) for name, node in nodes.items()]
    stale_after = max(STALE_SECONDS, STALE_BEATS * settings.poll_seconds)
    found = alarms(nodes, board, now=now, stale_after=stale_after)
    if picture.database_problem:
        found.insert(0, f"{picture.database_problem}; visitors are placed by what is known")
    return {
        **{word: sum(node[word] for node in shown) for word in SUMS},
        "waiting": sum(line.waiting for line in picture.waiting.values()),
        "waiting_room": {
            pool: {
                "waiting": line.waiting,
                "first_seconds": line.first_seconds,
                "let_in": line.lately.count,
                "expected_seconds": line.expected_seconds,
            }
            for pool, line in picture.waiting.items()
        },
        "nodes": Counter(state_word(node, board.of(name)) for name, node in nodes.items()),
        "alarms": found,
        "version": VERSION,
        "entry_url": settings.entry_url or root.rstrip("/"),
        "visitors": dict(picture.counters),
        "poller": {
            "holder": board.holder,
            "age_seconds": max(0.0, now - board.published_at) if board.version else None,
        },
    }
