"""Tests of what a node asks of its fleet and how it reads the answer, without a network."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
import responses
from responses import matchers

from node_agent.membership.joining import ANSWER_LIMIT, Membership

ENTRY = "https://try.example.org"


def leave_once() -> None:
    stop = threading.Event()
    stop.set()
    Membership(ENTRY, "http://n", "http://c", "the-join-token", "the-node-token").leave(stop)


@responses.activate
def test_joining_hands_over_the_nodes_addresses_and_token() -> None:
    call = responses.post(
        f"{ENTRY}/api/join",
        json={"name": "n1"},
        status=201,
        match=[
            matchers.header_matcher({"Authorization": "Bearer the-join-token", "Connection": "close"}),
            matchers.json_params_matcher({"url": "http://n", "control_url": "http://c", "token": "the-node-token"}),
        ],
    )
    Membership(ENTRY, "http://n", "http://c", "the-join-token", "the-node-token").join(threading.Event())
    assert call.call_count == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 403, "json": {"status": "forbidden", "message": "the token is wrong"}}, "403 the token is wrong"),
        ({"status": 503, "json": {"status": "database_away"}}, "503 database_away"),
        ({"status": 200, "body": "<html>"}, "it answered 200 and no JSON object"),
        ({"status": 200, "body": "[" * 5000}, "it answered 200 and no JSON object"),
        ({"status": 307, "headers": {"Location": "https://elsewhere"}}, "it answered 307 and no JSON object"),
        ({"status": 200, "body": b"x" * (ANSWER_LIMIT + 1)}, "no answer (the answer is too long)"),
        ({"body": requests.ConnectionError("refused")}, "no answer (refused)"),
        ({"body": ValueError("odd")}, "no answer (what came is no HTTP: ValueError)"),
    ],
    ids=["refused", "away", "no-json", "deep", "redirect", "long", "broken", "odd"],
)
@responses.activate
def test_an_answer_that_is_no_yes_becomes_a_reason(
    answer: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = responses.post(f"{ENTRY}/api/leave", **answer)
    leave_once()
    assert call.call_count == 1
    assert [getattr(record, "fields", {}).get("reason") for record in caplog.records] == [reason]
