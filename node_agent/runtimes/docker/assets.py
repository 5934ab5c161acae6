"""An image's browser files, read out of a container that is created and never started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from node_agent.assets import browser_files
from node_agent.assets.browser_files import BrowserFiles, File
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import PROBE_LABEL

COMMAND = "jupyter-lab"
"""Its place says which of an image's Pythons JupyterLab is installed in."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of an image that sets none: the engine's own."""

LINKS = 5


def of_image(engine: DockerEngine, found: Mapping[str, Any], *, owner: str) -> BrowserFiles:
    """`found` is what the engine knows of the image."""
    content = str(found["Id"]).removeprefix("sha256:")
    return BrowserFiles(content[: browser_files.ID_LENGTH], lambda: _read(engine, found, owner))


def _read(engine: DockerEngine, found: Mapping[str, Any], owner: str) -> Iterator[File]:
    body = {"Image": found["Id"], "Entrypoint": ["none"], "Cmd": [], "Labels": {PROBE_LABEL: owner}}
    container = engine.create(body).id
    try:
        prefix = _prefix(engine, container, found["Config"])
        for place in browser_files.places(prefix) if prefix else ():
            with engine.archive(container, place.path) as stream:
                if stream is not None:
                    yield from browser_files.of_archive(place.part, stream)
    finally:
        engine.remove(container)


def _prefix(engine: DockerEngine, container: str, config: Mapping[str, Any]) -> str | None:
    """Where the JupyterLab is installed that a sandbox's command would find."""
    environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or [])
    for directory in environment.get("PATH", PATH).split(":"):
        place = PurePosixPath(directory, COMMAND)
        for _ in range(LINKS):
            target = engine.link_target(container, str(place))
            if target is None:
                break
            if not target:
                return str(place.parent.parent)
            # The engine resolves no links for us: a command in ~/.local/bin may lead into an environment elsewhere.
            place = place.parent / target
    return None
