"""`tmpnb-agent serve`: the agent in the foreground."""

from __future__ import annotations

import logging
import os
import time

import click

from node_agent.logs import log_to_stderr
from node_agent.membership import identity
from node_agent.membership.intent import IntentStore
from node_agent.parts import make_runtime
from node_agent.pools.ledger import Ledger
from node_agent.proxy import host, open_files
from node_agent.server import NodeServer
from node_agent.settings import table as config
from node_agent.settings.table import NodeSettings
from node_agent.settings.values import PREFIX
from tmpnb_common.log_lines import fields

LOCK_SECONDS = 5.0
"""The worker of an agent that was killed notices within a second, and lets open calls finish."""


@click.command()
@click.option("--join", metavar="ENTRY_URL", help="Join the fleet behind this URL. Needs TMPNB_NODE_JOIN_TOKEN_FILE.")
def serve(join: str | None) -> None:
    """Keep the pool, hand out sandboxes, cull and refill, until TERM. Sandboxes outlive it.

    Example: TMPNB_NODE_RUNTIME=process tmpnb-agent serve
    """
    settings = config.load({**config.environment(), **({f"{PREFIX}JOIN": join} if join else {})})
    log_to_stderr(settings.log_format)
    environment = config.environment()
    open_files.raise_limit(settings.slots, open_files.of_agent(settings.slots))
    # The check tries the engine with this very directory.
    host.make_run_dir(settings)
    runtime = make_runtime(settings, environment)
    runtime.check()
    lock = host.take_run_dir(settings, patience=LOCK_SECONDS)
    runtime.tidy()
    host.open_to_nginx(settings)
    host.write_proxy_config(settings)
    check_state(settings)
    logging.getLogger("cli").info("serving", extra=fields(node=settings.name, run_dir=settings.run_dir))
    try:
        NodeServer(settings, environment).run()
    finally:
        os.close(lock)


def check_state(settings: NodeSettings) -> None:
    """Read what the worker will read, so that what is wrong with it is one line and an exit code and not its end."""
    identity.load(settings.state_dir, settings.token_file, identity.fresh_token)
    IntentStore(settings.state.intent, time.time)
    Ledger(settings.run_dir).prepare()
