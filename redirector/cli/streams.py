"""`tmpnb streams`: what keeps event streams open for launches from within pages, in the foreground."""

from __future__ import annotations

import os

import click

from redirector.cli.config import unknown
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.texts import examples
from redirector.errors import FleetConfigError, FleetError
from redirector.settings import table
from redirector.streams import server

FIRST_DESCRIPTOR = 3
"""Of the sockets that systemd hands over."""


@click.command(epilog=examples("TMPNB_STREAMS_LISTEN=unix:/run/tmpnb-redirector/streams.sock tmpnb streams"))
@click.option("--descriptor", type=int, hidden=True, help="A socket that listens already.")
def streams(*, descriptor: int | None) -> None:
    """Serve the event streams by which pages of other sites launch notebooks.

    `tmpnb serve` starts this by itself where TMPNB_STREAMS_LISTEN is set. It reads the same settings.
    """
    for problem in unknown(os.environ):
        click.echo(f"warning: {problem}", err=True)
    if descriptor is None and os.environ.get("LISTEN_PID") == str(os.getpid()):
        descriptor = FIRST_DESCRIPTOR
    try:
        server.run(table.load(os.environ), descriptor)
    except FleetConfigError as problem:
        raise Stop(str(problem), Exit.USAGE) from problem
    except FleetError as problem:
        raise Stop(str(problem), Exit.FAILED) from problem
