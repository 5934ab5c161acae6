"""`tmpnb status`: the fleet on one screen."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from redirector.admin_api.client import AdminClient
from redirector.admin_api.views import FleetView
from redirector.cli.fleet.options import ClientFactory, beside_a_fleet, every_option, json_option
from redirector.cli.fleet.watch import Watch
from redirector.cli.terminal.tables import fleet_lines, print_fleet, print_json
from redirector.cli.terminal.texts import examples
from redirector.cli.terminal.times import clock_now


@click.command(
    epilog=examples(
        "tmpnb status",
        "tmpnb status --watch",
        "TMPNB_TOKEN_FILE=token tmpnb status --url https://try.example.org --json",
    )
)
@beside_a_fleet
@click.option("--watch", is_flag=True, help="Keep it current until Ctrl-C.")
@every_option
@json_option
def status(source: ClientFactory, *, watch: bool, every: float, as_json: bool) -> None:
    """Show visitors, free slots, who waits, nodes by state and alarms."""
    looking = Watch(source, every=every)
    fleet = looking.look(AdminClient.fleet)
    assert fleet is not None, "the first look shows something or raises"
    if not watch:
        if as_json:
            print_json(_document(fleet))
        else:
            print_fleet(fleet, looking.client.url)
        return
    try:
        if sys.stdout.isatty() and not as_json:
            _redraw(looking, fleet)
        else:
            _append(looking, fleet, as_json=as_json)
    except KeyboardInterrupt:
        return


def _redraw(looking: Watch, fleet: FleetView) -> None:
    """One screen that changes in place, and says of when its picture is."""
    console = Console()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        found: FleetView | None = fleet
        while True:
            if found is not None:
                fleet, at = found, clock_now()
            heading = f"[{at}; Ctrl-C ends this]" if found is not None else f"[no answer since {at}; Ctrl-C ends this]"
            live.update(Text("\n".join([heading, *fleet_lines(fleet, looking.client.url)])), refresh=True)
            looking.pause()
            found = looking.look(AdminClient.fleet)


def _append(looking: Watch, fleet: FleetView, *, as_json: bool) -> None:
    """For pipes: a line for every change, or a JSON object for every look that showed something."""
    shown = ""
    found: FleetView | None = fleet
    while True:
        if found is not None and as_json:
            print_json(_document(found), one_line=True)
        elif found is not None and (line := _line(found)) != shown:
            click.echo(f"{clock_now()} {line}")
            shown = line
        looking.pause()
        found = looking.look(AdminClient.fleet)


def _document(fleet: FleetView) -> dict[str, object]:
    """The fleet as the API has it, and of its counters what operators ask for first."""
    ever = fleet.since_ever
    return {**msgspec.to_builtins(fleet), "placed": ever.placed, "turned_away": ever.turned_away}


def _line(fleet: FleetView) -> str:
    nodes = ", ".join(f"{count} {state}" for state, count in fleet.nodes.items() if count) or "no nodes"
    alarms = f"; {len(fleet.alarms)} alarms" if fleet.alarms else ""
    return f"{fleet.claimed} visitors, {fleet.available} free, {fleet.waiting} waiting; {nodes}{alarms}"
