"""`tmpnb-agent`: runs a node, and lets the host's own operator decide about it.

Exit codes: 0 done or already so, 1 failed, 2 usage or settings, 5 refused by a guard.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click

from node_agent import check_image, config, host, identity, nginx, open_files
from node_agent.check_image import Trial
from node_agent.config import Settings
from node_agent.docker_engine import DockerEngine
from node_agent.errors import AgentError, ConfigError, EngineError
from node_agent.intent import IntentStore
from node_agent.ledger import Ledger
from node_agent.local_client import LocalAgent
from node_agent.log_lines import fields
from node_agent.logs import log_to_stderr
from node_agent.proxy import Proxy, find_nginx
from node_agent.setting_values import PREFIX
from node_agent.wsgi import Server, make_runtime

FAILED, USAGE, GUARDED = 1, 2, 5

PURGE_THREADS = 8
"""Ending is waiting, for processes and for the engine."""

LOCK_SECONDS = 5.0
"""The worker of an agent that was killed notices within a second, and lets open calls finish."""


def main() -> None:
    """Run the command line; errors become one clear line and an exit code, here and nowhere else."""
    try:
        agent.main(prog_name="tmpnb-agent")
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"tmpnb-agent: {problem}", err=True)
        sys.exit(USAGE)
    except AgentError as error:
        click.echo(f"tmpnb-agent: {error}", err=True)
        sys.exit(FAILED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tmpnb-fleet")
def agent() -> None:
    """Run one Docker host's pool of temporary notebooks.

    Settings come from the environment: `tmpnb-agent config show` lists them all.
    """


@agent.command()
@click.option("--join", metavar="ENTRY_URL", help="Join the fleet behind this URL. Needs TMPNB_NODE_JOIN_TOKEN_FILE.")
def serve(join: str | None) -> None:
    """Keep the pool, hand out sandboxes, cull and refill, until TERM. Sandboxes outlive it.

    Example: TMPNB_NODE_RUNTIME=process tmpnb-agent serve
    """
    settings = config.load({**config.environment(), **({f"{PREFIX}JOIN": join} if join else {})})
    log_to_stderr(settings.log_format)
    environment = config.environment()
    open_files.raise_limit(sum(pool.capacity for pool in settings.pools))
    # The check tries the engine with this very directory.
    host.make_run_dir(settings)
    make_runtime(settings, environment).check()
    lock = host.take_run_dir(settings, patience=LOCK_SECONDS)
    host.open_to_nginx(settings)
    host.write_proxy_config(settings)
    check_state(settings)
    logging.getLogger(__name__).info("serving", extra=fields(node=settings.name, run_dir=settings.run_dir))
    try:
        Server(settings, environment).run()
    finally:
        os.close(lock)


def check_state(settings: Settings) -> None:
    """Read what the worker will read, so that what is wrong with it is one line and an exit code and not its end."""
    identity.load(settings.state_dir, settings.token_file, identity.fresh_token)
    IntentStore(settings.state_dir / "intent.json", time.time)
    Ledger(settings.run_dir).prepare()


@agent.command()
def proxy() -> None:
    """Run nginx in the foreground with the configuration that the agent writes, and follow its changes.

    Waits for the agent's first start. TERM ends it within ten seconds.
    """
    settings = config.from_environment()
    log_to_stderr(settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    Proxy(
        find_nginx(),
        settings.run_dir,
        (settings.listen.host, settings.listen.port),
        stop,
        certificate=tuple(path for path in (settings.tls_cert, settings.tls_key) if path),
        until_certified=nginx.tls.until_certified(settings, as_root=os.geteuid() == 0) if settings.http_listen else "",
    ).run()


@agent.command()
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


def _reason(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--reason", default="", help="Why; it shows wherever the state shows.")(command)


@agent.command()
@_reason
def drain(reason: str) -> None:
    """Take no new visitors. Sessions go on until they end; the decision outlives restarts.

    Example: tmpnb-agent drain --reason "new disk"
    """
    _decide("draining", reason)


@agent.command()
@_reason
def resume(reason: str) -> None:
    """Take visitors again, unless the fleet drains this node too."""
    _decide("active", reason)


def _decide(state: str, reason: str) -> None:
    value = {"state": state, "reason": reason, "by": getpass.getuser()}
    now = _local_agent().put("/api/state", value)["state"]
    click.echo(f"this node is {now}")
    if now != state:
        click.echo("the fleet drains it too: resume it there as well", err=True)


@agent.command()
@click.option("--json", "as_json", is_flag=True, help="All that /stats says.")
def status(as_json: bool) -> None:
    """Say how many sandboxes are free, starting and in use."""
    stats = _local_agent().get("/api/stats")
    if as_json:
        click.echo(json.dumps(stats, indent=1))
        return
    for line in status_lines(stats):
        click.echo(line)


@agent.command()
def health() -> None:
    """Ask the agent whether it works and the engine answers; exit 1 with the reason if not.

    Made for service managers and Docker's health checks.
    """
    click.echo(_local_agent().get("/healthz")["status"])


def status_lines(stats: dict[str, Any]) -> list[str]:
    counts = ("available", "starting", "startable", "claimed", "capacity")
    lines = [f"{stats['name']}: {stats['state']}", "  ".join(f"{name} {stats[name]}" for name in counts)]
    lines += [f"pool {name}: {pool['problem']}" for name, pool in stats["pools"].items() if pool["problem"]]
    return lines


def _local_agent() -> LocalAgent:
    settings = config.from_environment()
    return LocalAgent(host.agent_socket(settings.run_dir), identity.read_tokens(settings.token_file)[0])


@agent.command("check-image")
@click.argument("image")
def check_image_command(image: str) -> None:
    """Start one sandbox of IMAGE and walk through what the agent needs of it; exit 1 if something is wrong.

    Command, landing path and time to start are those of the settings. Needs the Docker Engine, and no agent.

    Example: tmpnb-agent check-image tmpnb-notebook
    """
    asked = {f"{PREFIX}IMAGE": image, f"{PREFIX}RUNTIME": "docker"}
    settings = config.load({**config.environment(), **asked})
    trial = Trial(image, settings.command, settings.landing, settings.limits, settings.start_seconds)
    # Where the agent's own sandboxes are, so that an agent in a container tries what it has in common with the engine.
    run_dir = settings.run_dir if settings.run_dir.is_dir() else Path(tempfile.gettempdir())
    good = True
    say = partial(click.echo, err=True)
    for finding in check_image.check(
        DockerEngine(settings.engine), trial, run_dir, pause=threading.Event().wait, say=say
    ):
        good = good and finding.good
        click.echo(f"{'ok   ' if finding.good else 'wrong'}  {finding.what}")
        for line in finding.advice.splitlines():
            click.echo(f"       {line}")
    if not good:
        sys.exit(FAILED)
    click.echo(f"{image} is fit for sandboxes")


@agent.group("config")
def config_group() -> None:
    """Look at the settings."""


@config_group.command()
@click.option("--engine", is_flag=True, help="Ask the engine too, and look for the images on it.")
def check(*, engine: bool) -> None:
    """Say everything that is wrong with the settings; exit 2 if anything is."""
    settings = config.from_environment()
    if engine:
        host.make_run_dir(settings)
        make_runtime(settings, config.environment()).check()
        missing = missing_images(settings)
        if missing:
            raise EngineError(
                f"there is no image {' and no image '.join(missing)} on this host; build or pull it first"
            )
    click.echo("the settings are sound")


def missing_images(settings: Settings) -> list[str]:
    """The pools' images that are not on this host's engine."""
    if settings.runtime != "docker":
        return []
    found = DockerEngine(settings.engine)
    try:
        return [image for image in dict.fromkeys(pool.image for pool in settings.pools) if found.image(image) is None]
    finally:
        found.close()


@config_group.command()
def show() -> None:
    """List every setting: its name, its default, its unit, what it is for."""
    for row in config.TABLE:
        unit = f" ({row.unit})" if row.unit else ""
        click.echo(f"{row.variable}{unit}, default {row.shown_default}\n    {row.reason}")
