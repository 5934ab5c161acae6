"""What the host's own operator asks of the agent that serves here: drain, resume, status, health."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from typing import Any

import click

from node_agent.cli.local_client import LocalAgent
from node_agent.membership import identity
from node_agent.settings import table as config


def _reason(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--reason", default="", help="Why; it shows wherever the state shows.")(command)


@click.command()
@_reason
def drain(reason: str) -> None:
    """Take no new visitors. Sessions go on until they end; the decision outlives restarts.

    Example: tmpnb-agent drain --reason "new disk"
    """
    _decide("draining", reason)


@click.command()
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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="All that /stats says.")
def status(as_json: bool) -> None:
    """Say how many sandboxes are free, starting and in use."""
    stats = _local_agent().get("/api/stats")
    if as_json:
        click.echo(json.dumps(stats, indent=1))
        return
    for line in status_lines(stats):
        click.echo(line)


@click.command()
def health() -> None:
    """Ask the agent whether it works and the engine answers; exit 1 with the reason if not.

    Made for service managers and Docker's health checks.
    """
    click.echo(_local_agent().get("/healthz")["status"])


def status_lines(stats: dict[str, Any]) -> list[str]:
    counts = ("available", "starting", "startable", "claimed", "ending", "capacity")
    lines = [f"{stats['name']}: {stats['state']}", "  ".join(f"{name} {stats.get(name, 0)}" for name in counts)]
    lines += [f"pool {name}: {pool['problem']}" for name, pool in stats["pools"].items() if pool["problem"]]
    fetched = {name: pool["fetching"] for name, pool in stats["pools"].items() if pool.get("fetching")}
    lines += [f"pool {name}: its image is being fetched: {progress}" for name, progress in fetched.items()]
    lines += [stats["unremovable"]] if stats.get("unremovable") else []
    return lines


def _local_agent() -> LocalAgent:
    settings = config.from_environment()
    return LocalAgent(settings.run.agent_socket, identity.read_tokens(settings.token_file)[0])
