from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from redirector.cli import main
from redirector.cli.terminal.progress import Screen
from redirector.cli.up import typed
from redirector.local_fleet.enrolment import Warmth
from redirector.local_fleet.lock import StateLock
from redirector.local_fleet.plan import MARK
from redirector.local_fleet.processes import is_alive
from redirector.local_fleet.reporter import FleetReady
from redirector.local_fleet.stop_request import StopRequest
from tests.support.base_ports import base_port
from tests.support.docker_host import local_engine


def up(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["up", *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(result: Result, told: str, here: Path) -> None:
    """Wrong usage, in one sentence, and nothing was started."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert told in result.stderr
    children = [child for child in psutil.Process().children() if is_alive(child)]
    assert not [child for child in children if child.environ().get(MARK, "").startswith(str(here))]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--nodes 0", "--nodes"),
        ("--nodes -3", "--nodes"),
        ("--nodes 1000", "--nodes"),
        ("--capacity 0", "--capacity"),
        ("--warm 0", "--warm"),
        ("--warm 5 --capacity 4", "more than"),
        ("--port 0", "--port"),
        ("--port 70000", "--port"),
        ("--port 65500", "65602"),
        ("--state /proc/here", "state directory"),
        ("--state file", "state directory"),
        ("--state=", "--state has to name a directory"),
    ],
)
def test_nonsense_is_refused_before_anything_starts(here: Path, arguments: str, told: str) -> None:
    (here / "file").touch()
    assert_refused(up(*arguments.split()), told, here)


@pytest.mark.docker
def test_an_image_that_is_not_there_is_refused_before_anything_starts(here: Path) -> None:
    with local_engine():
        port = str(base_port(nodes=1))
        refused = up("--runtime", "docker", "--image", "no-such-image-here", "--nodes", "1", "--port", port)
        assert_refused(refused, "there is no image no-such-image-here", here)


@pytest.mark.parametrize("arguments", [["--nodes", "two"], ["--runtime", "podman"], ["more"]])
def test_what_is_no_number_or_no_option_is_wrong_usage(here: Path, arguments: list[str]) -> None:
    assert up(*arguments).exit_code == 2
    assert not (here / ".tmpnb").exists()


@pytest.mark.parametrize("offset", [0, 1, 101])
def test_a_port_in_use_is_refused_before_anything_starts(here: Path, offset: int) -> None:
    port = base_port(nodes=1)
    with socket.create_server(("127.0.0.1", port + offset)):
        assert_refused(up("--nodes", "1", "--port", str(port)), f"port {port + offset} is in use", here)


def test_nginx_missing_is_refused_with_the_way_to_get_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tmpnb_common.host.SBIN", "")
    monkeypatch.setenv("PATH", str(here))
    assert_refused(up("--port", str(base_port())), "apt-get install nginx-light", here)


def test_jupyterlab_missing_is_refused_with_the_way_to_get_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert_refused(up("--port", str(base_port())), "pip install", here)


def test_a_second_fleet_from_the_same_state_is_refused(here: Path) -> None:
    (here / ".tmpnb").mkdir()
    lock, stop = StateLock(here / ".tmpnb" / "up.lock"), StopRequest()
    lock.take(stop)
    try:
        assert_refused(up("--port", str(base_port())), f"pid {os.getpid()}", here)
    finally:
        lock.release()
        stop.close()


def test_progress_without_a_terminal_is_plain_lines_and_not_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    screen = Screen(lambda *words: " ".join(words), clock=lambda: now)
    for ready in range(9):
        screen.warming(Warmth(ready, 8))
        screen.warming(Warmth(ready, 8))
        now += 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"{ready} of 8 sandboxes ready" for ready in (0, 3, 6, 8)]
    assert captured.out == ""


def test_progress_says_why_sandboxes_do_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(lambda *_: "").warming(Warmth(0, 8, "no space left\x1b[2J"))
    said = capsys.readouterr().err
    assert "0 of 8 sandboxes ready: no space left" in said
    assert "\x1b" not in said


def test_the_announcement_has_every_url_and_three_commands_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(lambda *words: " ".join(("tmpnb", *words)))
    screen.announce(FleetReady("http://127.0.0.1:8000", [("n1", "http://127.0.0.1:8101")]))
    said = capsys.readouterr().out
    for words in ("http://127.0.0.1:8000", "http://127.0.0.1:8101", "tmpnb status", "tmpnb node drain n1", "curl "):
        assert words in said


def test_a_terminal_that_is_gone_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    gone = os.fdopen(writer, "w")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        patch.setattr(sys, "stderr", gone)
        screen = Screen(lambda *_: "")
        screen.note("x" * 100_000)
        screen.warn("x")
        screen.warming(Warmth(8, 8))
        screen.announce(FleetReady("http://127.0.0.1:8000", [("n1", "http://127.0.0.1:8101")]))
    # What could not be written is still in its buffer.
    with pytest.raises(BrokenPipeError):
        gone.close()


def test_commands_to_try_name_the_state_directory_only_where_it_is_needed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = here / "bin" / "tmpnb"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "")
    assert typed(here / ".tmpnb", "status") == "bin/tmpnb status"
    assert typed(here / "my state", "status") == "bin/tmpnb status --state 'my state'"
    assert typed(Path("/else/where"), "status") == "bin/tmpnb status --state /else/where"
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed(here / ".tmpnb", "node", "drain", "n1") == "tmpnb node drain n1"
