"""Builds the view of the whole fleet, `GET /api/fleet` of docs/http-api.md, from a snapshot of one moment. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from redirector.admin_api.node_view import state_word
from redirector.admin_api.views import FleetView, LatelyView, LineView, NotCountedView, PollerView
from redirector.counters.visitor_counts import by_minute
from redirector.model.board import alarms
from redirector.model.content_alarms import content_alarms
from redirector.model.nodes import eligibility, pools_of
from redirector.model.slot_counts import SlotCounts, counts_now, counts_of, is_current, total
from redirector.model.snapshot import MINUTES, FleetSnapshot
from redirector.settings.table import RedirectorSettings
from tmpnb_common.version import VERSION

STALE_BEATS = 3
STALE_SECONDS = 5.0
"""A board older than this many ticks and seconds is an alarm: when the poller dies, another one follows within 4 s."""


def view_of_fleet(snapshot: FleetSnapshot, settings: RedirectorSettings, root: str) -> FleetView:
    """Numbers and alarms; `root` is the redirector's address as the request named it."""
    nodes, board, now = snapshot.nodes, snapshot.board, snapshot.at
    silent = [seen for name in nodes if not is_current(seen := board.of(name))]
    return FleetView(
        **asdict(total(counts_now(node, board.of(name)) for name, node in nodes.items())),
        pools=_by_pool(snapshot),
        not_counted=NotCountedView(
            nodes=len(silent), claimed=sum(seen.stats.claimed for seen in silent if seen.stats is not None)
        ),
        stats_age_seconds=_oldest(snapshot),
        waiting=sum(line.waiting for line in snapshot.waiting.values()),
        waiting_room={
            pool: LineView(line.waiting, line.first_seconds, line.lately.count, line.expected_seconds)
            for pool, line in snapshot.waiting.items()
        },
        nodes=Counter(state_word(node, board.of(name)) for name, node in nodes.items()),
        alarms=_alarms(snapshot, settings),
        version=VERSION,
        entry_url=settings.entry_url or root.rstrip("/"),
        visitors=snapshot.counters,
        lately=_lately(snapshot),
        poller=PollerView(board.holder, max(0.0, now - board.published_at) if board.published_at else None),
    )


def _alarms(snapshot: FleetSnapshot, settings: RedirectorSettings) -> list[str]:
    stale_after = max(STALE_SECONDS, STALE_BEATS * settings.poll_seconds)
    sentences = alarms(snapshot.nodes, snapshot.board, now=snapshot.at, stale_after=stale_after, orders=snapshot.orders)
    sentences += content_alarms(snapshot.contents.values(), snapshot.workers, snapshot.at)
    if snapshot.database_problem:
        return [f"{snapshot.database_problem}; visitors are placed by what is known", *sentences]
    return sentences


def _lately(snapshot: FleetSnapshot) -> LatelyView:
    minutes = by_minute(snapshot.minutes, MINUTES) if snapshot.minutes else []
    return LatelyView(MINUTES, sum(each.placed for each in minutes), sum(each.turned_away for each in minutes))


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
