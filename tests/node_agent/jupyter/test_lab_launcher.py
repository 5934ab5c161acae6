"""The cheap launcher: a real server started by it does all that one started by `jupyter lab` does, and imports less."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import websocket

from node_agent.jupyter import lab_launcher
from tests.support.kernels import Kernel
from tests.support.waiting import wait_until

pytestmark = pytest.mark.live

LAUNCHER = (sys.executable, "-P", "-m", "node_agent.jupyter.lab_launcher")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server that the launcher started."""
    home = tmp_path_factory.mktemp("home")
    port = free_port()
    base_url = f"http://127.0.0.1:{port}/user/somebody/"
    options = [
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/user/somebody/",
        f"--ServerApp.root_dir={home}",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "SHELL": "/bin/bash"}
    with (
        (home / "output").open("wb") as output,
        subprocess.Popen([*LAUNCHER, *options], env=environment, cwd=home, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{base_url}api"), 60, "the server")
            assert process.poll() is None, (home / "output").read_text()
            yield base_url
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("page", ["lab", "tree", "lab/tree/output", "edit/output", "consoles/new", "files/output"])
def test_every_page_that_visitors_land_on_is_served(server: str, page: str) -> None:
    assert requests.get(server + page, timeout=20).status_code == 200


def test_a_kernel_computes(server: str) -> None:
    with Kernel(server) as kernel:
        assert kernel.run("6*7") == "42"


def test_kernels_still_have_what_the_server_goes_without(server: str) -> None:
    names = ", ".join(lab_launcher.FORMAT_CHECKERS)
    with Kernel(server) as kernel:
        assert kernel.run(f"import {names}, httpx; print('all there')") == "all there"


def test_terminals_and_kernels_keep_the_search_path_for_programs(server: str) -> None:
    with Kernel(server) as kernel:
        assert kernel.run("import os; print(os.environ['PATH'])").endswith(os.environ["PATH"])


def test_a_terminal_runs_commands(server: str) -> None:
    name = requests.post(f"{server}api/terminals", timeout=20).json()["name"]
    terminal = websocket.create_connection(f"ws{server.removeprefix('http')}terminals/websocket/{name}", timeout=20)
    try:
        terminal.send(json.dumps(["stdin", "echo $((6*7))\r"]))
        seen = ""
        while "42" not in seen:
            kind, *texts = json.loads(terminal.recv())
            seen += texts[0] if kind == "stdout" else ""
    finally:
        terminal.close()


def test_a_notebook_can_be_saved_and_is_checked(server: str) -> None:
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    saved = requests.put(f"{server}api/contents/Mine.ipynb", json={"type": "notebook", "content": notebook}, timeout=20)
    assert saved.status_code == 201
    unsound = {**notebook, "cells": [{"cell_type": "raw", "id": "a", "metadata": {}, "source": "", "odd": 1}]}
    answer = requests.put(f"{server}api/contents/Odd.ipynb", json={"type": "notebook", "content": unsound}, timeout=20)
    assert answer.json()["message"].startswith("Notebook validation failed")


def test_the_extension_manager_lists_and_does_not_install(server: str) -> None:
    page = requests.get(f"{server}lab", timeout=20).text
    assert '"can_install": false' in page


def test_language_server_queries_get_an_answer(server: str) -> None:
    assert requests.get(f"{server}lsp/status", timeout=20).json()["sessions"] == {}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=True)


def imported_by(module: str) -> set[str]:
    """What is imported once `python -m module --version` has run."""
    code = f"""
import runpy, sys
sys.argv[1:] = ["--version"]
try:
    runpy.run_module({module!r}, run_name="__main__")
except SystemExit:
    print(*sys.modules)
"""
    return set(run(sys.executable, "-P", "-c", code).stdout.splitlines()[-1].split())


def test_what_costs_much_is_not_imported_and_would_be_without_the_launcher() -> None:
    costly = {"lark", "arrow", "rfc3986_validator", "httpx"}
    assert costly <= imported_by("jupyterlab")
    assert not costly & imported_by("node_agent.jupyter.lab_launcher")


def test_what_was_left_out_can_be_imported_later() -> None:
    code = f"""
import importlib, sys
from node_agent.jupyter import lab_launcher
try:
    lab_launcher.main(["--version"])
except SystemExit:
    pass
for name in {lab_launcher.FORMAT_CHECKERS!r}:
    importlib.import_module(name)
from jupyterlab.extensions import get_pypi_manager
print(type(get_pypi_manager()).__name__)
"""
    assert run(sys.executable, "-P", "-c", code).stdout.splitlines()[-1] == "PyPIExtensionManager"


def test_a_module_is_missing_only_while_it_is_substituted() -> None:
    with lab_launcher._substituted({"lonely_module": None}), pytest.raises(ModuleNotFoundError, match="halted"):
        importlib.import_module("lonely_module")
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("lonely_module")


def test_a_module_that_is_imported_already_stays() -> None:
    with lab_launcher._substituted({"json": None}):
        assert importlib.import_module("json") is json


def test_programs_are_hidden_only_for_a_while() -> None:
    before = os.environ["PATH"]
    with lab_launcher._without_node():
        assert shutil.which("node") is None
        assert shutil.which("sh") is None
    assert os.environ["PATH"] == before


def test_a_subcommand_stays_one() -> None:
    assert lab_launcher.arguments(["path", "--debug"]) == ["path", "--debug"]
    assert "Application directory:" in run(*LAUNCHER, "path").stdout


def test_what_the_launcher_chose_comes_before_the_arguments() -> None:
    assert lab_launcher.arguments(["--no-browser"]) == [*lab_launcher.CHEAP, "--no-browser"]


@pytest.mark.parametrize(
    "given",
    [
        "--LabApp.extension_manager=pypi",
        "--LanguageServerManager.autodetect=True",
        "--ServerApp.jpserver_extensions=notebook_shim=True",
    ],
)
def test_arguments_overrule_what_the_launcher_chose(given: str) -> None:
    """JupyterLab takes each of these once, and fails with two."""
    name = given.rpartition("=")[0]
    assert [word for word in lab_launcher.arguments([given]) if word.startswith(name)] == [given]


def test_other_server_extensions_can_still_be_switched() -> None:
    given = "--ServerApp.jpserver_extensions=jupyter_lsp=False"
    assert len(lab_launcher.arguments([given])) == len(lab_launcher.CHEAP) + 1


def test_the_launcher_stands_alone(tmp_path: Path) -> None:
    alone = tmp_path / "jupyter-lab"
    assert lab_launcher.__file__ is not None
    alone.write_text(Path(lab_launcher.__file__).read_text())
    assert run(sys.executable, "-P", str(alone), "--version").stdout[0].isdigit()
    assert "node_agent" not in alone.read_text()
