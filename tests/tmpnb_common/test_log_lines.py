"""One line an event, in two hands."""

from __future__ import annotations

import json
import logging
import shlex
import sys

import pytest

from tmpnb_common.claims import ticket_mark
from tmpnb_common.log_lines import LineFormatter, Style, fields


def line(style: Style, message: str, *, trace: bool = False, **values: object) -> str:
    record = logging.LogRecord("a.part", logging.WARNING, __file__, 1, message, (), sys.exc_info() if trace else None)
    record.created = 1_700_000_000.25
    record.__dict__.update(fields(**values))
    return LineFormatter(style, lambda text: text.replace("hunter2", "[cut]")).format(record)


def test_a_line_of_text_is_words_with_values() -> None:
    assert line("text", "placed", ticket="ab12", tries=2, seconds=0.0123456789, first=True) == (
        "time=2023-11-14T22:13:20.250Z level=warning from=a.part message=placed "
        "ticket=ab12 tries=2 seconds=0.0123457 first=true"
    )


def test_a_line_of_json_is_one_object_with_the_same_words() -> None:
    assert json.loads(line("json", "not placed", reasons={"n1": "full"})) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "from": "a.part",
        "message": "not placed",
        "reasons": {"n1": "full"},
    }


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "Invalid request from ip=2001:db8::1: Invalid HTTP request line: 'GET /wait/hush?hush'",
            "Invalid request from ip=2001:db8::1: Invalid HTTP request line",
        ),
        ("Invalid request from ip=: Invalid HTTP method: 'HUSH'", "Invalid request from ip=: Invalid HTTP method"),
        ("Invalid request from ip=: Request Line is too large (9000 > 8190)", None),
        ("Invalid request from ip=1.2.3.4: 'hush'\nhush", "Invalid request from ip=1.2.3.4:"),
        ("Error handling request GET /wait/hush?hush", "Error handling request"),
        ("Error handling request /-/left/hush", "Error handling request"),
        ("Error handling request (no URI read)", "Error handling request (no URI read)"),
    ],
)
def test_what_gunicorn_quotes_of_a_request_is_left_out(message: str, shown: str | None) -> None:
    said = json.loads(line("json", message))["message"]
    assert said == (shown or "Invalid request from ip=: Request Line is too large")


@pytest.mark.parametrize("evil", ["two words", "a\nlevel=critical", 'say "no"', "\x1b[2J", "", "a=b", "\u2028"])
def test_no_value_can_pass_for_another_line_or_word(evil: str) -> None:
    text = line("text", "seen", reason=evil)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert sum(word.startswith("level=") for word in shlex.split(text)) == 1
    assert json.loads(line("json", "seen", reason=evil))["reason"] == evil


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_trace_stays_on_its_line_and_is_cleaned_too(style: Style) -> None:
    try:
        int("hunter2 is the key")
    except ValueError:
        said = line(style, "failed", trace=True)
    assert len(said.splitlines()) == 1
    assert "[cut] is the key" in said
    assert "hunter2" not in said


def test_a_tickets_short_form_tells_tickets_apart_and_is_no_part_of_them() -> None:
    marks = {ticket_mark(f"ticket-{number}") for number in range(100)}
    assert len(marks) == 100
    assert all(len(mark) == 8 and mark not in f"ticket-{number}" for number, mark in enumerate(sorted(marks)))
