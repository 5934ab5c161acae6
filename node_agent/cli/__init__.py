"""`tmpnb-agent`: runs a node, and lets the host's own operator decide about it.

Exit codes: 0 done or already so, 1 failed, 2 usage or settings, 5 refused by a guard.
"""

from __future__ import annotations

import sys

import click

from node_agent.cli.exits import FAILED, USAGE
from node_agent.errors import AgentError, NodeConfigError
from tmpnb_common.lazy_group import LazyGroup

COMMANDS = {
    "serve": ("serve:serve", "Keep the pool, hand out sandboxes, cull and refill, until TERM."),
    "proxy": ("proxy:proxy", "Run nginx in the foreground with the configuration that the agent writes."),
    "purge": ("purge:purge", "End every sandbox of this node, sessions too, and remove what they left."),
    "drain": ("operator:drain", "Take no new visitors."),
    "resume": ("operator:resume", "Take visitors again, unless the fleet drains this node too."),
    "status": ("operator:status", "Say how many sandboxes are free, starting and in use."),
    "health": ("operator:health", "Ask the agent whether it works and the engine answers."),
    "check-image": ("check_image:check", "Start one sandbox of IMAGE and walk through what the agent needs of it."),
    "config": ("settings:config", "Look at the settings."),
}
"""Where each is, and what `tmpnb-agent --help` says of it."""


def main() -> None:
    """Run the command line; errors become one clear line and an exit code, here and nowhere else."""
    try:
        agent.main(prog_name="tmpnb-agent")
    except NodeConfigError as error:
        for problem in error.problems:
            click.echo(f"tmpnb-agent: {problem}", err=True)
        sys.exit(USAGE)
    except AgentError as error:
        click.echo(f"tmpnb-agent: {error}", err=True)
        sys.exit(FAILED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tmpnb-fleet")
def agent() -> None:
    """Run one Docker host's pool of temporary notebooks.

    Settings come from the environment: `tmpnb-agent config show` lists them all.
    """


agent.add_later(__name__, COMMANDS)
