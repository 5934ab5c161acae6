"""Options that several commands share, so that they look and mean the same everywhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError
from redirector.cli.fleet.access import DEFAULT_STATE, locate
from redirector.cli.fleet.operator import operator
from redirector.cli.terminal.exits import Stop
from redirector.cli.terminal.times import operator_zone


@dataclass(frozen=True, slots=True)
class ClientFactory:
    """Where a command that goes on for long finds the fleet, again whenever the token has changed."""

    open: Callable[[], AdminClient]


def node_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of nodes for the shell; none where no fleet answers at once."""
    try:
        access = locate(ctx.params.get("url"), ctx.params.get("state"), os.environ)
        names = [node.name for node in AdminClient(access.url, access.token, answer_seconds=2.0).nodes()]
    except (Stop, AdminError):
        return []
    given = ctx.params.get("names") or ctx.params.get("nodes") or ()
    return [name for name in names if name.startswith(incomplete) and name not in given]


Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
OPERATOR = "redirector.cli.operator"
"""Where a command's context has the name of whoever acts."""


def _keep_operator(ctx: click.Context, _param: click.Parameter, given: str | None) -> None:
    ctx.meta[OPERATOR] = operator(given)


_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; the fleet's history keeps it.")
by_option = click.option(
    "--by",
    metavar="NAME",
    callback=_keep_operator,
    expose_value=False,
    help="Who you are, for the history; a token with a name of its own counts more.  "
    "[env: TMPNB_OPERATOR; default: this user]",
)


def reason_option(command: Command) -> Command:
    """Give a command that changes something `--reason` and `--by`."""
    return _reason_option(by_option(command))


names_argument = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=node_names)
node_option = click.option(
    "--node", "nodes", multiple=True, metavar="NAME", shell_complete=node_names, help="Only there; may be given again."
)
every_option = click.option(
    "--every", type=click.FloatRange(0.01), default=2.0, show_default=True, metavar="SECONDS", help="How often to look."
)
timeout_option = click.option(
    "--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Give up after so long; the fleet goes on."
)

_state_option = click.option(
    "--state",
    metavar="DIR",
    help=f"State directory of a fleet that `tmpnb up` runs here.  [env: TMPNB_STATE; default: {DEFAULT_STATE}]",
)
_url_option = click.option(
    "--url",
    metavar="URL",
    help="The redirector's address; its token comes from TMPNB_TOKEN or TMPNB_TOKEN_FILE.  [env: TMPNB_URL]",
)


def on_a_fleet(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url` and `--state`, and call it with the `client` that they lead to."""

    @_url_option
    @_state_option
    @functools.wraps(command)
    def opened(url: str | None, state: str | None, **arguments: Any) -> None:
        operator_zone()  # One that does not exist ends the command before it does anything.
        command(client=_client(url, state), **arguments)

    return opened


def beside_a_fleet(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that looks again and again: it is called with a `source` of clients."""

    @_url_option
    @_state_option
    @functools.wraps(command)
    def opened(url: str | None, state: str | None, **arguments: Any) -> None:
        operator_zone()
        by = _operator()
        command(source=ClientFactory(lambda: locate(url, state, os.environ).client(by)), **arguments)

    return opened


def _operator() -> str:
    """Who acts; empty for a command that changes nothing."""
    name: str = click.get_current_context().meta.get(OPERATOR, "")
    return name


def _client(url: str | None, state: str | None) -> AdminClient:
    return locate(url, state, os.environ).client(_operator())
