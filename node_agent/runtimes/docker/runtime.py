"""Sandboxes as containers of a Docker Engine on this very host.

Only what bears this node's label is ever listed or touched.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from node_agent.assets.browser_files import BrowserFiles
from node_agent.directories import SOCKET_NAME
from node_agent.errors import EngineError
from node_agent.jupyter import command
from node_agent.runtimes.contract import ImageState, Instance, Launch, Usage
from node_agent.runtimes.docker import assets as docker_assets
from node_agent.runtimes.docker import home as docker_home
from node_agent.runtimes.docker import images as docker_images
from node_agent.runtimes.docker import preflight
from node_agent.runtimes.docker.container import Account, Prepared, creation
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.home import HomeContents
from node_agent.runtimes.docker.images import ImagePulls
from node_agent.runtimes.docker.labels import (
    CONTENT_LABEL,
    IMAGE_LABEL,
    POOL_LABEL,
    PROBE_LABEL,
    RUN_LABEL,
    SANDBOX_LABEL,
)
from node_agent.runtimes.docker.limits import DockerLimits
from tmpnb_common.keys import base_path, redact
from tmpnb_common.processes import runs_program

log = logging.getLogger("runtimes")

SERVER = ("jupyter-lab",)
"""What `{server}` in a command template stands for."""

ALIVE = frozenset({"created", "running", "paused", "restarting"})
KILLED = 137
LAST_LINES = 20
LAST_WORDS_BYTES = 4096


class DockerRuntime:
    """Implements `runtime.Runtime`."""

    def __init__(
        self,
        engine: DockerEngine,
        *,
        node: str,
        run_dir: Path,
        image: str,
        clock: Callable[[], float],
        limits: Mapping[str, DockerLimits],
        pull: bool = True,
        unkept: bool = False,
    ) -> None:
        """A runtime on this engine.

        `image` is the one that `check` tries the engine with; `limits` are those of each pool; with `unkept`
        sandboxes start also where the engine says that it does not keep their limits.
        """
        self._engine = engine
        self._node = node
        self._run_dir = run_dir
        self._image = image
        self._clock = clock
        self._limits = limits
        self._images: dict[tuple[str, DockerLimits], Prepared] = {}
        self._preparing = threading.Lock()
        self._pulls = ImagePulls(engine.pull, clock, allowed=pull)
        self._unkept = unkept
        self._hidden: dict[Path, str] = {}
        """Of directories that were tried: why containers do not see them."""
        self._warned: set[str] = set()
        self._proven = False

    def image_state(self, image: str) -> ImageState:
        return ImageState(there=True) if self._engine.image(image) is not None else self._pulls.state(image)

    def start(self, launch: Launch) -> None:
        limits = self._limits[launch.pool]
        prepared = self.prepared(launch)
        argv = self._argv(launch, prepared.account)
        body = creation(launch, limits, node=self._node, run_dir=self._run_dir, prepared=prepared, argv=argv)
        try:
            created = self._engine.create(body, f"tmpnb-{launch.name}")
            self._heed(created.warnings)
            self._engine.start(created.id)
        except EngineError:
            # It may exist all the same, as after a timeout. What cannot be removed now, the next beat finds.
            with contextlib.suppress(EngineError):
                self.end(launch.name)
            raise

    def instances(self) -> list[Instance]:
        return [self._instance(found) for found in self._engine.containers([self._mine, SANDBOX_LABEL])]

    def end(self, name: str) -> None:
        for container in self._named(name):
            self._engine.remove(container)

    def log_tail(self, name: str) -> str:
        words = b"".join(self._engine.log_tail(container, LAST_LINES) for container in self._named(name))
        return redact(words[-LAST_WORDS_BYTES:].decode(errors="replace"))

    def usage(self, name: str) -> Usage:
        return next((self._engine.usage(container) for container in self._named(name)), Usage())

    def runs_program(self, name: str) -> bool:
        return any(runs_program(self._engine.processes(container)) for container in self._named(name))

    def browser_files(self, image: str) -> BrowserFiles | None:
        found = self._engine.image(image)
        return None if found is None else docker_assets.of_image(self._engine, found, owner=self._owner)

    def hides(self, directory: Path) -> str:
        with self._preparing:
            if directory not in self._hidden:
                self._hidden[directory] = preflight.hidden(
                    self._engine, directory, image=self._image, owner=self._owner
                )
            return self._hidden[directory]

    def check(self) -> None:
        """Prove that the engine answers; once also, as soon as the image is there, that sandboxes can work with it."""
        self._engine.ping()
        if self._proven:
            return
        every_pool = tuple(self._limits.values())
        if not self._unkept:
            preflight.check_capabilities(self._engine.info(), every_pool)
        preflight.sweep(self._engine, owner=self._owner, now=self._clock())
        for limits in every_pool:
            preflight.check_network(self._engine, limits.network)
        if self._engine.image(self._image) is not None:
            preflight.check_directory(self._engine, self._run_dir, image=self._image, owner=self._owner)
            self._proven = True

    def _heed(self, warnings: Sequence[str]) -> None:
        """Log each warning of the engine once, and start nothing whose limits it does not keep."""
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                log.warning("the engine warns: %s", redact(warning))
        if not self._unkept:
            preflight.check_warnings(warnings)

    def _argv(self, launch: Launch, account: Account) -> list[str]:
        return command.expand(
            launch.command,
            server=SERVER,
            base_path=base_path(launch.key),
            socket=str(launch.directory / SOCKET_NAME),
            home=account.home,
            landing=launch.landing,
            static=launch.static,
        )

    def prepared(self, launch: Launch) -> Prepared:
        """A sandbox's image, made ready: whom it runs as, and what its home starts with.

        Raises:
            EngineError: its image is missing, or not fit for sandboxes.
        """
        image, limits = launch.image, self._limits[launch.pool]
        found = self._engine.image(image)
        if found is None:
            raise EngineError(self._pulls.reason(image))
        known = (found["Id"], limits)
        # One at a time: several would fill one volume together.
        with self._preparing:
            volume = self._images[known].home_volume if known in self._images else ""
            if known not in self._images or (volume and not self._has_volume(volume)):
                self._images[known] = self._prepare(image, found, limits)
            return self._images[known]

    def _prepare(self, image: str, found: Mapping[str, Any], limits: DockerLimits) -> Prepared:
        config = found["Config"]
        account = docker_images.account(config, limits, lambda: self._passwd(found["Id"]))
        docker_images.refuse_volumes(image, config, limits, account.home)
        filled = docker_home.volume(self._engine, found, account.home, limits, owner=self._owner)
        return Prepared(account, tuple(config.get("Entrypoint") or ()), filled)

    def _has_volume(self, name: str) -> bool:
        return docker_home.is_there(self._engine, name, owner=self._owner)

    def tidy(self) -> None:
        docker_home.sweep(self._engine, owner=self._owner)

    def home_contents(self, launch: Launch) -> HomeContents:
        """What a sandbox's image holds in the home of its user."""
        found = self._engine.image(launch.image)
        if found is None:
            raise EngineError(self._pulls.reason(launch.image))
        account = docker_images.account(found["Config"], self._limits[launch.pool], lambda: self._passwd(found["Id"]))
        return docker_home.contents(self._engine, found, account.home, owner=self._owner)

    def _passwd(self, image: str) -> str:
        """The image's users, read from a container that never runs."""
        container = self._engine.create({"Image": image, "Cmd": ["none"], "Labels": {PROBE_LABEL: self._owner}}).id
        try:
            return (self._engine.file(container, "/etc/passwd") or b"").decode(errors="replace")
        finally:
            self._engine.remove(container)

    @property
    def _owner(self) -> str:
        """What tells this node's containers from another's. Not the node's name: operators may change that."""
        return str(self._run_dir)

    @property
    def _mine(self) -> str:
        return f"{RUN_LABEL}={self._owner}"

    def _named(self, name: str) -> list[str]:
        return [found["Id"] for found in self._engine.containers([self._mine, f"{SANDBOX_LABEL}={name}"])]

    def _instance(self, found: Mapping[str, Any]) -> Instance:
        labels = found["Labels"]
        alive = found["State"] in ALIVE
        return Instance(
            name=labels[SANDBOX_LABEL],
            pool=labels.get(POOL_LABEL, ""),
            image=labels.get(IMAGE_LABEL, ""),
            created_at=float(found["Created"]),
            alive=alive,
            detail="" if alive else exit_reason(self._engine.state(found["Id"])),
            content=labels.get(CONTENT_LABEL, ""),
        )


def exit_reason(state: Mapping[str, Any] | None) -> str:
    if state is None:
        return "removed"
    short, code = bool(state.get("OOMKilled")), state.get("ExitCode")
    if code == KILLED:
        # Not every kernel tells the engine.
        return "out of memory" if short else "killed by hand or out of memory"
    said = redact(str(state.get("Error") or "")) or f"exit code {code}"
    # The engine also notes it of a kernel that was killed for it, which the server outlives.
    return f"{said}, after memory had run out" if short else said
