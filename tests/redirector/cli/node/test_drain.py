"""Draining, and waiting for it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from redirector.admin_api.views import NodeView
from redirector.cli.node.draining import _Line, progress, sessions_left
from redirector.cli.node.names import hint
from redirector.cli.terminal.times import moment_of
from tests.redirector.cli.conftest import Tmpnb, shown_on
from tests.redirector.cli.fake_redirector import TOKEN, Answer, FakeRedirector, Request, node
from tests.support.waiting import wait_until

NOON = datetime.fromisoformat("2026-11-22T12:00:00+01:00")
QUICK = ("--every", "0.01")


def leaving(name: str, looks: int) -> Any:
    """Visitors of a node go, one at each look after the first few."""

    def look(fake: FakeRedirector) -> None:
        entry = fake.nodes[name]
        if entry["intent"] == "draining" and len(fake.requests) > looks:
            entry["claimed"] = max(0, entry["claimed"] - 1)
            entry["drained"] = entry["claimed"] == 0

    return look


def test_waiting_ends_when_the_last_session_has_ended(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.on_look = leaving("n2", 2)
    done = tmpnb("node", "drain", "n2", "--wait", *QUICK)
    assert done.exit_code == 0
    assert "n2: draining, 2 sessions left" in done.stdout
    assert "n2: 1 session left" in done.stderr
    assert "no session is left" in done.stderr


def test_waiting_for_too_long_is_exit_code_4_and_the_drain_goes_on(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("node", "drain", "n2", "--wait", "--timeout", "0.05", *QUICK)
    assert done.exit_code == 4
    assert "sessions are left on n2" in done.stderr
    assert fake.nodes["n2"]["intent"] == "draining"


def test_a_time_limit_without_waiting_is_a_mistake(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    assert tmpnb("node", "drain", "n2", "--timeout", "5").exit_code == 2
    assert fake.nodes["n2"]["intent"] == "active"


def test_a_node_that_somebody_resumes_ends_the_waiting(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    def resume(fake: FakeRedirector) -> None:
        if fake.nodes["n2"]["intent"] == "draining":
            fake.nodes["n2"] |= {"intent": "active", "intent_by": "bob", "drained": False}

    fake.on_look = resume
    done = tmpnb("node", "drain", "n2", "--wait", *QUICK)
    assert done.exit_code == 1
    assert "n2 was resumed by bob meanwhile" in done.stderr


def test_a_redirector_that_restarts_is_waited_for(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    away = iter([False, False, True, True])

    def answer(request: Request) -> Answer:
        if request.method == "GET" and next(away, False):
            return Answer(0, hang_up=True)
        if request.method == "GET" and len(fake.requests) > 5:
            fake.nodes["n2"] |= {"claimed": 0, "drained": True}
        return fake.answer(request)

    fake.answers = answer
    done = tmpnb("node", "drain", "n2", "--wait", *QUICK)
    assert done.exit_code == 0
    assert done.stderr.count("still trying") == 1
    assert "it answers again" in done.stderr


def test_a_refused_drain_is_not_waited_for(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"]["intent"] = "draining"
    done = tmpnb("node", "drain", "n2", "--wait", *QUICK)
    assert done.exit_code == 5
    assert "last node" in done.stderr


def watching_from(folder: Path, fake: FakeRedirector, words: str, **environ: str) -> subprocess.Popen[str]:
    """The program itself, its stderr to be read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TMPNB_")}
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "tmpnb"), *words.split(), "--every", "0.05"],
        env=inherited | {"TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN} | environ,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_watching_and_not_the_drain(fake: FakeRedirector, tmp_path: Path) -> None:
    watching = watching_from(tmp_path, fake, "node drain n2 --wait")
    assert watching.stderr is not None
    assert "2 sessions left" in watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert "the drain goes on" in said
    assert fake.nodes["n2"]["intent"] == "draining"


def test_ctrl_c_ends_a_wait_with_a_word_and_an_exit_code_of_its_own(fake: FakeRedirector, tmp_path: Path) -> None:
    fake.nodes["n2"]["eligible"] = False
    waiting = watching_from(tmp_path, fake, "node wait n2 --for routable")
    wait_until(lambda: len(fake.requests) > 2, 20, "a few looks")
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=20)
    assert (waiting.returncode, said) == (130, "Error: stopped by Ctrl-C\n")


