"""What people read on stdout: aligned tables, with colour on a terminal only, and every word whole when piped."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from redirector.admin_api.views import FleetView, LineView, NodeView, PoolView
from redirector.cli.terminal.texts import ago, plain, span
from redirector.cli.terminal.times import clock_time
from redirector.model.slot_counts import SlotCounts
from tmpnb_common.wire import DEFAULT_POOL

PIPED_WIDTH = 100_000
"""Columns for output that is not a terminal: wide enough that nothing is ever folded or cut."""
PROSE_WIDTH = 16
"""The least that is left to the last column, whose words may be addresses of any length."""
NUMERIC = frozenset({"FREE", "CLAIMED", "STARTING", "CAPACITY", "COMING"})
COLOURS = {"up": "green", "active": "green", "joining": "cyan", "suspect": "yellow", "down": "red"} | dict.fromkeys(
    ("draining", "drained"), "yellow"
)


def print_json(value: object, *, one_line: bool = False) -> None:
    """Print plain values and views, with the field names of the API."""
    click.echo(json.dumps(msgspec.to_builtins(value), indent=None if one_line else 2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns whose heads are in capitals. No word is broken: on a narrow terminal lines run over instead."""
    lines = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_plain([list(heads), *lines], [head in NUMERIC for head in heads])
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, head in enumerate(heads):
        longest = max(cell_len(word) for cell in (head, *(line[number] for line in lines)) for word in cell.split())
        table.add_column(
            head,
            justify="right" if head in NUMERIC else "left",
            no_wrap=number == 0,
            overflow="fold",
            min_width=min(longest, PROSE_WIDTH) if head == heads[-1] else longest,
        )
    for line in lines:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in line))
    _print(table)


def _print_plain(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    """The same for a pipe: nothing folds there, and thousands of lines take no second."""
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]

    def padded(cell: str, width: int, right: bool) -> str:
        space = " " * (width - cell_len(cell))
        return space + cell if right else cell + space

    for line in lines:
        click.echo("  ".join(map(padded, line, widths, numeric)).rstrip())


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """One fact a line; those without a value are left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for key, value in pairs:
        if value:
            table.add_row(key, Text(plain(value), style=COLOURS.get(value, "")))
    _print(table)


def print_nodes(nodes: Sequence[NodeView]) -> None:
    heads = ("NAME", "INTENT", "HEALTH", "FREE", "CLAIMED", "STARTING", "CAPACITY", "URL", "REASON")
    print_table(
        heads,
        (
            (
                node.name,
                node.state,
                node.health,
                str(node.available),
                str(node.claimed),
                str(node.starting),
                str(node.capacity),
                node.url,
                node.reason,
            )
            for node in nodes
        ),
    )


def print_node(node: NodeView, now: float) -> None:
    """Everything about one node; `now` in seconds since 1970."""
    print_pairs(
        (
            ("name", node.name),
            ("url", node.url),
            ("control url", node.control_url if node.control_url != node.url else ""),
            ("intent", node.state),
            ("  since", ago(node.intent_since, now)),
            ("  by", node.intent_by),
            ("  reason", node.intent_reason),
            ("  ends by", "" if node.last_end is None else clock_time(node.last_end, now)),
            ("  sessions end", clock_time(node.end_sessions_at, now) if node.end_sessions_at else ""),
            ("  pending", "the node has not reported this intent yet" if node.pending else ""),
            ("health", node.health),
            ("  since", ago(node.since, now)),
            ("  because", node.health_reason),
            ("  now", f"it does not answer: {node.unanswered}" if node.unanswered else ""),
            ("visitors", "welcome" if node.eligible else f"none: {node.reason}"),
            ("slots", node_slots(node)),
            *((f"pool {name}", _pool(pool, current=node.current)) for name, pool in node.pools.items()),
            ("image", node.image),
            ("software", node.software),
            ("stats", "" if node.stats_age_seconds is None else f"{span(node.stats_age_seconds)} old"),
            ("added", ago(node.added_at, now)),
        )
    )


def node_slots(node: NodeView) -> str:
    """A node's slots; of one that is not heard of, what they were and when."""
    if node.current:
        return slots(node)
    known = node.last_known
    if not known or node.stats_age_seconds is None:
        return "unknown"
    was = f"{known['available']} free, {known['claimed']} claimed of {known['capacity']}"
    return f"unknown; {span(node.stats_age_seconds)} ago: {was}"


