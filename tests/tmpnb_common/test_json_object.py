"""The reader of JSON from outside: what fits becomes a dataclass, what does not is a sentence that names the field."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmpnb_common.json_object import Count, JsonError, Line, Moment, Text, Ticket, convert, decode, decode_request


@dataclass(frozen=True, slots=True)
class _Inner:
    size: Count
    text: Text = ""


@dataclass(frozen=True, slots=True)
class _Outer:
    count: Count
    state: Literal["on", "off"] = "on"
    line: Line = ""
    ticket: Ticket | None = None
    moment: Moment = 0.0
    flag: bool = False
    texts: tuple[Text, ...] = ()
    inner: Mapping[Text, _Inner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Request:
    line: Line = "as ever"


def test_what_fits_becomes_the_dataclass_and_unknown_fields_are_ignored() -> None:
    body = b'{"count": 3, "weather": "fine", "moment": 5, "texts": ["a"], "inner": {"x": {"size": 1}}}'
    assert decode(_Outer, body) == _Outer(3, moment=5.0, texts=("a",), inner={"x": _Inner(1)})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "stats is not JSON"),
        (b"{", "stats is not JSON"),
        (b'{"line": "\xff"}', "stats is not JSON"),
        (b'{"count": 1, "line": "\\ud800"}', "stats is not JSON"),
        (b"[" * 100_000, "stats is not a JSON object"),
        (b'{"count": 1, "x": ' + b"[" * 100_000, "stats is not JSON"),
        (b"[]", "stats is not a JSON object"),
        (b"null", "stats is not a JSON object"),
        (b"{}", "stats: count is missing"),
        (b'{"count": null}', "stats: count has to be a whole number from 0"),
        (b'{"count": true}', "stats: count has to be a whole number from 0"),
        (b'{"count": 1.0}', "stats: count has to be a whole number from 0"),
        (b'{"count": -1}', "stats: count has to be a whole number from 0"),
        (b'{"count": 9007199254740992}', "stats: count has to be a whole number from 0"),
        (b'{"count": 1, "flag": 1}', "stats: flag has to be true or false"),
        (b'{"count": 1, "moment": 1e300}', "stats: moment has to be a time in seconds since 1970"),
        (b'{"count": 1, "line": "a\\nb"}', "stats: line has to be a text of at most 2000 characters in one line"),
        (b'{"count": 1, "line": "a\\n"}', "stats: line has to be a text of at most 2000 characters in one line"),
        (b'{"count": 1, "line": "\\u202e"}', "stats: line has to be a text of at most 2000 characters in one line"),
        (b'{"count": 1, "ticket": "short"}', "stats: ticket has to be 22 to 128 characters of A-Z a-z 0-9 _ -"),
        (b'{"count": 1, "ticket": "' + b"a" * 30 + b'\\n"}', "stats: ticket has to be 22 to 128 characters"),
        (b'{"count": 1, "texts": ["a", 2]}', "stats: texts[1] has to be a text of at most 4096 characters"),
        (b'{"count": 1, "texts": ["\\u0000"]}', "stats: texts[0] has to be a text of at most 4096 characters"),
        (b'{"count": 1, "inner": {"x": {}}}', "stats: inner[...].size is missing"),
        (b'{"count": 1, "inner": {"x": {"size": "1"}}}', "stats: inner[...].size has to be a whole number from 0"),
        (b'{"count": 1, "inner": {"\\u0000": {"size": 1}}}', "stats: a name in inner has a wrong form"),
        (b'{"count": 1, "texts": "a"}', "stats: texts has to be a list"),
        (b'{"count": 1, "inner": []}', "stats: inner has to be an object"),
        (b'{"count": 1, "state": "ajar"}', "stats: state has to be 'on' or 'off'"),
    ],
)
def test_what_does_not_fit_is_a_sentence_that_names_the_field(body: bytes, sentence: str) -> None:
    with pytest.raises(JsonError) as raised:
        decode(_Outer, body, "stats")
    assert str(raised.value).startswith(sentence)


def test_a_request_body_is_called_that_where_nothing_else_is_said() -> None:
    with pytest.raises(JsonError, match=r"^the body is not JSON$"):
        decode(_Outer, b"?")
    with pytest.raises(JsonError, match=r"^count is missing: a whole number from 0$"):
        convert(_Outer, {})


def test_an_object_that_was_parsed_already_is_read_alike() -> None:
    assert convert(_Outer, {"count": 1, "inner": {"x": {"size": 2}}}) == _Outer(1, inner={"x": _Inner(2)})


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"line": null, "weather": null}'])
def test_a_request_without_a_body_is_empty_and_null_is_as_good_as_missing(body: bytes) -> None:
    assert decode_request(_Request, body) == _Request()


@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b'"{}"'])
def test_a_request_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(JsonError, match="the body is not a JSON object"):
        decode_request(_Request, body)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_but_our_own_error(body: bytes) -> None:
    with contextlib.suppress(JsonError):
        assert isinstance(decode(_Outer, body), _Outer)
