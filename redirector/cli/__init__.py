"""The operator's command line. Thin: it asks the admin API and prints what that says."""

from __future__ import annotations

import errno
import os
import sys

import click

from redirector.admin_api.errors import AdminError
from redirector.cli.terminal.exits import Exit, Stop, stop_of
from redirector.cli.terminal.texts import examples, plain
from tmpnb_common.lazy_group import LazyGroup

COMMANDS = {
    "up": ("up:up", "Run a fleet on this machine."),
    "serve": ("serve:serve", "Run the redirector."),
    "worker": ("worker:worker", "Run the worker: it fetches contents, keeps them, and sends them to the nodes."),
    "streams": ("streams:streams", "Serve the event streams by which pages of other sites launch notebooks."),
    "status": ("status:status", "Show visitors, free slots, who waits, nodes by state and alarms."),
    "node": ("node:node", "List, show, add, drain, resume, resize, rotate and remove nodes."),
    "content": ("content:content", "List, show, add, refresh and remove contents, and what links may ask for."),
    "sessions": ("sessions:sessions", "List visitors' sessions, and end one."),
    "say": ("say:say", "Show TEXT in the pages of all sessions."),
    "events": ("events:events", "Show the fleet's history."),
    "place": ("place:place", "Say where the next visitor would go."),
    "roll": ("roll:roll", "Move the pools of all nodes to IMAGE."),
    "config": ("config:config", "Check and show the settings of `tmpnb serve`."),
    "completion": ("completion:completion", "Print the completion for a shell."),
}
"""Where each is, and what `tmpnb --help` says of it."""


class _Rim(LazyGroup):
    """Turns what the admin API refused, or could not be asked, into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except AdminError as problem:
            _end(ctx, stop_of(problem))
        except Stop as stop:
            _end(ctx, stop)
        except KeyboardInterrupt:
            _end(ctx, Stop("stopped by Ctrl-C", Exit.INTERRUPTED))
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise
            # What is still in the buffer would fail once more at exit, with a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _end(ctx, Stop(f"what there is to say cannot be written: {problem.strerror}", Exit.FAILED))


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
    + "4 timed out with sessions left, 5 refused by a guard, 6 outcome unknown,\n130 Ctrl-C.",
)
@click.version_option(package_name="tmpnb-fleet")
def main() -> None:
    """Run a fleet of temporary Jupyter notebooks."""


main.add_later(__name__, COMMANDS)
