"""`tmpnb-agent check-image`: whether an image is fit for sandboxes."""

from __future__ import annotations

import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

import click

from node_agent.cli.exits import FAILED
from node_agent.lifecycle import check_image
from node_agent.lifecycle.check_image import ImageTrial
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.settings import table as config
from node_agent.settings.values import PREFIX


@click.command("check-image")
@click.argument("image")
def check(image: str) -> None:
    """Start one sandbox of IMAGE and walk through what the agent needs of it; exit 1 if something is wrong.

    Command, landing path and time to start are those of the settings. Needs the Docker Engine, and no agent.

    Example: tmpnb-agent check-image tmpnb-notebook
    """
    overrides = {f"{PREFIX}IMAGE": image, f"{PREFIX}RUNTIME": "docker"}
    settings = config.load({**config.environment(), **overrides})
    trial = ImageTrial(
        image,
        settings.command,
        settings.landing,
        settings.limits,
        settings.start_seconds,
        unkept=settings.unkept_limits == "accept",
    )
    # Where the agent's own sandboxes are, so that an agent in a container tries what it has in common with the engine.
    run_dir = settings.run_dir if settings.run_dir.is_dir() else Path(tempfile.gettempdir())
    good = True
    say = partial(click.echo, err=True)
    for finding in check_image.check(
        DockerEngine(settings.engine), trial, run_dir, pause=threading.Event().wait, say=say
    ):
        good = good and finding.good
        mark = "wrong" if not finding.good else "note " if finding.advice else "ok   "
        click.echo(f"{mark}  {finding.what}")
        for line in finding.advice.splitlines():
            click.echo(f"       {line}")
    if not good:
        sys.exit(FAILED)
    click.echo(f"{image} is fit for sandboxes")
