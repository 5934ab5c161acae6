"""The notebook image that is shipped, in a sandbox as the agent starts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from node_agent.jupyter import kernel_session
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.runtimes.contract import Launch
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.unix_http import request
from tests.support.docker_host import ROOT, docker_host, local_engine, notebook_image
from tmpnb_common.keys import base_path

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

LIMITS = 'after 1 "hour" & 1 |day\\'


@dataclass(frozen=True)
class Visitor:
    """One who has a sandbox of the image."""

    launch: Launch

    def get(self, path: str) -> tuple[int, bytes]:
        socket = self.launch.directory / "jupyter.sock"
        answer = request(socket, "GET", f"{base_path(self.launch.key)}{path}", within=30)
        return answer.status, answer.body

    def run(self, code: str) -> str:
        socket = self.launch.directory / "jupyter.sock"
        return kernel_session.run(socket, base_path(self.launch.key), code, within=120)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def visitor(engine: DockerEngine) -> Iterator[Visitor]:
    limits = DockerLimits(environment=(("TMPNB_LIMITS", LIMITS),))
    with docker_host(engine, notebook_image(), limits, JUPYTER_LAB) as host:
        yield Visitor(host.start())


def test_the_welcome_notebook_is_there_and_tells_the_limits(visitor: Visitor) -> None:
    status, body = visitor.get("api/contents/Welcome.ipynb")
    assert status == 200
    text = json.dumps(json.loads(body)["content"])
    assert "It will vanish, with everything in it:** after 1 hour  1 day." in text
    assert "@LIMITS@" not in text


def test_the_welcome_notebook_runs_from_top_to_bottom_with_a_plot_and_a_widget(visitor: Visitor) -> None:
    done = visitor.run(
        "import subprocess\n"
        "run = 'jupyter nbconvert --to notebook --execute Welcome.ipynb --output done --log-level ERROR'.split()\n"
        "print(subprocess.run(run, stderr=subprocess.DEVNULL).returncode)"
    )
    assert done == "0"
    _, body = visitor.get("api/contents/done.ipynb")
    kinds = {
        kind
        for cell in json.loads(body)["content"]["cells"]
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    }
    assert {"image/png", "application/vnd.jupyter.widget-view+json", "text/html"} <= kinds


def test_no_output_of_the_welcome_notebook_is_a_complaint(visitor: Visitor) -> None:
    assert visitor.run("import matplotlib.pyplot, pandas, numpy.testing, ipywidgets") == ""


@pytest.mark.parametrize("page", ["lab", "tree", "lab/tree/Welcome.ipynb", "notebooks/Welcome.ipynb"])
def test_pages_are_served(visitor: Visitor, page: str) -> None:
    assert visitor.get(page)[0] == 200


def test_the_extension_for_widgets_is_served(visitor: Visitor) -> None:
    status, body = visitor.get("lab/api/extensions")
    assert status == 200
    assert b"@jupyter-widgets/jupyterlab-manager" in body


def test_the_visitor_has_a_name_and_a_home_of_their_own(visitor: Visitor) -> None:
    assert visitor.run("import getpass, os; print(getpass.getuser(), os.getcwd())") == "visitor /home/visitor"


LIST_COMPILED = """
import sys, jupyterlab.labapp, ipykernel.kernelapp, numpy, pandas, matplotlib.pyplot, ipywidgets
print(*[module.__cached__ for module in sys.modules.values() if getattr(module, "__cached__", None)])
"""


def test_everything_that_a_start_imports_was_compiled_beforehand(visitor: Visitor) -> None:
    """The root cannot be written, so what was not would be compiled at every start."""
    missing = visitor.run(
        "import os, subprocess, sys\n"
        f"paths = subprocess.check_output([sys.executable, '-c', {LIST_COMPILED!r}], text=True).split()\n"
        "print(len(paths) > 500, [path for path in paths if not os.path.exists(path)])"
    )
    assert missing == "True []"


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "deploy" / "notebook" / "requirements.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert len(packages) > 50
    assert all("==" in line for line in packages)


def test_the_launcher_in_the_image_is_the_one_of_this_tree(visitor: Visitor) -> None:
    installed = visitor.run("import shutil; print(open(shutil.which('jupyter-lab')).read().partition('\\n')[2])")
    assert installed == (ROOT / "node_agent" / "jupyter" / "lab_launcher.py").read_text().strip()


def test_what_browsers_load_can_be_read_out_of_the_image(engine: DockerEngine) -> None:
    with docker_host(engine, notebook_image(), template=JUPYTER_LAB) as host:
        files = host.runtime.browser_files(host.image)
        assert files is not None
        names = {name for name, _ in files.read()}
        assert "lab/index.html" in names
        assert any(name.startswith("labextensions/@jupyter-widgets/jupyterlab-manager/") for name in names)
        assert host.engine.containers([f"tmpnb.probe={host.run_dir}"]) == []
        assert host.runtime.browser_files("no/such:image") is None
