"""No sandbox's key is in a line of the redirector."""

from __future__ import annotations

import logging

import pytest

from redirector.logs import formatter, redact

KEY = "abcdefgh" + "234567" * 4 + "xy"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"GET /user/{KEY}/lab?x=1", "GET /user/abcdefgh[key]/lab?x=1"),
        (f"https://{KEY}.node1.example.org/lab", "https://abcdefgh[key].node1.example.org/lab"),
        ("Exception on /user/Zm9vYmFyLXNlY3JldA/tree [GET]", "Exception on /user/[key]/tree [GET]"),
        ("Exception on /wait/0123abcd-a-ticket/lab [GET]", "Exception on /wait/[ticket]/lab [GET]"),
        ("the path /user/ is fine", "the path /user/ is fine"),
        ("digest 0123456789abcdef0123456789abcdef01", "digest 0123456789abcdef0123456789abcdef01"),
    ],
)
def test_a_key_is_cut_to_the_sandboxs_name(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_what_libraries_log_is_cleaned_as_well() -> None:
    record = logging.LogRecord("flask.app", logging.ERROR, __file__, 1, "Exception on %s", (f"/user/{KEY}/lab",), None)
    assert KEY[8:] not in formatter("json").format(record)
