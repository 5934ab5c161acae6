"""Contents in containers on a real engine: before the image's entrypoint, read-only, and not to be listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node_agent.content.store import BlobStore
from node_agent.jupyter import filling, kernel_session
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.limits import DockerLimits
from tests.support.blobs import digest_of, tar_of
from tests.support.docker_host import docker_host, inside, local_engine, notebook_image, sandbox_image
from tests.support.waiting import wait_until
from tmpnb_common.keys import base_path

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FILES = {"Lesson 1.ipynb": b'{"cells": []}', "data/large.bin": b"x" * 5000, "data/a.csv": b"a\n"}
BLOB = tar_of(FILES)
DIGEST = digest_of(BLOB)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    store = BlobStore(tmp_path / "content", copy_bytes=4096, limit_bytes=1 << 24, blob_bytes=1 << 20, uses=lambda _: 0)
    store.prepare()
    with (tmp_path / "tar").open("w+b") as file:
        file.write(BLOB)
        file.seek(0)
        store.put(DIGEST, len(BLOB), file)
    return store


def test_a_home_holds_the_content_before_the_server_starts(engine: DockerEngine, blobs: BlobStore) -> None:
    with docker_host(engine, sandbox_image(), DockerLimits()) as host:
        launch = replace(host.launch(), contents=blobs.root, content=DIGEST)
        host.runtime.start(launch)
        wait_until((launch.directory / "jupyter.sock").exists, 60, "the server")
        code, listed = inside(launch.directory, 'cd "$HOME" && find . -mindepth 1 | sort && stat -c %u:%a data/a.csv')
        assert code == 0
        assert listed.split("\n")[:-1] == ["./Lesson 1.ipynb", "./data", "./data/a.csv", "./data/large.bin", "1000:644"]
        assert inside(launch.directory, 'wc -c < "$HOME/data/large.bin"') == (0, "5000\n")
        assert inside(launch.directory, 'echo mine >> "$HOME/data/a.csv"')[0] == 0
        # What all sandboxes of the node share can be read by whoever knows its name, and only that.
        assert inside(launch.directory, f"ls {blobs.root}")[0] != 0
        assert inside(launch.directory, f"echo x > {blobs.root}/{DIGEST}/home/new")[0] != 0
        assert inside(launch.directory, 'echo x >> "$HOME/data/large.bin"')[0] != 0
        [instance] = host.runtime.instances()
        assert (instance.alive, instance.content) == (True, DIGEST)


def test_a_content_that_does_not_fit_is_said_in_words(engine: DockerEngine, blobs: BlobStore) -> None:
    with docker_host(engine, sandbox_image(), DockerLimits(home_bytes=4096)) as host:
        launch = replace(host.launch(), contents=blobs.root, content=DIGEST)
        host.runtime.start(launch)
        wait_until(lambda: not host.runtime.instances()[0].alive, 60, "its end")
        assert "the content could not be copied into the home" in host.runtime.log_tail(launch.name)
        assert host.runtime.instances()[0].detail == "exit code 73"


def test_a_directory_that_the_engine_does_not_see_is_known(engine: DockerEngine, tmp_path: Path) -> None:
    with docker_host(engine, sandbox_image(), DockerLimits()) as host:
        assert host.runtime.hides(tmp_path) == ""
        assert list(tmp_path.iterdir()) == []
        assert "cannot be written" in host.runtime.hides(tmp_path / "nothing")


@pytest.mark.parametrize("launcher", [True, False])
def test_a_visitor_s_home_is_filled_after_the_claim(engine: DockerEngine, blobs: BlobStore, *, launcher: bool) -> None:
    command = JUPYTER_LAB if launcher else JUPYTER_LAB.replace("{server}", "python3 -m jupyterlab", 1)
    with docker_host(engine, notebook_image(), DockerLimits(), command) as host:
        launch = replace(host.launch(), contents=blobs.root)
        host.runtime.start(launch)
        socket, base = launch.directory / "jupyter.sock", base_path(launch.key)
        wait_until(socket.exists, 120, "the server")
        linked = ("data/large.bin",) if launcher else ()
        filling.fill(socket, base, blobs.home(DIGEST), linked, 60)
        code = "print(*(len(open(name).read()) for name in ('Lesson 1.ipynb', 'data/a.csv', 'data/large.bin')))"
        assert kernel_session.run(socket, base, code, within=120) == "13 2 5000"