@pytest.mark.parametrize("words", ["node list", "node list --json", "status"])
def test_a_full_disk_behind_the_output_is_one_sentence(fake: FakeRedirector, tmp_path: Path, words: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [str(Path(sys.executable).parent / "tmpnb"), *words.split()],
            env={**os.environ, "TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN},
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    sentence = "Error: what there is to say cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_the_live_line_never_outgrows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", "16")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        line = _Line()
        line.show("n2: 2 sessions left")
        line.show("n2: 1 left")
        line.end()
    assert shown_on(ours).split("\r\x1b[K") == ["", "n2: 2 sessions\N{HORIZONTAL ELLIPSIS}", "n2: 1 left\r\n"]


def test_ending_sessions_asks_and_without_a_terminal_refuses(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("node", "drain", "n2", "--end-sessions-at", "2h")
    assert done.exit_code == 2
    assert "confirm it with --yes" in done.stderr
    assert fake.nodes["n2"]["intent"] == "active"
    sure = tmpnb("node", "drain", "n2", "--end-sessions-at", "2h", "--yes")
    assert sure.exit_code == 0
    assert fake.nodes["n2"]["end_sessions_at"] > time.time() + 7000


def test_without_that_option_no_end_is_ever_sent(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    tmpnb("node", "drain", "n2")
    assert not [request for request in fake.requests if "end_sessions_at" in request.body]


@pytest.mark.parametrize("when", ["noonish", "25:00", "-5", "2026-13-01", ""])
def test_a_time_that_is_none_is_a_mistake(tmpnb: Tmpnb, when: str) -> None:
    done = tmpnb("node", "drain", "n2", "--end-sessions-at", when)
    assert done.exit_code == 2
    assert "is no time such as" in done.stderr


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("15:30", timedelta(hours=3, minutes=30)),
        ("11:00", timedelta(hours=23)),
        ("2h", timedelta(hours=2)),
        ("+30min", timedelta(minutes=30)),
        ("2026-11-23T12:00", timedelta(days=1)),
        ("2026-11-22T12:00:00+00:00", timedelta(hours=1)),
    ],
)
def test_a_time_to_come(text: str, ahead: timedelta) -> None:
    assert moment_of(text, NOON, past=False) == NOON + ahead


@pytest.mark.parametrize(
    ("text", "ago"), [("11:00", timedelta(hours=1)), ("13:00", timedelta(hours=23)), ("90s", timedelta(seconds=90))]
)
def test_a_time_that_was(text: str, ago: timedelta) -> None:
    assert moment_of(text, NOON, past=True) == NOON - ago


@pytest.mark.parametrize(("age", "words"), [(0.02, "2 sessions left a moment ago"), (40.0, "2 sessions left 40 s ago")])
def test_sessions_of_a_node_that_is_not_current_are_told_with_their_age(age: float, words: str) -> None:
    silent = msgspec.convert(node("n3", claimed=2, current=False, stats_age_seconds=age), NodeView)
    assert sessions_left(silent) == words


def test_the_line_says_by_when_the_last_session_has_ended() -> None:
    raw = node("n3", intent="draining", claimed=3, intent_since=1000.0, max_age_seconds=600)
    line = progress([msgspec.convert(raw, NodeView)], 1000.0)
    assert line.startswith("n3: 3 sessions left, over by ")
    assert msgspec.convert(raw | {"end_sessions_at": 1300.0}, NodeView).last_end == 1300.0
    assert msgspec.convert(raw | {"max_age_seconds": 0}, NodeView).last_end is None


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [("n1", 0, "none yet"), ("n9", 3, "there are: n0, n1, n2"), ("n29", 300, "did you mean n29"), ("x", 300, "among")],
)
def test_an_unknown_name_gets_a_hint_that_fits_on_a_screen(name: str, count: int, said: str) -> None:
    names = [f"n{number}" for number in range(count)]
    text = hint(name, [each for each in names if each != name])
    assert said in text
    assert len(text) < 200


def test_a_part_of_a_name_never_stands_for_a_node(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    assert tmpnb("node", "drain", "n").exit_code == 1
    assert all(each["intent"] == "active" for each in fake.nodes.values())


@pytest.mark.parametrize("name", ["--", "-x", "--force", "..", "a/b", "n1?x", "ü", " "])
def test_a_name_that_looks_like_something_else_is_no_node(tmpnb: Tmpnb, fake: FakeRedirector, name: str) -> None:
    done = tmpnb("node", "drain", "--", name)
    assert done.exit_code in (1, 2)
    assert done.stderr
    assert all(each["intent"] == "active" for each in fake.nodes.values())


def test_waiting_for_a_state_ends_in_it(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"] |= {"eligible": False, "health": "joining"}

    def come_up(fake: FakeRedirector) -> None:
        if len(fake.requests) > 3:
            fake.nodes["n1"] |= {"eligible": True, "health": "up"}

    fake.on_look = come_up
    done = tmpnb("node", "wait", "n1", "n2", *QUICK)
    assert done.exit_code == 0
    assert "routable: n1, n2" in done.stdout


def test_waiting_for_a_state_that_does_not_come_is_exit_code_4(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"]["eligible"] = False
    done = tmpnb("node", "wait", "n1", "--timeout", "0.05", *QUICK)
    assert done.exit_code == 4
    assert tmpnb("node", "wait", "nobody", *QUICK).exit_code == 1


def test_waiting_for_the_end_of_a_drain_that_nobody_began_says_so(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.nodes["n1"] |= {"intent_by": "root"}
    done = tmpnb("node", "wait", "n1", "--for", "drained", *QUICK)
    assert done.exit_code == 1
    assert done.stderr == "Error: n1 is not draining: tmpnb node drain n1 begins that\n"


def test_a_drain_of_an_empty_node_speaks_of_no_end_of_its_sessions(tmpnb: Tmpnb) -> None:
    assert tmpnb("node", "drain", "n1", "--end-sessions-at", "2h", "--yes").stdout == "n1: draining, no sessions left\n"
    assert "sessions end" in tmpnb("node", "show", "n1").stdout


def test_a_selftest_says_what_was_measured(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("node", "selftest", "n1")
    assert done.exit_code == 0
    assert "n1: a cell ran" in done.stdout
    assert json.loads(tmpnb("node", "selftest", "n1", "--json").stdout)["measured"] == {"start_seconds": 1.5}
    fake.bad_images.add("old")
    failed = tmpnb("node", "selftest", "n1")
    assert failed.exit_code == 1
    assert "the kernel never answered" in failed.stderr
