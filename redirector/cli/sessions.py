"""`tmpnb sessions`: who is there, how long, at what; and the end of one that has to go."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from redirector.admin_api.client import AdminClient
from redirector.cli.fleet.options import json_option, node_option, on_a_fleet, reason_option
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave, on_each, say_line, say_nothing
from redirector.cli.terminal.tables import print_json, print_table
from redirector.cli.terminal.texts import examples, plain, span
from redirector.model.sessions import VisitorSession

ORDERS = {
    "age": lambda session: -(session.age_seconds or 0),
    "idle": lambda session: -(session.idle_seconds or 0),
    "memory": lambda session: -(session.memory_bytes or 0),
    "end": lambda session: session.ends_in_seconds if session.ends_in_seconds is not None else float("inf"),
    "node": lambda session: (session.node, session.name),
}


class _ListByDefault(click.Group):
    """`tmpnb sessions` alone lists them, with the options of `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def sessions() -> None:
    """List visitors' sessions, and end one."""


@sessions.command(
    "list",
    epilog=examples("tmpnb sessions", "tmpnb sessions --node n1 --sort memory", "tmpnb sessions --json | jq length"),
)
@on_a_fleet
@node_option
@click.option("--pool", default="", metavar="NAME", help="Only of this pool.")
@click.option("--sort", type=click.Choice(sorted(ORDERS)), default="node", show_default=True, help="What comes first.")
@json_option
def list_sessions(client: AdminClient, *, nodes: tuple[str, ...], pool: str, sort: str, as_json: bool) -> None:
    """List visitors' sessions, as their nodes have them now. Never an address: that is its visitor's alone.

    JSON is an array. Exit code 3 if a node did not answer, so that its sessions are missing.
    """
    answer = client.sessions(nodes)
    found = sorted((each for each in answer.sessions if pool in ("", each.pool)), key=ORDERS[sort])
    if as_json:
        print_json(found)
    elif found:
        _print(found)
    elif not answer.unanswered:
        click.echo("no sessions", err=True)
    for each in answer.unanswered:
        node, reason = plain(each.node), plain(each.reason)
        click.echo(f"warning: {node} did not answer, and its sessions are missing: {reason}", err=True)
    if answer.unanswered:
        sys.exit(Exit.PARTLY)


@sessions.command(
    epilog=examples('tmpnb sessions end k3v5q2za --reason "it mines"', "tmpnb sessions end n1/k3v5q2za --yes")
)
@on_a_fleet
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@reason_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def end(client: AdminClient, *, names: tuple[str, ...], reason: str, yes: bool, as_json: bool) -> None:
    """End sessions at once. Their visitors lose what they have not downloaded.

    NAME is as `tmpnb sessions` lists it, with the node before it (n1/k3v5q2za) where two nodes have one of that name.
    """
    names = tuple(dict.fromkeys(names))
    if not yes:
        _agree(client, names)

    def finish(name: str) -> Outcome:
        node, _, bare = name.rpartition("/")
        answer = client.end_session(bare, node=node, reason=reason)
        status, message = ("done", "ended") if answer.changed else ("already", "had ended already")
        return Outcome(name, status, f"{message}, on {answer.node}")

    outcomes = on_each(names, finish, say_nothing if as_json else say_line)
    if as_json:
        print_json([{"name": each.name, "status": each.status, "message": each.message} for each in outcomes])
    leave(outcomes)


def _agree(client: AdminClient, names: Sequence[str]) -> None:
    """Ask before people lose what they work on, if any of the names is a session's.

    Raises:
        Stop: there is nobody to ask, or they said no.
    """
    answer = client.sessions()
    there = [each for each in answer.sessions if {each.name, f"{each.node}/{each.name}"} & set(names)]
    if not there and not answer.unanswered:
        return  # Nobody loses anything: each name is refused by itself.
    if not sys.stdin.isatty():
        raise Stop("this ends people's sessions: confirm it with --yes", Exit.USAGE)
    if not click.confirm(question(there), err=True):
        raise Stop("nothing was ended", Exit.FAILED)


def question(sessions: Sequence[VisitorSession]) -> str:
    """What is asked before sessions are ended: a line for each that is known, and the question."""
    lines = [
        f"{plain(each.node)}/{plain(each.name)}: {_span(each.age_seconds)} old, {_memory(each.memory_bytes)}"
        + (", busy" if each.busy else "")
        for each in sessions
    ]
    return "\n".join([*lines, f"End these {len(lines)} sessions now?" if lines[1:] else "End it now?"])


def _print(found: Iterable[VisitorSession]) -> None:
    print_table(
        ("NODE", "NAME", "POOL", "AGE", "IDLE", "MEMORY", "BUSY", "ENDS"),
        (
            (
                each.node,
                each.name,
                each.pool or "?",
                _span(each.age_seconds),
                _span(each.idle_seconds),
                _memory(each.memory_bytes),
                "yes" if each.busy else "-",
                _ends(each),
            )
            for each in found
        ),
    )


def _span(seconds: float | None) -> str:
    return "?" if seconds is None else span(seconds)


def _memory(count: int | None) -> str:
    return "?" if count is None else f"{count / 2**20:.0f} MiB"


def _ends(session: VisitorSession) -> str:
    if session.ends_reason == "ending":
        return "now"
    if session.ends_in_seconds is None:
        return "?"
    return f"in {span(session.ends_in_seconds)}" + (f" ({session.ends_reason})" if session.ends_reason else "")