def _pool(pool: PoolView, *, current: bool) -> str:
    numbers = f"{pool.available} of {pool.capacity} free, {pool.claimed} claimed" if current else ""
    ending = f"{pool.ending} ending" if current and pool.ending else ""
    fetching = f"fetches its image: {pool.fetching}" if current and pool.fetching else ""
    size = "" if pool.capacity_ordered is None else f"the fleet resized it to {pool.capacity_ordered}"
    image = f"the fleet moved it to {pool.image_ordered}" if pool.image_ordered else ""
    return "; ".join(filter(None, (numbers, ending, pool.problem, pool.unfit, fetching, pool.image, size, image)))


def print_fleet(fleet: FleetView, url: str) -> None:
    print_pairs(_fleet_pairs(fleet, url))


def fleet_lines(fleet: FleetView, url: str) -> list[str]:
    """The same as plain lines, for a screen that is drawn again and again."""
    pairs = [pair for pair in _fleet_pairs(fleet, url) if pair[1]]
    width = max(len(key) for key, _ in pairs)
    return [f"{key:{width}}  {plain(value)}" for key, value in pairs]


def _fleet_pairs(fleet: FleetView, url: str) -> list[tuple[str, str]]:
    """`url` is where the redirector was asked, which may be an address that only its own host knows."""
    url = fleet.entry_url or url
    nodes = ", ".join(f"{count} {health}" for health, count in fleet.nodes.items() if count) or "none"
    age, ever = fleet.poller.age_seconds, fleet.since_ever
    return [
        ("fleet", url),
        ("dashboard", f"{url}/dashboard"),
        ("version", fleet.version),
        ("visitors", f"{fleet.claimed} now" + _not_counted(fleet)),
        ("  in all", f"{ever.placed} placed and {ever.turned_away} turned away since the fleet began"),
        ("  lately", _lately(fleet)),
        *_waiting_pairs(fleet),
        ("slots", slots(fleet)),
        *((f"  pool {name}", slots(pool)) for name, pool in fleet.pools.items() if len(fleet.pools) > 1),
        ("nodes", nodes),
        ("as of", _as_of(fleet)),
        ("poller", (fleet.poller.holder or "none") + ("" if age is None else f", {span(age)} ago")),
        *(("alarm", alarm) for alarm in fleet.alarms),
    ]


def _not_counted(fleet: FleetView) -> str:
    """Sessions nobody can count at the moment, on nodes that do not answer."""
    silent = fleet.not_counted
    if silent is None or not silent.claimed:
        return ""
    nodes = "one node that does" if silent.nodes == 1 else f"{silent.nodes} nodes that do"
    return f", and {silent.claimed} when last heard of on {nodes} not answer"


def _lately(fleet: FleetView) -> str:
    lately = fleet.lately
    if lately is None:
        return ""
    return f"{lately.placed} placed and {lately.turned_away} turned away in the last {lately.minutes} min"


def _as_of(fleet: FleetView) -> str:
    """When the nodes said so, where that is not now."""
    age = fleet.stats_age_seconds
    counted = "who was placed or turned away is counted within a second"
    return "" if age is None else f"now; {counted}" if age < 1 else f"{span(age)} ago, the oldest of these numbers"


def _waiting_pairs(fleet: FleetView) -> list[tuple[str, str]]:
    """A line for each pool that somebody waits for."""
    lines = {pool: line for pool, line in fleet.waiting_room.items() if line.waiting}
    if not lines:
        return [("waiting", str(fleet.waiting))]
    return [
        ("waiting" if pool == DEFAULT_POOL else f"waiting for {pool}", "; ".join(_waiting(line)))
        for pool, line in lines.items()
    ]


def _waiting(line: LineView) -> Iterator[str]:
    yield str(line.waiting) + ("" if line.first_seconds is None else f", the first for {span(line.first_seconds)}")
    yield f"{line.let_in} let in within 5 min"
    if line.expected_seconds is not None:
        yield f"who comes now waits about {span(line.expected_seconds)}"


def slots(counted: NodeView | FleetView | SlotCounts) -> str:
    """Slots by use, which add up to what stands first."""
    ending = f", {counted.ending} ending" if counted.ending else ""
    unusable = f", {counted.unusable} not usable" if counted.unusable else ""
    over = f"; {counted.over} more than there are slots" if counted.over else ""
    return (
        f"{counted.capacity}: {counted.available} free, {counted.claimed} claimed, "
        f"{counted.starting} starting, {counted.startable} startable{ending}{unusable}{over}"
    )


def _print(table: Table) -> None:
    terminal = Console(file=sys.stdout)
    if terminal.is_terminal:
        terminal.print(table, crop=False)
        return
    lines = io.StringIO()
    Console(file=lines, width=PIPED_WIDTH, no_color=True, force_terminal=False).print(table)
    click.echo("\n".join(line.rstrip() for line in lines.getvalue().splitlines()))
