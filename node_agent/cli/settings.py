"""`tmpnb-agent config`: the node's settings, before it is started with them."""

from __future__ import annotations

import click

from node_agent.errors import EngineError
from node_agent.parts import make_runtime
from node_agent.proxy import host
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.settings import table as node_settings
from node_agent.settings.table import NodeSettings


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@click.option("--engine", is_flag=True, help="Ask the engine too, and look for the images on it.")
def check(*, engine: bool) -> None:
    """Say everything that is wrong with the settings. Exit code 2 if anything is."""
    settings = node_settings.from_environment()
    if engine:
        host.make_run_dir(settings)
        make_runtime(settings, node_settings.environment()).check()
        missing = missing_images(settings)
        if missing:
            raise EngineError(
                f"there is no image {' and no image '.join(missing)} on this host; build or pull it first"
            )
    click.echo("the settings are sound")


def missing_images(settings: NodeSettings) -> list[str]:
    """The pools' images that are not on this host's engine."""
    if settings.runtime != "docker":
        return []
    engine = DockerEngine(settings.engine)
    try:
        return [image for image in dict.fromkeys(pool.image for pool in settings.pools) if engine.image(image) is None]
    finally:
        engine.close()


@config.command()
def show() -> None:
    """List every setting with its value, its default and what it is for."""
    environment = node_settings.environment()
    for row in node_settings.TABLE:
        value = f"={'(set)' if row.secret else environment[row.variable]}" if environment.get(row.variable) else ""
        unit = f" ({row.unit})" if row.unit else ""
        click.echo(f"{row.variable}{value}{unit}, default {row.shown_default}\n    {row.reason}")
