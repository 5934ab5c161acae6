"""Code runs in a kernel of a real Jupyter server on a UNIX socket, or the reason why not is told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.jupyter.kernel_session import CellError, KernelError, kernel_name, run
from node_agent.unix_http import listens, request
from tests.support.node_fakes import Request, UnixServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

BASE = "/user/somebody/"


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as home:
        socket = Path(home) / "jupyter.sock"
        options = [
            "--no-browser",
            "--allow-root",
            f"--ServerApp.sock={socket}",
            "--KernelRestarter.time_to_dead=0.3",
            f"--ServerApp.base_url={BASE}",
            "--IdentityProvider.token=",
            "--ServerApp.disable_check_xsrf=True",
        ]
        command = [sys.executable, "-P", "-m", "node_agent.jupyter.lab_launcher", *options]
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        with subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: listens(socket), 60, "the server")
                yield socket
            finally:
                process.terminate()
                process.wait(20)


def test_the_value_and_what_was_printed_come_back(server: Path) -> None:
    assert run(server, BASE, "print('so'); 6*7", within=60) == "so\n42"


def test_no_kernel_is_left(server: Path) -> None:
    run(server, BASE, "1", within=60)
    assert request(server, "GET", f"{BASE}api/kernels", within=10).body == b"[]"


def test_code_that_fails_is_told(server: Path) -> None:
    with pytest.raises(CellError, match="the code failed: ZeroDivisionError: division by zero"):
        run(server, BASE, "1/0", within=60)


def test_a_kernel_that_does_not_answer_in_time_is_told(server: Path) -> None:
    with pytest.raises(KernelError):
        run(server, BASE, "import time; time.sleep(60)", within=4)
    assert request(server, "GET", f"{BASE}api/kernels", within=10).body == b"[]"


def test_a_kernel_that_dies_is_not_waited_for(server: Path) -> None:
    with pytest.raises(KernelError, match="the kernel died"):
        run(server, BASE, "import os; os._exit(1)", within=3600)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="asking for a kernel failed: No such file or directory"):
        run(tmp_path / "none.sock", BASE, "1", within=5)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"{}", "answered with status 403, not with a kernel"),
        (201, b"[]", "answered with status 201, not with a kernel"),
        (201, b"<html>", "asking for a kernel failed"),
        (201, b'{"id": "k"}', "the kernel's websocket broke"),
    ],
)
def test_a_server_that_gives_no_kernel_is_told(status: int, body: bytes, words: str) -> None:
    def respond(request: Request) -> None:
        # What is left unread when the connection closes would take the answer with it.
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.answer(status, body)

    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as directory:
        server = UnixServer(Path(directory) / "s", respond)
        with pytest.raises(KernelError, match=words):
            run(Path(directory) / "s", BASE, "1", within=5)
        server.stop()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"default": "python3", "kernelspecs": {"ir": {}, "python3": {}}}', "python3"),
        (b'{"default": "python3", "kernelspecs": {"ir": {}, "julia": {}}}', "ir"),
        (b'{"default": 3, "kernelspecs": {"ir": {}}}', "ir"),
        (b'{"default": "python3", "kernelspecs": {}}', ""),
        (b'{"default": "python3", "kernelspecs": []}', ""),
        (b"[]", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_kernel_is_the_default_one_or_else_the_first_that_there_is(body: bytes, name: str) -> None:
    assert kernel_name(body) == name
