"""Tests of the process runtime beyond the contract: what its processes see, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.contract import Launch
from node_agent.runtimes.process.runtime import ProcessRuntime
from node_agent.unix_http import listens, request
from tests.support.waiting import wait_until
from tmpnb_common.keys import base_path, name_of

STUB = Path(__file__).parents[3] / "support" / "stub_server.py"
KEY = "abcdefgh" + "2" * 26


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        yield Path(root)


def make(root: Path, **environment: str) -> ProcessRuntime:
    return ProcessRuntime(
        root / "state",
        welcome={"default": {"Welcome.ipynb": '{"cells": []}'}},
        environment={"PATH": os.environ["PATH"], **environment},
        clock=time.time,
        server=[sys.executable, str(STUB)],
    )


def launch(root: Path, deed: str = "") -> Launch:
    directory = root / "d"
    directory.mkdir(exist_ok=True)
    return Launch(name_of(KEY), KEY, "default", "", directory, f"{{server}} {{socket}} {{base_path}} {deed}", "/lab")


@pytest.fixture
def runtime(root: Path) -> Iterator[ProcessRuntime]:
    runtime = make(root, TMPNB_NODE_TOKEN_FILE="/secret", AWS_SECRET="secret", LANG="C.UTF-8")
    runtime.start(launch(root))
    wait_until(lambda: listens(root / "d" / "jupyter.sock"), 30, "the sandbox's socket")
    yield runtime
    runtime.end(name_of(KEY))


def ask(root: Path, what: str) -> Any:
    answer = request(root / "d" / "jupyter.sock", "GET", base_path(KEY) + what, within=5)
    return json.loads(answer.body) if answer.body else None


def test_the_processor_time_of_a_sandbox_is_counted_whatever_in_it_uses_it(root: Path, runtime: ProcessRuntime) -> None:
    before = runtime.usage(name_of(KEY)).processor_seconds
    ask(root, "work")
    after = runtime.usage(name_of(KEY)).processor_seconds
    assert before is not None
    assert after is not None
    assert 0.5 < after - before < 30


def test_a_sandbox_sees_nothing_of_the_agents_settings_and_secrets(root: Path, runtime: ProcessRuntime) -> None:
    assert runtime.instances()
    seen = ask(root, "env")
    assert not [name for name in seen if name.startswith(("TMPNB", "AWS"))]
    assert seen["LANG"] == "C.UTF-8"
    assert seen["HOME"] == str(root / "state" / name_of(KEY) / "home")


def test_a_sandbox_starts_in_a_home_of_its_own_with_the_welcome_notebook(root: Path, runtime: ProcessRuntime) -> None:
    assert runtime.instances()
    assert ask(root, "files") == ["Welcome.ipynb"]


def test_ending_a_sandbox_ends_what_it_started_in_sessions_of_their_own(root: Path, runtime: ProcessRuntime) -> None:
    child = psutil.Process(ask(root, "orphan"))
    runtime.end(name_of(KEY))
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_ending_a_dead_sandbox_ends_the_orphans_it_left(root: Path, runtime: ProcessRuntime) -> None:
    child = psutil.Process(ask(root, "orphan"))
    os.kill(ask(root, "pid"), signal.SIGKILL)
    wait_until(lambda: not runtime.instances()[0].alive, 5, "the death to show")
    assert child.is_running()
    runtime.end(name_of(KEY))
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_an_ended_sandbox_leaves_no_files(root: Path, runtime: ProcessRuntime) -> None:
    runtime.end(name_of(KEY))
    assert list((root / "state").iterdir()) == []


def test_a_sandbox_that_exits_shows_how(root: Path, runtime: ProcessRuntime) -> None:
    ask(root, "exit")
    dead = wait_until(lambda: [each for each in runtime.instances() if not each.alive], 5, "the death to show")
    assert dead[0].detail == "exit code 3"


def test_a_process_number_that_another_program_got_is_not_the_sandbox(root: Path, runtime: ProcessRuntime) -> None:
    assert runtime.instances()[0].alive
    record = root / "state" / name_of(KEY) / "record.json"
    kept = record.read_text()
    record.write_text(json.dumps({**json.loads(kept), "pid": os.getpid()}))
    try:
        assert not make(root).instances()[0].alive
    finally:
        record.write_text(kept)


def test_a_damaged_record_is_an_error_that_names_the_file_and_the_field(root: Path) -> None:
    record = root / "state" / name_of(KEY) / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"pool": "default", "image": "", "created_at": 1.0, "pid": "12", "started": ""}')
    with pytest.raises(EngineError, match=r"record\.json: pid has to be a whole number"):
        make(root).instances()


def test_the_log_tail_of_a_crashed_sandbox_says_why(root: Path) -> None:
    runtime = make(root)
    runtime.start(launch(root, deed="crash"))
    dead = wait_until(lambda: [each for each in runtime.instances() if not each.alive], 10, "the crash to show")
    assert dead[0].detail == "exit code 1"
    assert "no such module: sense" in runtime.log_tail(name_of(KEY))
    runtime.end(name_of(KEY))


def test_a_home_that_cannot_be_made_is_an_error_without_the_key(root: Path) -> None:
    (root / "state").write_text("a file")
    with pytest.raises(EngineError) as caught:
        make(root).start(launch(root))
    assert KEY not in str(caught.value)
    assert "cannot start a process" in str(caught.value)


def test_a_start_that_was_cut_off_leaves_no_process_running(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent dies between making the process and recording it: here, the disk fills up in that moment."""

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tmpnb_common.durable.write_json", full)
    runtime = make(root)
    with pytest.raises(EngineError, match="No space left"):
        runtime.start(launch(root))
    [instance] = runtime.instances()
    assert not instance.alive
    runtime.end(name_of(KEY))
    assert runtime.instances() == []
    assert not (root / "d" / "jupyter.sock").exists()
