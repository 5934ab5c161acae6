"""`tmpnb events`: who did what, when and why, and what the fleet did by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click

from redirector.admin_api.answers import EventView
from redirector.admin_api.client import AdminClient
from redirector.cli.fleet.options import ClientFactory, beside_a_fleet, every_option, json_option, node_names
from redirector.cli.fleet.watch import Watch
from redirector.cli.node.names import hint
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.tables import print_json
from redirector.cli.terminal.texts import examples, plain
from redirector.cli.terminal.times import Moment, clock_time, full_time

AT_ONCE = 1000
"""The most that one call brings."""


@click.command(
    epilog=examples(
        "tmpnb events", "tmpnb events --since 2h", "tmpnb events --since 09:00 --json", "tmpnb events --follow"
    )
)
@beside_a_fleet
@click.option("--since", type=Moment(past=True), metavar="TIME", help="From 09:00 on, from a date on, or the last 2h.")
@click.option("--until", type=Moment(past=True), metavar="TIME", help="Up to that time.")
@click.option("--node", default="", metavar="NAME", shell_complete=node_names, help="Only of this node.")
@click.option("-n", "--limit", type=click.IntRange(1, AT_ONCE), help="The newest so many.  [default: 50, or all since]")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@every_option
@json_option
def events(
    source: ClientFactory,
    *,
    since: float | None,
    until: float | None,
    node: str,
    limit: int | None,
    follow: bool,
    every: float,
    as_json: bool,
) -> None:
    """Show the fleet's history, oldest first. JSON is one event a line."""
    looking = Watch(source, every=every)
    if follow and until is not None:
        raise Stop("--follow goes on for ever, and --until ends", Exit.USAGE)
    if since is not None and until is not None and since >= until:
        raise Stop("--since has to be before --until", Exit.USAGE)
    for word, moment in (("since", since), ("until", until)):
        if moment is not None:
            click.echo(f"{word} {clock_time(moment, time.time())}", err=True)
    wanted = limit or (50 if since is None else AT_ONCE)
    start, end = since or 0.0, until or 0.0
    found = looking.look(lambda client: client.events(limit=wanted, not_before=start, not_after=end, node=node)) or []
    _say(found, as_json=as_json)
    if node and not found:
        _refuse_unknown(looking.client, node)
    if not follow:
        if not found:
            where = f" on {plain(node)}" if node else ""
            click.echo(f"nothing has happened{where}{' then' if since or until else ' yet'}", err=True)
        return
    last = found[-1].id if found else 0
    try:
        while looking.pause():
            news = looking.look(lambda client: client.events(since=last, limit=AT_ONCE, node=node)) or []  # noqa: B023 - called at once
            _say(news, as_json=as_json)
            last = news[-1].id if news else last
    except KeyboardInterrupt:
        return


def _refuse_unknown(client: AdminClient, name: str) -> None:
    """Refuse a name that no node has or had. Those that were removed are in the history alone.

    Raises:
        Stop: there is none.
    """
    names = [node.name for node in client.nodes()]
    if name not in names and not client.events(limit=1, node=name):
        raise Stop(f"{plain(name)}: {hint(name, names)}", Exit.FAILED)


def _say(found: Iterable[EventView], *, as_json: bool) -> None:
    for event in found:
        if as_json:
            print_json(event, one_line=True)
        else:
            at = full_time(event.at)
            who = f" by {plain(event.by)}" if event.by else ""
            why = f": {plain(event.reason)}" if event.reason else ""
            click.echo(f"{at}  {plain(event.node) or '-':16}  {plain(event.kind):16}{who}{why}".rstrip())
