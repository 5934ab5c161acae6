"""`tmpnb-agent purge`: end all that a node runs."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import click

from node_agent import config, host
from node_agent.cli.exits import GUARDED
from node_agent.config import Settings
from node_agent.errors import AgentError
from node_agent.ledger import Ledger
from node_agent.wsgi import make_runtime

PURGE_THREADS = 8
"""Ending is waiting, for processes and for the engine."""


@click.command()
@click.option("--force", is_flag=True, help="Also while an agent serves; it will start fresh sandboxes.")
def purge(force: bool) -> None:
    """End every sandbox of this node, sessions too, and remove what they left.

    The node's identity, token and intent stay. Doing it twice is fine.
    """
    settings = config.from_environment()
    if not settings.run_dir.exists() and not (settings.state_dir / "sandboxes").exists():
        return
    try:
        lock = host.take_run_dir(settings)
    except AgentError as error:
        if not force:
            click.echo(f"tmpnb-agent: {error}; stop it first, or use --force", err=True)
            sys.exit(GUARDED)
        lock = None
    try:
        ended = _purge(settings)
        if lock is not None:
            # A proxy that starts before the next agent would serve with settings of the past. The pages stay: one
            # that runs still tells visitors that their sandboxes are gone.
            for leftover in ("nginx.conf", "agent.sock"):
                (settings.run_dir / leftover).unlink(missing_ok=True)
    finally:
        if lock is not None:
            os.close(lock)
    click.echo(f"ended {ended} sandboxes", err=True)


def _purge(settings: Settings) -> int:
    runtime = make_runtime(settings, config.environment())
    instances = runtime.instances()
    # First of all nginx stops routing to them.
    Ledger(settings.run_dir).clear()
    with ThreadPoolExecutor(PURGE_THREADS) as threads:
        list(threads.map(lambda instance: runtime.end(instance.name), instances))
    return len(instances)
