from __future__ import annotations

from pathlib import Path

import pytest

from redirector.cli.fleet.access import locate
from redirector.cli.terminal.exits import Exit, Stop
from redirector.local_fleet.directory import FleetDirectory

URL = "http://127.0.0.1:8000"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fleet_in(folder: Path, url: str = URL) -> str:
    """A state directory as `tmpnb up` leaves it; its token."""
    directory = FleetDirectory.at(folder)
    directory.prepare()
    directory.publish(url)
    return directory.ensure_admin_token()


def test_the_fleet_of_this_directory_is_found_without_a_word(here: Path) -> None:
    token = fleet_in(here / ".tmpnb")
    found = locate(None, None, {})
    assert (found.url, found.token) == (URL, token)


@pytest.mark.parametrize(("state", "environ"), [("there", {}), (None, {"TMPNB_STATE": "there"})])
def test_a_state_directory_is_named_by_option_or_environment(
    here: Path, state: str | None, environ: dict[str, str]
) -> None:
    token = fleet_in(here / "there")
    assert locate(None, state, environ).token == token


def test_a_typed_state_directory_goes_before_an_address_of_the_environment(here: Path) -> None:
    fleet_in(here / "there")
    assert locate(None, "there", {"TMPNB_URL": "http://elsewhere", "TMPNB_TOKEN": "x"}).url == URL


def test_an_address_goes_before_the_directory(here: Path) -> None:
    fleet_in(here / ".tmpnb")
    assert locate("http://elsewhere/", None, {"TMPNB_TOKEN": "x"}).url == "http://elsewhere"


def test_the_token_may_stand_in_a_file_and_the_newer_of_two_counts(here: Path) -> None:
    (here / "file").write_text("the-new-one\nthe-old-one\n")
    (here / "file").chmod(0o600)
    assert locate(URL, None, {"TMPNB_TOKEN_FILE": "file"}).token == "the-new-one"


def test_the_token_of_this_directory_goes_to_its_own_fleet(here: Path) -> None:
    token = fleet_in(here / ".tmpnb")
    assert locate(f"{URL}/", None, {}).token == token


def test_the_token_of_this_directory_goes_to_no_other_fleet(here: Path) -> None:
    fleet_in(here / ".tmpnb")
    with pytest.raises(Stop, match="TMPNB_TOKEN"):
        locate("http://elsewhere", None, {})


@pytest.mark.parametrize(
    ("url", "state", "environ", "told"),
    [
        (None, None, {}, "no fleet here"),
        (None, "missing", {}, "missing"),
        (URL, "there", {}, "two fleets"),
        (URL, None, {}, "TMPNB_TOKEN"),
        (URL, None, {"TMPNB_TOKEN_FILE": "missing"}, "missing"),
        (URL, None, {"TMPNB_TOKEN_FILE": "empty"}, "the token file empty is empty"),
        (URL, None, {"TMPNB_TOKEN_FILE": "binary"}, "binary"),
        (URL, None, {"TMPNB_TOKEN": "two words"}, "holds no token"),
        (URL, None, {"TMPNB_TOKEN": "töken"}, "holds no token"),
        ("localhost:8000", None, {"TMPNB_TOKEN": "x"}, "http://127.0.0.1:8000"),
    ],
)
def test_what_does_not_name_a_fleet_is_wrong_usage(
    here: Path, url: str | None, state: str | None, environ: dict[str, str], told: str
) -> None:
    (here / "empty").touch()
    (here / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Stop) as stop:
        locate(url, state, environ)
    assert told in str(stop.value)
    assert stop.value.exit_code == Exit.USAGE


def test_an_unusable_token_is_not_repeated(here: Path) -> None:
    assert here
    with pytest.raises(Stop) as stop:
        locate(URL, None, {"TMPNB_TOKEN": "a secret"})
    assert "secret" not in str(stop.value)
