"""One table a program: rows stand where their fields stand, every problem comes at once, secrets stay hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tmpnb_common import secret_files
from tmpnb_common.settings import (
    count,
    load,
    misspelt,
    one_of,
    rows_of,
    seconds,
    secrets_in_file,
    setting,
    sites,
    switch,
)


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True, kw_only=True)
class Settings:
    size: int = setting(count(1, 9), "3", "things", "How many.")
    half: int = setting(count(0, 9), lambda above: str(above["size"] // 2), "things", "How many more.", shown="SIZE/2")
    keys: tuple[str, ...] = setting(
        words, "", "key", "Opens it.", secret=True, name="KEY", from_file=secrets_in_file(words), file_reason="Same."
    )
    total: int


TABLE = rows_of(Settings, "T_")


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_field_says_its_rows_and_a_field_that_is_computed_has_none() -> None:
    assert [(row.variable, row.shown_default, row.secret) for row in TABLE] == [
        ("T_SIZE", "3", False),
        ("T_HALF", "SIZE/2", False),
        ("T_KEY", "none", True),
        ("T_KEY_FILE", "none", False),
    ]


def test_a_default_follows_from_the_fields_above_it() -> None:
    assert load(TABLE, {"T_SIZE": "8"}) == ({"size": 8, "half": 4, "keys": ()}, [])


def test_every_problem_comes_at_once_and_what_follows_from_it_is_no_problem_of_its_own() -> None:
    values, problems = load(TABLE, {"T_SIZE": "ten", "T_KEY_FILE": "/nowhere/at/all"})
    assert values == {"keys": ()}
    assert problems == [
        "T_SIZE is 'ten', not a whole number from 1 to 9",
        "T_KEY_FILE names the file '/nowhere/at/all', which cannot be read: No such file or directory",
    ]


def test_a_secret_may_stand_in_the_environment_and_in_a_file_and_counts_once(tmp_path: Path) -> None:
    file = secret(tmp_path / "keys", "b\na\n")
    assert load(TABLE, {"T_KEY": "a", "T_KEY_FILE": str(file)})[0]["keys"] == ("a", "b")
    assert "hunter2" not in repr(Settings(size=1, half=0, keys=("hunter2",), total=1))


def test_a_near_miss_is_told_and_what_belongs_to_others_is_left_alone() -> None:
    known = [row.variable for row in TABLE]
    assert misspelt(["T_SZIE", "OTHER", "T_KEY"], "T_", known) == ["T_SZIE is no setting; did you mean T_SIZE?"]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (count(1, 9), "²"),
        (count(1, 9), "-1"),
        (count(1, 9), " 2"),
        (seconds(0.1, 60), "nan"),
        (seconds(0.1, 60), "inf"),
        (seconds(0.1, 60), "soon"),
        (switch, "yes"),
        (one_of("a", "b"), ""),
        (sites, "https://a.example; script-src *"),
        (sites, "https://a.example/path"),
    ],
)
def test_nonsense_is_refused_in_half_a_sentence(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|holds) '"):
        parse(text)


@pytest.mark.parametrize("text", ["*", "https://*.a.example", "http://[::1]:8000", "https://a.example:*"])
def test_origins_are_taken_as_browsers_write_them(text: str) -> None:
    assert sites(text) == (text,)


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("\n", 0o600, "is empty"),
        ("a", 0o644, "can be read by everyone on this host"),
        ("ä", 0o600, "cannot be read: it is no text"),
    ],
)
def test_a_secret_file_that_is_of_no_use_or_for_all_eyes_is_refused(
    tmp_path: Path, text: str, mode: int, problem: str
) -> None:
    with pytest.raises(secret_files.SecretFileError, match=problem):
        secret_files.read(secret(tmp_path / "secret", text, mode))
