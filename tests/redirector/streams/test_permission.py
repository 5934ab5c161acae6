"""Who may launch at all, by the headers of a request alone."""

from __future__ import annotations

import pytest

from redirector.streams.permission import own_origin, refusal
from tests.support.event_streams import PAGE

OWN = "https://hub.example"
EVENT_SOURCE = {"accept": "text/event-stream", "origin": PAGE, "sec-fetch-mode": "cors"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sec-fetch-mode": None},
        {"origin": None},
        {"origin": OWN},
        {"accept": "text/event-stream, */*"},
        {"accept": "Text/Event-Stream"},
    ],
)
def test_a_page_that_is_listed_and_programs_may(change: dict[str, str | None]) -> None:
    headers = {name: value for name, value in {**EVENT_SOURCE, **change}.items() if value is not None}
    assert refusal(headers, "build_token=x", (PAGE,), OWN) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accept": "text/html,*/*;q=0.8"}, "event stream"),
        ({"accept": ""}, "event stream"),
        ({"origin": "https://other.example"}, "TMPNB_ALLOW_ORIGIN"),
        ({"origin": f"{PAGE}.evil.example"}, "TMPNB_ALLOW_ORIGIN"),
        ({"origin": PAGE.replace("https", "http")}, "TMPNB_ALLOW_ORIGIN"),
        ({"origin": "null"}, "TMPNB_ALLOW_ORIGIN"),
        ({"origin": "https://x/" + "y" * 4000}, "TMPNB_ALLOW_ORIGIN"),
        ({"sec-fetch-mode": "no-cors"}, "script"),
        ({"sec-fetch-mode": "navigate"}, "script"),
        ({"sec-fetch-mode": ""}, "script"),
        ({"sec-purpose": "prefetch"}, "prefetch"),
        ({"sec-purpose": "prefetch;prerender"}, "prefetch"),
        ({"purpose": "prefetch"}, "prefetch"),
        ({"x-moz": "prefetch"}, "prefetch"),
    ],
)
def test_who_takes_nothing_is_told_why_in_one_line(change: dict[str, str], words: str) -> None:
    refused = refusal({**EVENT_SOURCE, **change}, "", (PAGE,), OWN)
    assert refused is not None
    assert refused.status_code == 403
    assert words in refused.message
    assert refused.message.index("\n") == len(refused.message) - 1
    assert len(refused.message) < 400


def test_every_page_may_where_the_operator_says_so() -> None:
    for origin in ("https://other.example", "null"):
        assert refusal({**EVENT_SOURCE, "origin": origin}, "", ("*",), OWN) is None


@pytest.mark.parametrize(("query", "status"), [("build_only=true", 501), ("a=1&build_only=True", 501)])
def test_nothing_is_built(query: str, status: int) -> None:
    refused = refusal(EVENT_SOURCE, query, (PAGE,), OWN)
    assert refused is not None
    assert refused.status_code == status


def test_a_query_of_a_thousand_fields_is_read_or_refused_but_never_an_error() -> None:
    assert refusal(EVENT_SOURCE, "&".join(f"a{n}=1" for n in range(1000)), (PAGE,), OWN) is None


def test_our_own_origin_is_the_operators_word_or_what_the_proxy_in_front_says() -> None:
    forwarded = {"host": "127.0.0.1:8000", "x-forwarded-proto": "https", "x-forwarded-host": "hub.example"}
    assert own_origin("https://entry.example/base", forwarded, "http") == "https://entry.example"
    assert own_origin("", forwarded, "http") == OWN
    assert own_origin("", {"host": "127.0.0.1:8000"}, "http") == "http://127.0.0.1:8000"
    twice = {"x-forwarded-proto": "http, https", "x-forwarded-host": "inner.example, hub.example"}
    assert own_origin("", twice, "http") == OWN
