"""`tmpnb node …`: what an operator does with single nodes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import RefusedError
from redirector.cli.fleet.access import read_secret
from redirector.cli.fleet.options import json_option, names_argument, on_a_fleet, reason_option
from redirector.cli.node.drain import drain
from redirector.cli.node.draining import sessions_left
from redirector.cli.node.names import change, hinting, print_one_or_all
from redirector.cli.node.resize import resize
from redirector.cli.node.rotate import rotate
from redirector.cli.node.wait import selftest, wait
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave, on_each, say_nothing
from redirector.cli.terminal.tables import print_json, print_node, print_nodes
from redirector.cli.terminal.texts import examples, plain


@click.group()
def node() -> None:
    """List, show, add, drain, resume, resize, rotate and remove nodes."""


@node.command(
    "list",
    epilog=examples("tmpnb node list", "tmpnb node list --json | jq -r '.[] | select(.health != \"up\") | .name'"),
)
@on_a_fleet
@json_option
def list_nodes(client: AdminClient, as_json: bool) -> None:
    """List the fleet's nodes. JSON is an array."""
    nodes = client.nodes()
    if as_json:
        print_json(nodes)
    elif nodes:
        print_nodes(nodes)
    else:
        click.echo("the fleet has no nodes yet; add one: tmpnb node add URL", err=True)


@node.command(epilog=examples("tmpnb node show n1", "tmpnb node show n1 --json | jq .pools"))
@on_a_fleet
@names_argument
@json_option
def show(client: AdminClient, names: tuple[str, ...], as_json: bool) -> None:
    """Show all that the fleet knows about nodes. JSON is an object, or an array if several are named."""

    def look(name: str) -> Outcome:
        return Outcome(name, "done", "", node=client.node(name))

    outcomes = on_each(names, hinting(client, look), say_nothing if as_json else _say_node)
    if as_json:
        print_one_or_all(names, [outcome.node for outcome in outcomes if outcome.node])
    leave(outcomes)


@node.command(
    epilog=examples(
        "tmpnb node add https://n3.example.org --token-file n3.token",
        "tmpnb node add https://n3.example.org --name n3 --control http://10.0.0.3:8101 --token-file n3.token",
    )
)
@on_a_fleet
@click.argument("node_url", metavar="URL")
@click.option("--name", default="", help="What the fleet calls it; if not given, what it calls itself.")
@click.option("--control", "control_url", default="", metavar="URL", help="Its private address for control traffic.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Holds the node's token; - is standard input."
)
@reason_option
@json_option
def add(
    client: AdminClient,
    *,
    node_url: str,
    name: str,
    control_url: str,
    token_file: Path | None,
    reason: str,
    as_json: bool,
) -> None:
    """Add the node at URL to the fleet.

    It has to answer and to accept its token, which stands in the file `token` of its state directory.
    """
    token = read_secret(token_file) if token_file else ""
    created, added = client.add(node_url, name=name, control_url=control_url, token=token, reason=reason)
    if as_json:
        print_json(added)
    else:
        click.echo(f"{plain(added.name)}: {'added' if created else 'is in the fleet already'}, {plain(added.url)}")


@node.command(epilog=examples("tmpnb node resume n1"))
@on_a_fleet
@names_argument
@reason_option
@json_option
def resume(client: AdminClient, *, names: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Send visitors to nodes that were drained."""

    def let_in(name: str) -> Outcome:
        changed, node = client.resume(name, reason=reason)
        status, message = ("done", "active") if changed else ("already", "already active")
        return Outcome(name, status, message, node=node)

    leave(change(names, hinting(client, let_in), as_json=as_json))


@node.command(epilog=examples("tmpnb node remove n1", 'tmpnb node remove n1 n2 --yes --reason "hosts were returned"'))
@on_a_fleet
@names_argument
@reason_option
@click.option("--force", is_flag=True, help="Even with sessions on it, or as the last node; asks nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def remove(client: AdminClient, *, names: tuple[str, ...], reason: str, force: bool, yes: bool, as_json: bool) -> None:
    """Take nodes out of the fleet.

    It forgets them and their tokens. Nodes with sessions need --force.
    """
    occupied = {each.name: each for each in client.nodes() if each.claimed and not force}
    if not (force or yes):
        _agree([name for name in names if name not in occupied])

    def forget(name: str) -> Outcome:
        if name in occupied:
            # Asked of the fleet a moment later it might have become free, and nobody agreed to that.
            raise RefusedError(
                "has_sessions", f"{sessions_left(occupied[name])}; drain it and wait until they have ended"
            )
        client.remove(name, reason=reason, force=force)
        return Outcome(name, "done", "removed")

    leave(change(names, hinting(client, forget), as_json=as_json))


def _agree(names: Sequence[str]) -> None:
    """Ask before a removal: the fleet cannot be made to remember.

    Raises:
        Stop: there is nobody to ask, or they said no.
    """
    if not names:
        return
    if not sys.stdin.isatty():
        raise Stop("removing is not undone by itself: confirm it with --yes", Exit.USAGE)
    if not click.confirm(f"Remove {', '.join(plain(name) for name in names)} from the fleet?", err=True):
        raise Stop("nothing was removed", Exit.FAILED)


def _say_node(outcome: Outcome) -> None:
    if outcome.node:
        print_node(outcome.node, time.time())


for command in (drain, wait, selftest, resize, rotate):
    node.add_command(command)
