"""`tmpnb serve`: the redirector in the foreground, configured by the environment."""

from __future__ import annotations

import os

import click

from redirector import server
from redirector.cli.config import unknown
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.texts import examples
from redirector.errors import FleetConfigError, FleetError
from redirector.settings import table


@click.command(epilog=examples("TMPNB_ADMIN_TOKEN_FILE=/etc/tmpnb/admin-token TMPNB_STATE=/var/lib/tmpnb tmpnb serve"))
@click.option(
    "--keep-listening",
    is_flag=True,
    help="Hold the addresses in a parent process and start the server again if it is killed, so that nobody is refused "
    "meanwhile. For containers; under systemd the socket unit does it.",
)
def serve(*, keep_listening: bool) -> None:
    """Run the redirector: the fleet's public entry and its control plane.

    Its settings come from the environment, in variables that begin with TMPNB_.
    """
    for problem in unknown(os.environ):
        click.echo(f"warning: {problem}", err=True)
    try:
        server.run(table.load(os.environ), keep_listening=keep_listening)
    except FleetConfigError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem
    except FleetError as problem:
        raise Stop(str(problem), Exit.FAILED) from problem
