"""The operator's command line. Thin: it asks the admin API and prints what that says."""

from __future__ import annotations

import click

from redirector.admin_client import AdminError
from redirector.cli.completion import completion
from redirector.cli.config import config
from redirector.cli.events import events
from redirector.cli.exits import Stop, stop_of
from redirector.cli.node import node
from redirector.cli.options import examples
from redirector.cli.place import place
from redirector.cli.roll import roll
from redirector.cli.serve import serve
from redirector.cli.status import status
from redirector.cli.tables import plain
from redirector.cli.up import up


class _Rim(click.Group):
    """Turns what the admin API refused, or could not be asked, into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except AdminError as problem:
            _end(ctx, stop_of(problem))
        except Stop as stop:
            _end(ctx, stop)


def _end(ctx: click.Context, stop: Stop) -> None:
    click.echo("Error: " + "\n".join(plain(line) for line in str(stop).splitlines()), err=True)
    ctx.exit(stop.exit_code)


@click.group(
    cls=_Rim,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "tmpnb up                     a fleet on this machine, to try it",
        "tmpnb status                 how is the fleet?",
        "tmpnb node drain n1          no new visitors for n1",
    )
    + "\n\n\b\n"
    + "Exit codes: 0 done or so already, 1 failed, 2 wrong usage, 3 partly done,\n"
    + "4 timed out with sessions left, 5 refused by a guard, 6 outcome unknown.",
)
@click.version_option(package_name="tmpnb-fleet")
def main() -> None:
    """Run a fleet of temporary Jupyter notebooks."""


for command in (up, serve, status, node, events, place, roll, config, completion):
    main.add_command(command)
