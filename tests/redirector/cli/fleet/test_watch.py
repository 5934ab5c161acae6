"""Commands that go on looking: status and events."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.redirector.cli.conftest import Tmpnb
from tests.redirector.cli.fake_redirector import TOKEN, Answer, FakeRedirector, Request

QUICK = ("--every", "0.01")


def event(number: int, kind: str = "drain", **fields: object) -> dict[str, object]:
    return {"id": number, "at": 1000.0 + number, "kind": kind, "node": "n1", "by": "ann", "reason": "disk", **fields}


def interrupted_after(count: int) -> Callable[[FakeRedirector], None]:
    """Ctrl-C at the terminal once so many looks were taken; the fake's thread cannot raise it there itself."""

    def look(fake: FakeRedirector) -> None:
        if len([one for one in fake.requests if one.method == "GET"]) > count:
            fake.answers = lambda _request: Answer(403, {"status": "forbidden", "message": "the end of the test"})

    return look


def test_status_shows_who_waits_and_how_many_were_turned_away(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    def answer(request: Request) -> Answer:
        found = fake.answer(request)
        if request.path == "/api/fleet":
            found.json |= {"waiting": 7, "visitors": {"placed": 40, "refused_full": 3, "tries": 41}}
        return found

    fake.answers = answer
    shown = tmpnb("status").stdout
    assert "waiting" in shown
    assert "7" in shown
    assert "40 placed and 3 turned away" in shown
    assert json.loads(tmpnb("status", "--json").stdout)["waiting"] == 7


def test_status_says_of_each_pool_how_its_line_stands(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    line = {"waiting": 7, "first_seconds": 42.0, "let_in": 12, "expected_seconds": 200.0}
    lines = {"default": line, "r": line | {"waiting": 1, "expected_seconds": None}, "empty": line | {"waiting": 0}}

    def answer(request: Request) -> Answer:
        found = fake.answer(request)
        if request.path == "/api/fleet":
            found.json |= {"waiting": 8, "waiting_room": lines}
        return found

    fake.answers = answer
    shown = [" ".join(row.split()) for row in tmpnb("status").stdout.splitlines() if row.startswith("waiting")]
    assert shown == [
        "waiting 7, the first for 42 s; 12 let in within 5 min; who comes now waits about 3 min",
        "waiting for r 1, the first for 42 s; 12 let in within 5 min",
    ]
    assert json.loads(tmpnb("status", "--json").stdout)["waiting_room"]["r"]["let_in"] == 12


def test_watching_says_a_line_for_each_change(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    looks = iter(range(100))

    def busier(fake: FakeRedirector) -> None:
        number = next(looks)
        fake.nodes["n1"]["claimed"] = min(2, number // 3)
        interrupted_after(12)(fake)

    fake.on_look = busier
    done = tmpnb("status", "--watch", *QUICK)
    lines = [line.split(" ", 2)[2] for line in done.stdout.splitlines()]
    assert [line.split(",")[0] for line in lines] == ["2 visitors", "3 visitors", "4 visitors"]


def test_a_token_that_was_changed_meanwhile_is_read_again(tmpnb: Tmpnb, fake: FakeRedirector, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    looks = iter(range(100))

    def change(fake: FakeRedirector) -> None:
        number = next(looks)
        if number == 2:
            fake.token = "another-admin-token"
            file.write_text(fake.token)
        if number == 5:
            fake.token = "a-token-that-nobody-has-told-us"

    fake.on_look = change
    done = tmpnb("status", "--watch", *QUICK, TMPNB_TOKEN="", TMPNB_TOKEN_FILE=str(file))
    assert done.exit_code == 1
    assert "the admin token was changed meanwhile" in done.stderr
    assert next(looks) == 6, "it went on with the new token until that was changed as well"
    assert TOKEN not in done.output
    assert "another-admin-token" not in done.output


def test_a_neighbours_wrong_tokens_do_not_end_a_watch(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    looks = iter(range(100))

    def answer(request: Request) -> Answer:
        if next(looks) in (2, 3):
            return Answer(429, {"status": "limited", "message": "Too many wrong tokens came from your address."})
        interrupted_after(6)(fake)
        return fake.answer(request)

    fake.answers = answer
    done = tmpnb("status", "--watch", *QUICK)
    assert done.stderr.count("Too many wrong tokens") == 1
    assert "it answers again" in done.stderr
    assert "the admin token was changed" in done.stderr, "which is how the test ends it"


def test_a_wrong_token_at_the_start_is_said_at_once(tmpnb: Tmpnb) -> None:
    done = tmpnb("status", "--watch", *QUICK, TMPNB_TOKEN="a-wrong-token")
    assert done.exit_code == 1
    assert "missing or wrong" in done.stderr


def test_a_redirector_that_is_away_at_the_start_is_no_reason_to_wait(tmpnb: Tmpnb) -> None:
    done = tmpnb("status", "--watch", *QUICK, TMPNB_URL="http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "no redirector answers" in done.stderr


def test_events_are_lines_with_who_and_why(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.events = [event(1), event(2, "node_down", by="poller", reason="no answer")]
    lines = tmpnb("events").stdout.splitlines()
    assert lines[0].endswith("n1                drain            by ann: disk")
    assert "node_down" in lines[1]
    assert "by poller: no answer" in lines[1]


def test_events_since_a_time_are_asked_of_the_fleet(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.events = [event(1), event(2)]
    done = tmpnb("events", "--since", "2h")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "nothing has happened then" in done.stderr
    assert len(tmpnb("events", "--since", "1970-01-01T00:00:00+00:00").stdout.splitlines()) == 2


def test_following_goes_on_from_the_last_event_and_repeats_none(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.events = [event(1)]
    looks = iter(range(100))

    def happen(fake: FakeRedirector) -> None:
        number = next(looks)
        if number in (2, 4):
            fake.events.append(event(number))
        interrupted_after(8)(fake)

    fake.on_look = happen
    done = tmpnb("events", "--follow", "--json", *QUICK)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2, 4]


def test_what_an_event_says_cannot_command_the_terminal(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.events = [event(1, reason="\x1b[2Jgone\n2026 forged line")]
    shown = tmpnb("events").stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--limit", "0"), ("--every", "0")])
def test_nonsense_is_exit_code_2(tmpnb: Tmpnb, arguments: tuple[str, str]) -> None:
    assert tmpnb("events", *arguments).exit_code == 2


def test_on_a_terminal_an_old_picture_says_how_old_it_is(fake: FakeRedirector, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        [str(Path(sys.executable).parent / "tmpnb"), "status", "--watch", "--every", "0.1"],
        env=os.environ | {"TMPNB_URL": fake.url, "TMPNB_TOKEN": TOKEN, "TERM": "xterm"},
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    try:
        for words in (b"; Ctrl-C ends this]", b"[no answer since ", b"it answers again"):
            fake.answers = (lambda _request: Answer(0, hang_up=True)) if b"no answer" in words else fake.answer
            while words not in drawn:
                drawn += os.read(ours, 65536)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    finally:
        watching.kill()
        watching.wait(20)
        os.close(ours)
    assert b"2 up" in drawn


def test_status_adds_up_and_says_of_when_its_numbers_are(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    pool = {"available": 3, "capacity": 4, "claimed": 1}

    def answer(request: Request) -> Answer:
        found = fake.answer(request)
        if request.path == "/api/fleet":
            found.json |= {
                "unusable": 2,
                "pools": {"default": pool, "r": pool | {"unusable": 1}},
                "not_counted": {"nodes": 1, "claimed": 4},
                "stats_age_seconds": 12.0,
                "lately": {"minutes": 60, "placed": 5, "turned_away": 0},
            }
        return found

    fake.answers = answer
    shown = " ".join(tmpnb("status").stdout.split())
    assert "2 now, and 4 when last heard of on one node that does not answer" in shown
    assert "5 placed and 0 turned away in the last 60 min" in shown
    assert "8: 6 free, 2 claimed, 0 starting, 0 startable, 2 not usable" in shown
    assert "pool r 4: 3 free, 1 claimed" in shown
    assert "as of 12 s ago" in shown


def test_events_of_one_node_until_a_time_are_asked_for(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    fake.events = [event(1)]
    shown = tmpnb("events", "--node", "n1", "--until", "2026-11-22T09:00 UTC", TMPNB_ZONE="UTC")
    assert shown.exit_code == 0
    assert "until 2026-11-22 09:00 UTC" in shown.stderr
    assert "node=n1" in fake.requests[-1].path
    assert "until=1795338000" in fake.requests[-1].path
    assert tmpnb("events", "--follow", "--until", "2h").exit_code == 2
