"""Browser files out of images of a real engine, from wherever their JupyterLab is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node_agent.runtimes.docker import assets as docker_assets
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import PROBE_LABEL
from tests.support.docker_host import local_engine, sandbox_image

pytestmark = pytest.mark.docker

ELSEWHERE = """
USER 0
RUN mkdir -p /opt/env/bin /opt/env/share/jupyter/lab/static /opt/env/share/jupyter/labextensions/@a/b/static \\
 && mkdir -p /usr/local/share/jupyter/labextensions/c /home/somebody/.local/bin \\
 && echo page > /opt/env/share/jupyter/lab/static/index.html \\
 && echo program > /opt/env/share/jupyter/lab/static/main.js \\
 && echo own > /opt/env/share/jupyter/labextensions/@a/b/static/1.js \\
 && echo of-all > /usr/local/share/jupyter/labextensions/c/2.js \\
 && touch /opt/env/bin/jupyter-lab && ln -s ../../../../opt/env/bin/jupyter-lab /home/somebody/.local/bin/jupyter-lab
ENV PATH=/home/somebody/.local/bin:/usr/local/bin:/usr/bin:/bin
USER 1000
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


def files(engine: DockerEngine, image: str) -> dict[str, bytes]:
    found = engine.image(image)
    assert found is not None
    return dict(docker_assets.of_image(engine, found, owner="assets-test").read())


def test_the_files_are_those_of_the_jupyterlab_that_a_command_would_find(engine: DockerEngine) -> None:
    assert files(engine, sandbox_image(ELSEWHERE)) == {
        "lab/index.html": b"page\n",
        "lab/main.js": b"program\n",
        "labextensions/@a/b/static/1.js": b"own\n",
        "labextensions/c/2.js": b"of-all\n",
    }


def test_an_image_without_jupyterlab_holds_none(engine: DockerEngine) -> None:
    assert files(engine, sandbox_image()) == {}


def test_no_container_is_left_behind(engine: DockerEngine) -> None:
    files(engine, sandbox_image(ELSEWHERE))
    assert engine.containers([f"{PROBE_LABEL}=assets-test"]) == []


def test_another_image_has_another_id(engine: DockerEngine) -> None:
    plain, other = engine.image(sandbox_image()), engine.image(sandbox_image(ELSEWHERE))
    assert plain is not None
    assert other is not None
    ids = {docker_assets.of_image(engine, found, owner="assets-test").id for found in (plain, other)}
    assert len(ids) == 2
