"""Wrong tokens: each client address may try a few, and right ones from elsewhere never wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from redirector.memory.rate_limits import Allowance, RateLimits
from redirector.web.admin.auth import WRONG_AT_ONCE, Keyholders
from tests.support.fleet_worker import ADMIN_TOKEN, SteppedWorker, stepped_worker

STRANGER, OPERATOR = {"REMOTE_ADDR": "198.51.100.7"}, {"REMOTE_ADDR": "203.0.113.9"}
RIGHT = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
WRONG = {"Authorization": "Bearer a-wrong-token"}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[SteppedWorker]:
    with stepped_worker(tmp_path, TMPNB_WORKERS="1") as fleet:
        yield fleet


def exhaust(fleet: SteppedWorker) -> TestResponse:
    for _ in range(WRONG_AT_ONCE):
        answer = fleet.web.get("/api/nodes", headers=WRONG, environ_base=STRANGER)
        assert answer.status_code == 403
    return fleet.web.get("/api/nodes", headers=WRONG, environ_base=STRANGER)


def test_who_tries_too_many_wrong_tokens_has_to_wait_and_learns_nothing_meanwhile(alone: SteppedWorker) -> None:
    refused = exhaust(alone)
    assert (refused.status_code, refused.get_json()["status"]) == (429, "limited")
    assert int(refused.headers["Retry-After"]) >= 1
    even_right = alone.web.get("/api/nodes", headers=RIGHT, environ_base=STRANGER)
    assert even_right.status_code == 429
    login = alone.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}, environ_base=STRANGER)
    assert login.status_code == 429
    assert login.headers["Retry-After"]
    assert "Too many wrong tokens" in login.text
    assert "Set-Cookie" not in login.headers


def test_nobody_else_waits_for_that(alone: SteppedWorker) -> None:
    session = alone.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}, environ_base=STRANGER)
    assert session.status_code == 303
    exhaust(alone)
    assert alone.web.get("/api/nodes", headers=RIGHT, environ_base=OPERATOR).status_code == 200
    assert alone.web.post("/dashboard/login", data={"token": ADMIN_TOKEN}, environ_base=OPERATOR).status_code == 303
    opened_before = alone.web.get("/dashboard/fleet.json", environ_base=STRANGER)
    assert opened_before.status_code == 200, "a session from before goes on"
    without_any = alone.web.get("/api/nodes", environ_base=STRANGER)
    assert without_any.status_code == 401


def test_logins_count_as_well(alone: SteppedWorker) -> None:
    answers = [
        alone.web.post("/dashboard/login", data={"token": f"guess-{number}"}, environ_base=STRANGER).status_code
        for number in range(WRONG_AT_ONCE + 1)
    ]
    assert answers == [403] * WRONG_AT_ONCE + [429]


def test_addresses_without_limits_never_wait(alone: SteppedWorker) -> None:
    for _ in range(WRONG_AT_ONCE + 5):
        assert alone.web.get("/api/nodes", headers=WRONG).status_code == 403
    assert alone.web.get("/api/nodes", headers=RIGHT).status_code == 200


@pytest.mark.parametrize("hops", ["172.18.0.1", "unknown", "[2001:db8::1]:4711", ""])
def test_whoever_hides_behind_a_bridge_a_word_or_a_port_has_to_wait_as_anyone(tmp_path: Path, hops: str) -> None:
    with stepped_worker(tmp_path, TMPNB_TRUSTED_PROXIES="1") as fleet:
        headers = {**WRONG, "X-Forwarded-For": hops}
        answers = [fleet.web.get("/api/nodes", headers=headers).status_code for _ in range(WRONG_AT_ONCE + 2)]
    assert answers == [403] * WRONG_AT_ONCE + [429] * 2


def test_a_turn_comes_again_and_right_tokens_use_up_none() -> None:
    now = 0.0
    holders = Keyholders("admin", "", ["right"], RateLimits(Allowance(2, 12.0)), lambda: now)
    with Flask(__name__).test_request_context(environ_base=STRANGER):
        for _ in range(10):
            assert holders.signer("right") == "right"
        assert holders.signer("wrong") == holders.signer("wröng") == ""
        assert holders.must_wait() == 5
        now = 4.5
        assert holders.must_wait() == 1
        now = 5.0
        assert holders.must_wait() == 0
