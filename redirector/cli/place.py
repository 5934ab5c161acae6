"""`tmpnb place`: where the next visitor would go."""

from __future__ import annotations

import click

from redirector.admin_api.answers import PlaceView
from redirector.admin_api.client import AdminClient
from redirector.cli.fleet.options import json_option, on_a_fleet
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.tables import print_json, print_table
from redirector.cli.terminal.texts import examples, plain

WORDS = {
    "starting": "nowhere at once: a sandbox is being started, so they wait a moment",
    "full": "nowhere: every sandbox is in use",
    "trouble": "nowhere: no node can be used",
    "unknown_pool": "nowhere: no node has that pool",
}


@click.command(epilog=examples("tmpnb place", "tmpnb place --explain", "tmpnb place --explain --pool r"))
@on_a_fleet
@click.option("--explain", is_flag=True, help="Say of every other node why it would not get them.")
@click.option("--pool", default="", metavar="NAME", help="Of which pool they want a sandbox.")
@json_option
def place(client: AdminClient, *, explain: bool, pool: str, as_json: bool) -> None:
    """Say where the next visitor would go. Takes nothing. Exit code 1 if nowhere."""
    found = client.place(pool)
    if as_json:
        print_json(found)
    else:
        if found.next:
            click.echo(plain(found.next))
        if explain:
            _explain(found)
    if not found.next:
        raise Stop(WORDS.get(found.verdict, "nowhere"), Exit.FAILED)


def _explain(found: PlaceView) -> None:
    click.echo()
    rows = ((each.name, str(each.available), str(each.coming), each.reason) for each in found.nodes)
    print_table(("NODE", "FREE", "COMING", "WHY"), rows)
