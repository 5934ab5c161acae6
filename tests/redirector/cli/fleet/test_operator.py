"""`--by`, `TMPNB_OPERATOR` and the user: who the history says it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from redirector.cli.fleet.operator import operator
from tests.redirector.cli.conftest import Tmpnb
from tests.redirector.cli.fake_redirector import TOKEN, FakeRedirector


def test_what_is_typed_goes_before_the_environment_and_that_before_the_user(tmpnb: Tmpnb, fake: FakeRedirector) -> None:
    tmpnb("node", "drain", "n1", "--by", "ann", TMPNB_OPERATOR="bob")
    assert fake.requests[-1].body["by"] == "ann"
    tmpnb("node", "resume", "n1", TMPNB_OPERATOR="bob")
    assert fake.requests[-1].body["by"] == "bob"
    tmpnb("node", "drain", "n1", TMPNB_OPERATOR="")
    assert fake.requests[-1].body["by"] == operator(environ={})
    tmpnb("node", "add", "http://127.0.0.1:8103", "--by", "ann")
    assert fake.requests[-1].body["by"] == "ann"


@pytest.mark.parametrize("name", ["--force", "-x", "", "a\tb", "x" * 61, "poller"])
def test_an_operator_named_like_an_option_is_a_mistake_and_nothing_is_done(
    tmpnb: Tmpnb, fake: FakeRedirector, name: str
) -> None:
    done = tmpnb("node", "drain", "n1", "--by", name)
    assert done.exit_code == 2
    assert "--by" in done.stderr
    assert not fake.requests
    if name:
        assert tmpnb("node", "drain", "n1", TMPNB_OPERATOR=name).exit_code == 2
        assert not fake.requests


def test_who_came_by_way_of_sudo_is_not_root() -> None:
    user = operator(environ={})
    assert operator(environ={"SUDO_USER": "ann"}) == ("ann" if user in ("root", "tmpnb") else user)
    assert operator(environ={"SUDO_USER": "--force"}) == user


def test_a_token_file_may_have_the_name_before_the_token(tmpnb: Tmpnb, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"ann={TOKEN}\n")
    file.chmod(0o600)
    assert tmpnb("node", "list", TMPNB_TOKEN="", TMPNB_TOKEN_FILE=str(file)).exit_code == 0
