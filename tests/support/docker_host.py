"""A real Docker Engine for tests: images built once per content, and a runtime whose containers are gone afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import docker
import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker import home as docker_home
from node_agent.runtimes.docker.engine import SOCKET, DockerEngine
from node_agent.runtimes.docker.labels import NODE_LABEL
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.runtime import DockerRuntime
from node_agent.unix_http import listens
from tests.support.waiting import wait_until
from tmpnb_common.keys import name_of, new_key

ROOT = Path(__file__).parents[2]
BASE_IMAGE = os.environ.get("BASE_IMAGE", "python:3.11-slim")
PROGRAM = Path(__file__).with_name("docker_sandbox.py")
TEMPLATE = "python3 /docker_sandbox.py {socket} {base_path}"
START_SECONDS = 30.0


@contextmanager
def local_engine() -> Iterator[DockerEngine]:
    """The engine of this machine; without one the test is skipped, or fails where nothing may be skipped."""
    engine = DockerEngine()
    try:
        engine.ping()
    except EngineError as error:
        reason = f"there is no Docker Engine: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield engine
    finally:
        engine.close()


def build(name: str, dockerfile: str, sources: list[Path], context: Path) -> str:
    """An image built from `context`; its tag says what it was made of, so that it is built once."""
    digest = hashlib.sha256(dockerfile.encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    image = f"{name}:{digest.hexdigest()[:16]}"
    client = docker.APIClient(f"unix://{SOCKET}", version="auto", timeout=900)
    try:
        if client.images(image):
            return image
        with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as recipe:
            recipe.write(dockerfile)
            recipe.flush()
            arguments = {"BASE_IMAGE": BASE_IMAGE}
            events = client.build(
                path=str(context),
                dockerfile=recipe.name,
                tag=image,
                buildargs=arguments,
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            said = [event.get("stream") or event.get("error") or "" for event in events]
        assert client.images(image), "".join(said)[-3000:]
        return image
    finally:
        client.close()


def sandbox_image(extra: str = "") -> str:
    """The base image with the tests' program; `extra` are more lines for its Dockerfile."""
    recipe = f"ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY {PROGRAM.name} /\nUSER 1000\nENV HOME=/home/somebody\n{extra}\n"
    with tempfile.TemporaryDirectory() as context:
        copy = Path(context) / PROGRAM.name
        copy.write_bytes(PROGRAM.read_bytes())
        return build("tmpnb-test", recipe, [copy], Path(context))


def notebook_image() -> str:
    """The image that is shipped, built from this tree."""
    here = ROOT / "deploy" / "notebook"
    sources = [path for path in here.rglob("*") if path.is_file()] + [
        ROOT / "node_agent" / "jupyter" / "lab_launcher.py"
    ]
    return build("tmpnb-notebook-test", (here / "Dockerfile").read_text(), sources, ROOT)


def notebook_image_with(lines: str) -> str:
    """The same with more lines in its Dockerfile: another image."""
    with tempfile.TemporaryDirectory() as nothing:
        return build("tmpnb-notebook-test", f"FROM {notebook_image()}\n{lines}\n", [], Path(nothing))


@dataclass(frozen=True)
class DockerHost:
    """One node on the engine."""

    engine: DockerEngine
    run_dir: Path
    node: str
    image: str
    template: str
    limits: DockerLimits

    @cached_property
    def runtime(self) -> DockerRuntime:
        return self.restarted()

    def restarted(self) -> DockerRuntime:
        """What a new agent on the same host would use."""
        return DockerRuntime(
            self.engine,
            node=self.node,
            run_dir=self.run_dir,
            image=self.image,
            clock=time.time,
            limits={"default": self.limits},
        )

    def launch(self, image: str = "") -> Launch:
        key = new_key(secrets.choice)
        directory = self.run_dir / "ready" / key
        directory.mkdir(parents=True)
        directory.chmod(0o777)
        return Launch(name_of(key), key, "default", image or self.image, directory, self.template, "/lab")

    def start(self, image: str = "") -> Launch:
        launch = self.launch(image)
        self.runtime.start(launch)
        wait_until(lambda: listens(launch.directory / "jupyter.sock"), START_SECONDS, "the sandbox's socket")
        return launch

    def container(self, launch: Launch) -> str:
        """The engine's id of a sandbox's container."""
        [found] = self.engine.containers([f"{NODE_LABEL}={self.node}", f"tmpnb.sandbox={launch.name}"])
        return str(found["Id"])


@contextmanager
def docker_host(
    engine: DockerEngine,
    image: str,
    limits: DockerLimits | None = None,
    template: str = TEMPLATE,
    run_dir: Path | None = None,
) -> Iterator[DockerHost]:
    """A node whose sandboxes run `image`; all of its containers are removed at the end."""
    node = f"test-{secrets.token_hex(4)}"
    # Short: socket paths end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as fresh:
        host = DockerHost(engine, run_dir or Path(fresh), node, image, template, limits or DockerLimits())
        try:
            yield host
        finally:
            for found in engine.containers([f"{NODE_LABEL}={node}"]):
                engine.remove(found["Id"])
            docker_home.sweep(engine, owner=str(host.run_dir))


def inside(directory: Path, command: str) -> tuple[int, str]:
    """Run a line of shell in the sandbox of this directory, as its user; the exit code and what it printed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(str(directory / "jupyter.sock"))
        connection.sendall(command.encode() + b"\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    code, printed = json.loads(answer)
    return int(code), str(printed)
