"""`tmpnb-agent purge`: end all that a node runs."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import click

from node_agent.cli.exits import GUARDED
from node_agent.content.blob import clear_blobs
from node_agent.directories import RunDirectory
from node_agent.errors import AgentError
from node_agent.parts import make_runtime
from node_agent.pools.ledger import Ledger
from node_agent.proxy import host
from node_agent.settings import table as config
from node_agent.settings.table import NodeSettings

PURGE_THREADS = 8
"""Ending is waiting, for processes and for the engine."""


@click.command()
@click.option("--force", is_flag=True, help="Also while an agent serves; it will start fresh sandboxes.")
def purge(force: bool) -> None:
    """End every sandbox of this node, sessions too, and remove what they left.

    The node's identity, token and intent stay. Doing it twice is fine. A proxy that still runs keeps what it needs to
    tell visitors that their sandboxes are gone: stop it first where nothing shall be left.
    """
    settings = config.from_environment()
    if _never_was(settings):
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
            _sweep(settings.run)
    finally:
        if lock is not None:
            os.close(lock)
    click.echo(f"ended {ended} sandboxes", err=True)


def _never_was(settings: NodeSettings) -> bool:
    """Whether no file says that a node ever ran here. An engine keeps containers also where the run directory went with
    a reboot, so with one only the engine can tell.
    """
    if settings.runtime != "process":
        return False
    return not settings.run_dir.exists() and not settings.state.sandboxes.exists()


def _sweep(run: RunDirectory) -> None:
    """Empty the run directory but for its lock; of what a running proxy shows, only where none runs."""
    for path in (*run.of_the_agent(), *run.of_the_proxy()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _purge(settings: NodeSettings) -> int:
    runtime = make_runtime(settings, config.environment())
    instances = runtime.instances()
    # First of all nginx stops routing to them.
    Ledger(settings.run_dir).clear()
    with ThreadPoolExecutor(PURGE_THREADS) as threads:
        list(threads.map(lambda instance: runtime.end(instance.name), instances))
    runtime.tidy()
    clear_blobs(settings.content_dir)
    return len(instances)
