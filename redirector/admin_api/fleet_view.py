"""The fleet as the admin API and the dashboard show it: what `GET /api/fleet` of docs/http-api.md says. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redirector.admin_api.node_view import state_word
from redirector.counters.visitor_counts import by_minute
from redirector.model.board import alarms
from redirector.model.nodes import eligibility, pools_of
from redirector.model.slot_counts import SlotCounts, counts_now, counts_of, is_current, total
from redirector.model.snapshot import MINUTES, FleetSnapshot
from redirector.settings.table import Settings
from tmpnb_common.version import VERSION

STALE_BEATS = 3
STALE_SECONDS = 5.0
"""A board older than this many ticks and seconds is an alarm: when the poller dies, another one follows within 4 s."""


def fleet_json(snapshot: FleetSnapshot, settings: Settings, root: str) -> dict[str, Any]:
    """Numbers and alarms; `root` is the redirector's address as the request named it."""
    nodes, board, now = snapshot.nodes, snapshot.board, snapshot.at
    silent = {name: seen for name in nodes if not is_current(seen := board.of(name))}
    stale_after = max(STALE_SECONDS, STALE_BEATS * settings.poll_seconds)
    lately = by_minute(snapshot.minutes, MINUTES) if snapshot.minutes else []
    found = alarms(nodes, board, now=now, stale_after=stale_after, wanted=snapshot.wanted)
    if snapshot.database_problem:
        found.insert(0, f"{snapshot.database_problem}; visitors are placed by what is known")
    return {
        **total(counts_now(node, board.of(name)) for name, node in nodes.items()).dump(),
        "pools": {name: counts.dump() for name, counts in _by_pool(snapshot).items()},
        "not_counted": {
            "nodes": len(silent),
            "claimed": sum(seen.stats.claimed for seen in silent.values() if seen.stats is not None),
        },
        "stats_age_seconds": _oldest(snapshot),
        "waiting": sum(line.waiting for line in snapshot.waiting.values()),
        "waiting_room": {
            pool: {
                "waiting": line.waiting,
                "first_seconds": line.first_seconds,
                "let_in": line.lately.count,
                "expected_seconds": line.expected_seconds,
            }
            for pool, line in snapshot.waiting.items()
        },
        "nodes": Counter(state_word(node, board.of(name)) for name, node in nodes.items()),
        "alarms": found,
        "version": VERSION,
        "entry_url": settings.entry_url or root.rstrip("/"),
        "visitors": dict(snapshot.counters),
        "lately": {
            "minutes": MINUTES,
            "placed": sum(each.placed for each in lately),
            "turned_away": sum(each.turned_away for each in lately),
        },
        "poller": {
            "holder": board.holder,
            "age_seconds": max(0.0, now - board.published_at) if board.version else None,
        },
    }


def _by_pool(snapshot: FleetSnapshot) -> dict[str, SlotCounts]:
    """The same numbers for each pool that a node has whose numbers are current."""
    sums: dict[str, SlotCounts] = {}
    for name, node in snapshot.nodes.items():
        seen = snapshot.board.of(name)
        if seen.stats is None or not is_current(seen):
            continue
        takes_visitors = eligibility(node, seen).order != "never"
        for pool, stats in pools_of(seen.stats).items():
            sums[pool] = sums.get(pool, SlotCounts()) + counts_of(stats, takes_visitors=takes_visitors)
    return sums


def _oldest(snapshot: FleetSnapshot) -> float | None:
    """The age in seconds of the oldest number that is counted; None where none is."""
    asked = [seen.asked_at for name in snapshot.nodes if is_current(seen := snapshot.board.of(name))]
    return max(0.0, snapshot.at - min(asked)) if asked else None
