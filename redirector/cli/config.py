"""`tmpnb config`: the redirector's settings, before it is started with them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping

import click

from redirector import config as settings
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.tables import print_table
from redirector.cli.terminal.texts import examples
from redirector.errors import ConfigError
from redirector.local_fleet.plan import MARK

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

SECRETS = ("TMPNB_ADMIN_TOKEN", "TMPNB_DATABASE_URL", "TMPNB_JOIN_TOKEN", "TMPNB_READ_TOKEN", "TMPNB_SIGNING_KEY")


@click.group()
def config() -> None:
    """Check and show the settings of `tmpnb serve`."""


@config.command(epilog=examples("tmpnb config check", "(set -a; . /etc/tmpnb/redirector.env; tmpnb config check)"))
def check() -> None:
    """Check the settings in the environment, all of them at once. Exit code 2 if any is wrong."""
    problems = unknown(os.environ)
    try:
        found = settings.read(os.environ)
    except ConfigError as problem:
        problems += problem.problems
    else:
        if not found.admin_tokens:
            click.echo("warning: no admin token is set, so that the admin API and the dashboard stay closed", err=True)
    if problems:
        raise Stop("\n".join(problems), Exit.USAGE)
    click.echo("the settings are fine")


@config.command(epilog=examples("tmpnb config show"))
def show() -> None:
    """Show every setting with its value and what it is for. Secrets are not shown."""
    print_table(
        ("SETTING", "VALUE", "UNIT", "FOR"),
        ((row.name, _value(row, os.environ), row.unit, row.reason) for row in settings.TABLE),
    )


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none: a misspelt one would silently have no effect."""
    known = [row.name for row in settings.TABLE]
    found = []
    for name in sorted(environ):
        if name.startswith("TMPNB_") and not name.startswith("TMPNB_NODE_") and name not in (*known, *OTHERS, *COMPOSE):
            near = difflib.get_close_matches(name, known, n=1)
            found.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def _value(row: settings.Setting, environ: Mapping[str, str]) -> str:
    given = environ.get(row.name)
    if row.name in SECRETS:
        return "set" if given else "not set"
    return (given if given is not None else row.default) or "-"
