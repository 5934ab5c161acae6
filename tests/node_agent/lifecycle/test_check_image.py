"""An image is tried as the agent would use it, and its author is told what is wrong."""

from __future__ import annotations

import json
import shlex
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.errors import EngineError
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.lifecycle.check_image import ImageTrial, check
from node_agent.lifecycle.check_server import Finding
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.labels import NODE_LABEL
from node_agent.runtimes.docker.limits import MIB, DockerLimits
from tests.support.docker_host import local_engine, notebook_image, notebook_image_with, sandbox_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def notebook(engine: DockerEngine) -> str:
    engine.ping()
    return notebook_image()


def findings(
    engine: DockerEngine,
    image: str,
    *,
    template: str = JUPYTER_LAB,
    landing: str = "/lab",
    limits: DockerLimits | None = None,
    start_seconds: float = 30.0,
) -> list[Finding]:
    trial = ImageTrial(image, template, landing, limits or DockerLimits(), start_seconds)
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as run_dir:
        Path(run_dir).chmod(0o755)
        found = list(check(engine, trial, Path(run_dir), pause=threading.Event().wait, say=lambda _: None))
        assert list(Path(run_dir).iterdir()) == []
        # Other nodes on this engine are none of ours.
        left = [found["Mounts"] for found in engine.containers([NODE_LABEL]) if run_dir in str(found["Mounts"])]
        assert left == []
    return found


def last(found: list[Finding]) -> Finding:
    """The one that is not good, after others that are."""
    assert [finding.good for finding in found] == [True] * (len(found) - 1) + [False], found
    return found[-1]


def test_the_notebook_image_that_is_shipped_is_fine(engine: DockerEngine, notebook: str) -> None:
    found = findings(engine, notebook)
    assert all(finding.good for finding in found), found
    words = " ".join(finding.what for finding in found)
    for part in ("user 1000", "socket appeared", "below its base URL", "landing page /lab came", "computed 6*7"):
        assert part in words


def test_notebook_7_is_fine_as_a_landing_page(engine: DockerEngine, notebook: str) -> None:
    assert all(finding.good for finding in findings(engine, notebook, landing="/tree"))


def test_an_image_that_nobody_has_is_told(engine: DockerEngine) -> None:
    finding = last(findings(engine, "127.0.0.1:1/no/such:image"))
    assert finding.what.startswith("the image is not there: ")
    assert "connection refused" in finding.what


def test_an_image_without_jupyterlab_is_told_to_install_it(engine: DockerEngine) -> None:
    finding = last(findings(engine, sandbox_image()))
    assert finding.what == "it ended before it listened (exit code 127)"
    assert finding.advice.startswith(
        "There is no jupyter-lab in the image: install jupyterlab, or set another command."
    )


def test_a_program_that_writes_where_it_may_not_is_told_where_it_may(engine: DockerEngine) -> None:
    finding = last(findings(engine, sandbox_image(), template="touch /etc/x {socket} {base_path}"))
    assert finding.advice.startswith("It writes outside of its home and /tmp")


def test_a_program_that_runs_and_does_not_listen_is_told_about_the_socket(engine: DockerEngine) -> None:
    finding = last(findings(engine, sandbox_image(), template="sleep 60 {socket} {base_path}", start_seconds=1.0))
    assert finding.what == "it ended before it listened (exit code 1)"
    idle = "python3 -c 'import time; time.sleep(99)' {socket} {base_path}"
    finding = last(findings(engine, sandbox_image(), template=idle, start_seconds=1.0))
    assert finding.what == "no socket after 1 s, though it runs"
    assert "--ServerApp.sock={socket}" in finding.advice
    assert finding.advice.endswith("It said nothing.")


def test_what_listens_and_is_no_jupyter_is_told(engine: DockerEngine) -> None:
    other = "python3 /docker_sandbox.py {socket} {base_path}"
    finding = last(findings(engine, sandbox_image(), template=other))
    assert finding.what == "its API answered 200, not with a version as Jupyter's does"


LAB = "jupyter-lab --no-browser --ServerApp.sock={socket} --ServerApp.sock_mode=0666 "


def test_a_server_that_ignores_its_base_url_is_told(engine: DockerEngine, notebook: str) -> None:
    template = f"sh -c '{LAB.replace('{socket}', '$0')}' {{socket}} {{base_path}}"
    assert "base URL" in last(findings(engine, notebook, template=template)).what


def test_a_server_that_asks_for_a_token_is_told(engine: DockerEngine, notebook: str) -> None:
    finding = last(findings(engine, notebook, template=LAB + "--ServerApp.base_url={base_path}"))
    assert finding.what == "the landing page /lab answered 302"
    assert "--IdentityProvider.token=" in finding.advice


def test_a_landing_page_that_the_image_does_not_have_is_told(engine: DockerEngine, notebook: str) -> None:
    finding = last(findings(engine, notebook, landing="/nbclassic"))
    assert finding.what == "the landing page /nbclassic answered 404"
    assert "set another landing path" in finding.advice


