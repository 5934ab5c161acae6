"""`tmpnb config`: the redirector's settings, before it is started with them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.tables import print_table
from redirector.cli.terminal.texts import examples
from redirector.errors import FleetConfigError
from redirector.local_fleet.plan import MARK
from redirector.settings import table as settings
from tmpnb_common.settings import Setting, misspelt

OTHERS = ("TMPNB_URL", "TMPNB_TOKEN", "TMPNB_TOKEN_FILE", "TMPNB_OPERATOR", "TMPNB_ZONE", MARK)
"""What the command line reads itself, and what `tmpnb up` gives its processes."""

COMPOSE = (
    "TMPNB_ACME_DIR",
    "TMPNB_AUTHORITY",
    "TMPNB_CERTIFICATES",
    "TMPNB_HTTP_PORT",
    "TMPNB_HTTPS_PORT",
    "TMPNB_TLS_DIR",
    "TMPNB_VERSION",
)
"""What stands in the same `.env` for the compose files in deploy/redirector and the front."""


@click.group()
def config() -> None:
    """Check and show the settings of `tmpnb serve`."""


@config.command(epilog=examples("tmpnb config check", "(set -a; . /etc/tmpnb/redirector.env; tmpnb config check)"))
def check() -> None:
    """Check the settings in the environment, all of them at once. Exit code 2 if any is wrong."""
    problems = unknown(os.environ)
    try:
        loaded = settings.load(os.environ)
    except FleetConfigError as problem:
        problems += problem.problems
    else:
        if not loaded.admin_tokens:
            click.echo("warning: no admin token is set, so that the admin API and the dashboard stay closed", err=True)
    if problems:
        raise Stop("\n".join(problems), Exit.USAGE)
    click.echo("the settings are fine")


@config.command(epilog=examples("tmpnb config show"))
def show() -> None:
    """Show every setting with its value and what it is for. Secrets are not shown."""
    print_table(
        ("SETTING", "VALUE", "UNIT", "FOR"),
        ((row.variable, _value(row, os.environ), row.unit, row.reason) for row in settings.TABLE),
    )


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none."""
    of_others = {name for name in environ if name.startswith("TMPNB_NODE_")} | {*OTHERS, *COMPOSE}
    return misspelt(environ.keys() - of_others, settings.PREFIX, [row.variable for row in settings.TABLE])


def _value(row: Setting, environ: Mapping[str, str]) -> str:
    given = environ.get(row.variable)
    if row.secret:
        return "set" if given else "not set"
    return (given if given is not None else str(row.default)) or "-"
