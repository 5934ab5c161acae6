"""Tests of names and keys."""

from __future__ import annotations

import secrets

import pytest

from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import ALPHABET, base_path, is_key, name_of, new_key, redact

KEY = "abcdefgh" + "2" * 26


def test_a_key_is_34_letters_of_base32_the_first_8_being_the_name() -> None:
    key = new_key(secrets.choice)
    assert len(key) == 34
    assert set(key) <= set(ALPHABET)
    assert name_of(key) == key[:8]
    assert is_key(key)


def test_the_secret_part_holds_at_least_128_bits() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    assert len(KEY[8:]) * 5 >= 128


@pytest.mark.parametrize(
    "text", ["", "abc", KEY[:-1], KEY + "a", KEY.upper(), KEY[:-1] + "1", KEY[:-1] + "/", KEY + "\n"]
)
def test_anything_else_is_no_key(text: str) -> None:
    assert not is_key(text)


def test_the_base_path_is_what_nginx_routes_by() -> None:
    assert base_path(KEY) == f"/user/{KEY}/"


def test_a_text_loses_the_secret_of_every_key_in_it_and_keeps_the_name() -> None:
    text = redact(f"GET /user/{KEY}/lab and {KEY}, but not {KEY}a")
    assert text == f"GET /user/abcdefgh[key]/lab and abcdefgh[key], but not {KEY}a"


def test_a_sandbox_that_is_printed_does_not_show_its_key() -> None:
    sandbox = Sandbox(KEY, "default", "image", "ready", 1.0)
    assert KEY[8:] not in f"{sandbox!r} {sandbox}"
    assert sandbox.name == "abcdefgh"
