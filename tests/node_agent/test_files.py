"""Tests of durable files, and of identity and intent, which are kept in them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from node_agent import files
from node_agent.errors import HostError, StaleGeneration
from node_agent.membership import identity
from node_agent.membership.intent import IntentStore
from tests.support.node_fakes import Clock


def load(path: Path, token: str = "token") -> identity.Identity:
    return identity.load(path, path / token, identity.fresh_token)


def test_a_file_is_replaced_as_a_whole_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "token"
    files.write_text(path, "old", mode=0o600)
    files.write_text(path, "new", mode=0o600)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["token"]


def test_a_file_that_says_so_already_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    files.write_text(path, "ä page")
    before = path.stat()
    files.write_text(path, "ä page")
    assert path.stat() == before
    files.write_text(path, "ä page", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_disk_that_does_not_take_it_is_an_error_and_the_old_text_stays(tmp_path: Path) -> None:
    path = tmp_path / "intent.json"
    files.write_text(path, "old")
    (tmp_path / ".intent.json.new").mkdir()
    with pytest.raises(HostError, match=r"intent\.json cannot be written: Is a directory"):
        files.write_text(path, "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_damaged_file_is_an_error_and_not_an_absent_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "intent.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(HostError, match="Mend or remove it"):
        files.read_json(path)


def test_a_node_keeps_its_id_and_its_token_and_gets_a_new_boot_id(tmp_path: Path) -> None:
    first, second = load(tmp_path / "state"), load(tmp_path / "state")
    assert first.node_id == second.node_id
    assert first.tokens == second.tokens
    assert first.boot_id != second.boot_id


def test_the_token_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    who = load(tmp_path)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert len(who.tokens[0]) >= 22


def test_a_token_that_is_printed_is_not_shown(tmp_path: Path) -> None:
    who = load(tmp_path)
    assert who.tokens[0] not in f"{who} {who!r}"


def test_two_tokens_are_valid_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-new-token-0123456789\nan-old-token-0123456789\n")
    (tmp_path / "token").chmod(0o600)
    who = load(tmp_path)
    assert who.admits("a-new-token-0123456789")
    assert who.admits("an-old-token-0123456789")
    assert not who.admits("a-new-token-012345678")
    assert not who.admits("")
    assert not who.admits("ä" * 22)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        ("short\n", 0o600, "fewer than 22"),
        ("a-token-0123456789-0123\nshort\n", 0o600, "fewer than 22"),
        ("ä" * 30, 0o600, "cannot be read"),
        ("a-token-0123456789-0123\n", 0o644, "can be read by everyone on this host"),
    ],
)
def test_a_token_file_that_would_leave_the_node_open_is_refused(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(HostError, match=said):
        load(tmp_path)


def test_a_node_json_without_an_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text("{}")
    with pytest.raises(HostError, match="holds no node_id"):
        load(tmp_path)


def test_a_state_directory_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(HostError, match="state directory cannot be used"):
        load(tmp_path / "state")


def test_a_node_drains_if_its_operator_or_the_fleet_says_so(tmp_path: Path) -> None:
    store = IntentStore(tmp_path / "intent.json", Clock())
    seen = [store.draining]
    store.decide_fleet("draining", 1, "", "")
    seen.append(store.draining)
    store.decide_own("draining", "", "")
    store.decide_fleet("active", 2, "", "")
    seen.append(store.draining)
    store.decide_own("active", "", "")
    seen.append(store.draining)
    assert seen == [False, True, True, False]


def test_both_decisions_outlive_a_restart(tmp_path: Path) -> None:
    store = IntentStore(tmp_path / "intent.json", Clock(5.0))
    store.decide_own("draining", "new disk", "ann")
    store.decide_fleet("draining", 7, "rotate", "bob")
    again = IntentStore(tmp_path / "intent.json", Clock()).current
    assert again == store.current
    assert (again.own.reason, again.own.by, again.own.at) == ("new disk", "ann", 5.0)
    assert again.generation == 7


def test_an_older_decision_of_the_fleet_never_replaces_a_newer_one(tmp_path: Path) -> None:
    store = IntentStore(tmp_path / "intent.json", Clock())
    store.decide_fleet("draining", 7, "", "")
    with pytest.raises(StaleGeneration) as caught:
        store.decide_fleet("active", 6, "", "")
    assert caught.value.held == 7
    assert store.draining
    store.decide_fleet("draining", 7, "", "")
    assert store.current.generation == 7


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"own": {"state": "asleep", "reason": "", "by": "", "at": 0}, "fleet": {}, "generation": 0}',
        '{"own": 1, "fleet": 1, "generation": 0}',
    ],
)
def test_a_damaged_intent_is_refused_for_it_might_have_said_draining(tmp_path: Path, text: str) -> None:
    (tmp_path / "intent.json").write_text(text)
    with pytest.raises(HostError, match="does not hold an intent"):
        IntentStore(tmp_path / "intent.json", Clock())
