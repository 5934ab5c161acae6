"""The settings: defaults, what is refused, and that all problems come at once."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.errors import FleetConfigError
from redirector.settings.table import TABLE, RedirectorSettings, load

TOKEN, OTHER = "a-token-of-some-length", "another-token-of-length"


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(FleetConfigError) as caught:
        load(environ)
    return caught.value.problems


def test_everything_has_a_default() -> None:
    settings = load({})
    assert (settings.listen, settings.workers, settings.admin_tokens) == ("127.0.0.1:8000", 2, ())
    assert settings.database_url == f"sqlite:///{Path('.tmpnb').absolute()}/fleet.db"


def test_every_setting_has_a_unit_a_reason_and_a_field() -> None:
    for setting in TABLE:
        assert setting.unit
        assert setting.reason.endswith(".")
        assert setting.field in RedirectorSettings.__dataclass_fields__


def test_the_database_lies_in_the_state_directory(tmp_path: Path) -> None:
    assert load({"TMPNB_STATE": str(tmp_path)}).database_url == f"sqlite:///{tmp_path}/fleet.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_reached_by_psycopg_however_its_url_is_spelt(scheme: str) -> None:
    settings = load({"TMPNB_DATABASE_URL": f"{scheme}://u:pw@db/tmpnb"})
    assert settings.database_url == "postgresql+psycopg://u:pw@db/tmpnb"


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        {
            "TMPNB_LISTEN": "everywhere",
            "TMPNB_WORKERS": "0",
            "TMPNB_POLL_SECONDS": "nan",
            "TMPNB_DATABASE_URL": "mysql://db",
            "TMPNB_ENTRY_URL": "example.org",
            "TMPNB_ALLOW_ORIGIN": "https://a.example https://b.example/path",
            "TMPNB_LOG_LEVEL": "loud",
            "TMPNB_STATE": "",
        }
    )
    assert {problem.split(" ")[0] for problem in found} == {
        "TMPNB_LISTEN",
        "TMPNB_WORKERS",
        "TMPNB_POLL_SECONDS",
        "TMPNB_DATABASE_URL",
        "TMPNB_ENTRY_URL",
        "TMPNB_ALLOW_ORIGIN",
        "TMPNB_LOG_LEVEL",
        "TMPNB_STATE",
    }


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "/a/path"])
def test_a_database_that_workers_cannot_share_is_refused(url: str) -> None:
    assert "TMPNB_DATABASE_URL" in problems({"TMPNB_DATABASE_URL": url})[0]


def test_two_admin_tokens_are_valid_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n{OTHER}\n")
    file.chmod(0o600)
    assert load({"TMPNB_ADMIN_TOKEN_FILE": str(file)}).admin_tokens == (TOKEN, OTHER)
    assert load({"TMPNB_ADMIN_TOKEN": f"{TOKEN} {OTHER}"}).admin_tokens == (TOKEN, OTHER)
    assert load({"TMPNB_ADMIN_TOKEN": TOKEN, "TMPNB_ADMIN_TOKEN_FILE": str(file)}).admin_tokens == (TOKEN, OTHER)


def test_three_admin_tokens_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n{OTHER}\n")
    file.chmod(0o600)
    found = problems({"TMPNB_ADMIN_TOKEN": "a-third-token-of-some-length", "TMPNB_ADMIN_TOKEN_FILE": str(file)})
    assert len(found) == 1
    assert "TMPNB_ADMIN_TOKEN and TMPNB_ADMIN_TOKEN_FILE together" in found[0]
    assert "3 tokens without a name; at most two are valid at a time" in found[0]
    assert "at most two" in problems({"TMPNB_ADMIN_TOKEN": f"{TOKEN} {OTHER} {TOKEN}x"})[0]


def test_a_token_file_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    assert "No such file" in problems({"TMPNB_ADMIN_TOKEN_FILE": str(tmp_path / "none")})[0]
    assert "empty" in problems({"TMPNB_ADMIN_TOKEN_FILE": str(tmp_path / "empty")})[0]
    assert "no text" in problems({"TMPNB_ADMIN_TOKEN_FILE": str(tmp_path / "binary")})[0]


def test_no_problem_and_no_settings_ever_show_a_secret() -> None:
    assert "hunter2" not in problems({"TMPNB_ADMIN_TOKEN": "hunter2"})[0]
    assert "hunter2" not in problems({"TMPNB_DATABASE_URL": "mysql://u:hunter2@db"})[0]
    shown = repr(load({"TMPNB_ADMIN_TOKEN": TOKEN, "TMPNB_DATABASE_URL": "postgresql://u:hunter2@db/t"}))
    assert TOKEN not in shown
    assert "hunter2" not in shown


def test_origins_and_entry_url_are_read() -> None:
    settings = load({"TMPNB_ALLOW_ORIGIN": "https://a.example *", "TMPNB_ENTRY_URL": "https://Try.Example/"})
    assert settings.allow_origin == ("https://a.example", "*")
    assert settings.entry_url == "https://try.example"


def test_keys_that_sign_cookies_can_be_changed_as_tokens_can(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OTHER)
    file.chmod(0o600)
    settings = load({"TMPNB_SIGNING_KEY": TOKEN, "TMPNB_SIGNING_KEY_FILE": str(file)})
    assert settings.signing_keys == (TOKEN, OTHER)
    assert TOKEN not in repr(settings)
    assert load({}).signing_keys == ()


@pytest.mark.parametrize(
    "sites", ["example.org", "https://a.example; script-src *", "https://a.example/path", "'self'"]
)
def test_sites_that_may_frame_us_are_origins_and_nothing_that_ends_a_header(sites: str) -> None:
    assert "TMPNB_FRAME_ANCESTORS" in problems({"TMPNB_FRAME_ANCESTORS": sites})[0]


def test_networks_and_directories_that_make_no_sense_are_problems(tmp_path: Path) -> None:
    found = problems({"TMPNB_CLIENT_FREE": "10.0.0.1/8 x", "TMPNB_TEMPLATES_DIR": str(tmp_path / "none")})
    assert [problem.partition(" ")[0] for problem in found] == ["TMPNB_CLIENT_FREE", "TMPNB_TEMPLATES_DIR"]


def test_only_the_hosts_own_addresses_have_no_limits_unless_the_operator_says_so() -> None:
    assert any(ip_address("127.0.0.1") in network for network in load({}).client_free)
    assert not any(ip_address(bridge) in network for bridge in ("172.18.0.1",) for network in load({}).client_free), (
        "Docker's proxy has such an address, and everyone who comes through it"
    )
    assert load({"TMPNB_CLIENT_FREE": ""}).client_free == ()