def test_a_server_that_wants_a_cookie_of_whoever_starts_a_kernel_is_told(engine: DockerEngine, notebook: str) -> None:
    template = LAB + "--ServerApp.base_url={base_path} --IdentityProvider.token="
    finding = last(findings(engine, notebook, template=template))
    assert finding.what == "no kernel computes: asking for a kernel was answered with status 403, not with a kernel"
    assert "--ServerApp.disable_check_xsrf=True" in finding.advice


def test_limits_too_narrow_for_a_kernel_are_told(engine: DockerEngine, notebook: str) -> None:
    narrow = DockerLimits(memory_bytes=60 * MIB, home_bytes=8 * MIB, tmp_bytes=4 * MIB, shm_bytes=4 * MIB)
    finding = last(findings(engine, notebook, limits=narrow))
    assert "no kernel computes" in finding.what or "it ended before it listened" in finding.what


def test_without_an_engine_there_is_nothing_to_find(tmp_path: Path) -> None:
    trial = ImageTrial("i", JUPYTER_LAB, "/lab", DockerLimits(), 1.0)
    engine = DockerEngine(tmp_path / "docker.sock")
    with pytest.raises(EngineError, match="nobody listens at"):
        next(check(engine, trial, tmp_path, pause=threading.Event().wait, say=lambda _: None))


IN_THE_HOME = """
USER 0
RUN rm -rf /home/visitor/* && echo '{{}}' > /home/visitor/index.ipynb && echo a,b > /home/visitor/data.csv \\
 && head -c {size} /dev/zero > /home/visitor/large.bin && chown -R 1000:1000 /home/visitor
ENTRYPOINT []
USER 1000:1000
"""


def test_files_in_the_home_are_told_with_the_setting_that_shows_them(engine: DockerEngine, notebook: str) -> None:
    assert notebook
    image = notebook_image_with(IN_THE_HOME.format(size=1000))
    files = "what the image holds in /home/visitor: large.bin, data.csv, index.ipynb"
    found = findings(engine, image)
    assert all(finding.good and not finding.advice for finding in found)
    assert f"each home starts with {files}" in [finding.what for finding in found]
    [note] = [finding for finding in findings(engine, image, limits=DockerLimits(fill_home="never")) if finding.advice]
    assert (note.good, note.what) == (True, f"visitors do not see {files}")
    assert "TMPNB_NODE_FILL_HOME=auto" in note.advice


def test_a_home_that_is_too_large_is_told_with_what_is_large_and_where_it_belongs(
    engine: DockerEngine, notebook: str
) -> None:
    assert notebook
    image = notebook_image_with(IN_THE_HOME.format(size=200 * MIB))
    [note] = [finding for finding in findings(engine, image) if finding.advice]
    assert "large.bin (200 MiB)" in note.advice
    assert "/opt/data" in note.advice
    refused = last(findings(engine, image, limits=DockerLimits(fill_home="always")))
    assert "holds 200 MiB, and a sandbox's home 128 MiB" in refused.what


@pytest.mark.parametrize(("landing", "instead"), [("/lab/tree/Nope.ipynb", "/lab"), ("/notebooks/Nope.ipynb", "/tree")])
def test_a_landing_page_that_opens_what_is_not_there_is_told_with_where_visitors_land(
    engine: DockerEngine, notebook: str, landing: str, instead: str
) -> None:
    [note] = [finding for finding in findings(engine, notebook, landing=landing) if finding.advice]
    assert note.good
    assert note.what == f"the home holds no Nope.ipynb, so visitors land on {instead} instead of {landing}"
    assert not any(finding.advice for finding in findings(engine, notebook, landing="/lab/tree/Welcome.ipynb"))


@pytest.mark.parametrize("entrypoint", ['["sleep", "60"]', '["sh", "-c", "echo a server of its own"]'])
def test_an_entrypoint_that_swallows_the_command_is_named_with_the_setting_that_sets_it_aside(
    engine: DockerEngine, notebook: str, entrypoint: str
) -> None:
    assert notebook
    image = notebook_image_with(f"ENTRYPOINT {entrypoint}")
    finding = last(findings(engine, image, start_seconds=8))
    assert f"swallows the command: {shlex.join(json.loads(entrypoint))}\n" in finding.advice
    assert "TMPNB_NODE_ENTRYPOINT=none" in finding.advice
    aside = findings(engine, image, limits=DockerLimits(entrypoint=False))
    assert all(each.good for each in aside), aside


def test_whoever_waits_is_told_for_what(engine: DockerEngine) -> None:
    said: list[str] = []
    trial = ImageTrial("127.0.0.1:1/no/such:image", JUPYTER_LAB, "/lab", DockerLimits(), 1.0)
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as run_dir:
        list(check(engine, trial, Path(run_dir), pause=threading.Event().wait, say=said.append))
    assert said == ["127.0.0.1:1/no/such:image is not on this host; asking its registry"]
