"""Times that operators type and read: always with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from redirector.cli.terminal.exits import Stop
from redirector.cli.terminal.times import clock_time, full_time, moment_of, operator_zone, zone_of
from tests.redirector.cli.conftest import Tmpnb
from tests.redirector.cli.fake_redirector import FakeRedirector

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("18:00", "2026-11-22T17:00Z"),
        ("18:00 Europe/Berlin", "2026-11-22T17:00Z"),
        ("18:00 UTC", "2026-11-22T18:00Z"),
        ("18:00Z", "2026-11-22T18:00Z"),
        ("18:00+05:30", "2026-11-22T12:30Z"),
        ("18:00 Asia/Kolkata", "2026-11-22T12:30Z"),
        ("2026-11-23 09:15 America/New_York", "2026-11-23T14:15Z"),
        ("2027-07-01T09:00", "2027-07-01T07:00Z"),
    ],
)
def test_a_time_is_read_in_the_zone_it_names_else_in_the_operators(text: str, meant: str) -> None:
    moment = moment_of(text, NOON, past=False)
    assert moment is not None
    assert moment.astimezone(UTC) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("name", ["", "Nowhere/Nope", "Europe", "../etc/passwd", "/etc/localtime", "a\0b", "+99:99"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_shown_times_name_their_distance_from_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPNB_ZONE", "Europe/Berlin")
    winter, summer = NOON.timestamp(), datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN).timestamp()
    assert clock_time(winter, winter) == "12:00 +01:00"
    assert clock_time(summer, winter) == "2026-07-01 12:00 +02:00"
    assert full_time(winter) == "2026-11-22 12:00:00 +01:00"
    monkeypatch.setenv("TMPNB_ZONE", "UTC")
    assert full_time(winter) == "2026-11-22 11:00:00 UTC"


def test_a_posix_zone_is_left_to_the_c_library() -> None:
    assert operator_zone({"TZ": "CET-1CEST"}) is not None
    with pytest.raises(Stop):
        operator_zone({"TZ": "Nowhere/Nope"})


@pytest.mark.parametrize("variable", ["TMPNB_ZONE", "TZ"])
def test_a_zone_that_does_not_exist_is_a_mistake_before_anything_is_done(
    tmpnb: Tmpnb, fake: FakeRedirector, variable: str
) -> None:
    done = tmpnb("node", "drain", "n2", "--end-sessions-at", "18:00", "--yes", **{variable: "Mars/Olympus"})
    assert done.exit_code == 2
    assert "Mars/Olympus" in done.stderr
    assert fake.nodes["n2"]["intent"] == "active"
    assert tmpnb("events", **{variable: "Mars/Olympus"}).exit_code == 2


def test_a_typed_zone_that_does_not_exist_is_named(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    done = tmpnb("node", "drain", "n2", "--end-sessions-at", "18:00 Mars/Olympus", "--yes")
    assert done.exit_code == 2
    assert "there is no time zone 'Mars/Olympus'" in " ".join(done.stderr.split())
    assert fake.nodes["n2"]["intent"] == "active"


def test_a_typed_time_is_printed_back_with_its_zone(tmpnb: Tmpnb) -> None:
    done = tmpnb(
        "node", "drain", "n2", "--end-sessions-at", "2027-07-01 18:00 Asia/Kolkata", "--yes", TMPNB_ZONE="Europe/Berlin"
    )
    assert done.exit_code == 0
    assert "they end at 2027-07-01 14:30 +02:00" in done.stdout
    since = tmpnb("events", "--since", "2026-11-22 09:00", TMPNB_ZONE="Europe/Berlin")
    assert "since 2026-11-22 09:00 +01:00" in since.stderr


@pytest.mark.parametrize("when", ["2020-01-01T10:00", "2025-11-26 18:00 Europe/Berlin", "1970-01-01"])
def test_a_time_to_come_that_is_past_is_a_mistake_and_ends_nothing(
    tmpnb: Tmpnb, fake: FakeRedirector, when: str
) -> None:
    for words in (("node", "drain", "n2", "--end-sessions-at", when, "--yes"), ("say", "we stop", "--until", when)):
        done = tmpnb(*words)
        assert done.exit_code == 2
        assert "is over" in done.stderr
    assert not fake.requests


def test_the_present_minute_is_no_mistake(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    minute = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    assert tmpnb("node", "drain", "n2", "--end-sessions-at", minute, "--yes").exit_code == 0
    assert fake.nodes["n2"]["intent"] == "draining"


def test_a_notice_that_nobody_would_see_is_a_mistake(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    assert tmpnb("say", "we stop", "--until", "0s").exit_code == 2
    assert not fake.requests
