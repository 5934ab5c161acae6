"""Small commands: place, config, completion."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redirector.cli.conftest import Tmpnb, shown_on
from tests.redirector.cli.fake_redirector import TOKEN, FakeRedirector


def test_place_names_the_next_node(tmpnb: Tmpnb) -> None:
    done = tmpnb("place")
    assert (done.exit_code, done.stdout) == (0, "n1\n")


def test_place_explains_every_other_node(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n2"] |= {"eligible": False, "reason": "draining: disk"}
    lines = tmpnb("place", "--explain").stdout.splitlines()
    assert lines[2].split() == ["NODE", "FREE", "COMING", "WHY"]
    assert lines[4].endswith("draining: disk")


def test_place_fails_when_nobody_would_be_placed(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    for node in fake.nodes.values():
        node["available"] = 0
    done = tmpnb("place")
    assert done.exit_code == 1
    assert (done.stdout, done.stderr) == ("", "Error: nowhere: every sandbox is in use\n")
    assert json.loads(tmpnb("place", "--json").stdout)["next"] is None


def test_config_check_reports_every_problem_at_once(tmpnb: Tmpnb) -> None:
    done = tmpnb("config", "check", TMPNB_WORKERS="many", TMPNB_LISTEN="nowhere", TMPNB_POLL_SECOND="2")
    assert done.exit_code == 2
    assert "TMPNB_WORKERS is 'many', not a whole number from 1 to 64" in done.stderr
    assert "TMPNB_LISTEN is no address" in done.stderr
    assert "TMPNB_POLL_SECOND is no setting; did you mean TMPNB_POLL_SECONDS?" in done.stderr


def test_config_check_of_good_settings_is_quiet_and_warns_of_a_closed_door(tmpnb: Tmpnb) -> None:
    done = tmpnb("config", "check", TMPNB_ADMIN_TOKEN="", TMPNB_UP_STATE="as `tmpnb up` sets it")
    assert done.exit_code == 0
    assert "fine" in done.stdout
    assert "no admin token" in done.stderr


def test_config_show_keeps_secrets_to_itself(tmpnb: Tmpnb) -> None:
    shown = tmpnb("config", "show", TMPNB_ADMIN_TOKEN="hunter2-hunter2-hunter2", TMPNB_WORKERS="7").stdout
    assert "hunter2" not in shown
    assert any(line.split()[:2] == ["TMPNB_WORKERS", "7"] for line in shown.splitlines())


def test_no_word_of_a_table_is_broken_on_a_narrow_terminal(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "tmpnb"), "config", "show"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, env=os.environ | {"COLUMNS": "60"}, cwd=tmp_path):
        os.close(theirs)
        shown = shown_on(ours)
    assert {"TMPNB_LISTEN", "127.0.0.1:8000", "directory", "Loopback,"} <= set(shown.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(tmpnb: Tmpnb, shell: str) -> None:
    done = tmpnb("completion", shell)
    assert done.exit_code == 0
    assert "_TMPNB_COMPLETE" in done.stdout


def complete(fake: FakeRedirector, words: str, place: int) -> list[str]:
    """What a bash with the completion script is told."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    asked = {"_TMPNB_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "tmpnb")],
        env=environ | asked | {"TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.removeprefix("plain,") for line in done.stdout.splitlines() if line]


def test_names_of_nodes_are_completed_each_once(fake: FakeRedirector) -> None:
    assert complete(fake, "tmpnb node drain n", 3) == ["n1", "n2"]
    assert complete(fake, "tmpnb node drain n1 n", 4) == ["n2"]


def test_without_a_fleet_nothing_is_completed_and_nothing_complained(fake: FakeRedirector) -> None:
    fake.token = "changed-meanwhile"
    assert complete(fake, "tmpnb node drain n", 3) == []
