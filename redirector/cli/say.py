"""`tmpnb say`: a line for everybody who works in a notebook now."""

from __future__ import annotations

import sys
import time

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.notices import notice_problem
from redirector.cli.fleet.options import by_option, json_option, node_option, on_a_fleet
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.tables import print_json
from redirector.cli.terminal.texts import examples, plain
from redirector.cli.terminal.times import Moment, clock_time

DEFAULT_SECONDS = 4 * 3600


@click.command(
    epilog=examples(
        'tmpnb say "We stop at 18:00. Download what you want to keep."',
        'tmpnb say "This node restarts at noon." --node n3 --until 12:00',
        "tmpnb say --stop",
    )
)
@on_a_fleet
@click.argument("text", default="")
@node_option
@click.option(
    "--until", type=Moment(past=False), metavar="TIME", help="Show it until 18:00, or for 2h.  [default: for 4h]"
)
@click.option("--stop", is_flag=True, help="Take back what was said.")
@by_option
@json_option
def say(
    client: AdminClient, *, text: str, nodes: tuple[str, ...], until: float | None, stop: bool, as_json: bool
) -> None:
    """Show TEXT in the pages of all sessions.

    It shows within a minute, also in pages that open meanwhile. It is one line of at most 300 characters, and always
    shown as text. Exit code 3 if some nodes did not take it over.
    """
    text, now = text.strip(), time.time()
    if bool(text) == stop:
        raise Stop("--stop takes back what was said, and comes without a text" if stop else "say what?", Exit.USAGE)
    ends = until if until is not None else now + DEFAULT_SECONDS
    seconds = round(ends - now)
    if text and (problem := notice_problem(text, seconds)):
        raise Stop(problem, Exit.USAGE)
    told = client.say(text, seconds=seconds if text else 0, nodes=nodes)
    if as_json:
        print_json({"nodes": told.nodes, "failed": {each.node: each.reason for each in told.failed}})
    elif told.nodes:
        shown = ", ".join(map(plain, told.nodes))
        click.echo(f"{shown}: show it until {clock_time(ends, now)}" if text else f"{shown}: show nothing any more")
    else:
        click.echo("there is no node that could show it", err=True)
    for each in told.failed:
        click.echo(f"Error: {plain(each.node)}: {plain(each.reason)}", err=True)
    if told.failed or not told.nodes:
        sys.exit(Exit.PARTLY if told.nodes else Exit.FAILED)
