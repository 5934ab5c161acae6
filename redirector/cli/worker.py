"""`tmpnb worker`: what fetches contents and sends them to the nodes, in the foreground."""

from __future__ import annotations

import os

import click

from redirector.cli.config import unknown
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.texts import examples
from redirector.errors import FleetConfigError, FleetError
from redirector.settings import table
from redirector.worker import compose


@click.command(epilog=examples("TMPNB_STATE=/var/lib/tmpnb tmpnb worker"))
def worker() -> None:
    """Run the worker: it fetches contents, keeps them, and sends them to the nodes.

    `tmpnb serve` starts one by itself unless TMPNB_CONTENT_WORKER is 0. It reads the same settings.
    """
    for problem in unknown(os.environ):
        click.echo(f"warning: {problem}", err=True)
    try:
        compose.run(table.load(os.environ))
    except FleetConfigError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem
    except FleetError as problem:
        raise Stop(str(problem), Exit.FAILED) from problem
