"""What a visitor's cookie remembers, and how long and how much."""

from __future__ import annotations

import secrets
import time

import pytest
from itsdangerous import URLSafeTimedSerializer

from redirector.model.visitor_cookie import MOST_SANDBOXES, KnownSandbox, Visitor, base_of, sandbox_key
from redirector.web.visitors.cookies import LASTS_SECONDS, LONGEST_VALUE, SALT, Seal

SANDBOX = KnownSandbox("n1", "s1", "http://n1.example.org/user/key")


def test_a_visitor_is_read_back_as_written() -> None:
    visitor = Visitor(framed=True).with_sandbox("default", SANDBOX).with_ticket("ticket")
    assert visitor.framed
    assert Seal(["k"]).read(Seal(["k"]).write(visitor)) == visitor


@pytest.mark.parametrize("value", ["", "nonsense", "e30.x.y", "ä", "." * 5000])
def test_what_is_no_cookie_of_ours_is_nobody(value: str) -> None:
    assert Seal(["k"]).read(value) == Visitor()


@pytest.mark.parametrize("content", [None, 7, "x", [], {}, {"t": "x"}, {"t": "", "h": 3}, {"t": "", "h": {"p": ["a"]}}])
def test_a_cookie_of_another_version_is_nobody(content: object) -> None:
    value = URLSafeTimedSerializer("k", salt=SALT).dumps(content)
    assert Seal(["k"]).read(str(value)) == Visitor()


def test_a_cookie_that_was_changed_is_nobody() -> None:
    value = Seal(["k"]).write(Visitor("ticket"))
    assert Seal(["k"]).read("a" + value) == Visitor()
    assert Seal(["other"]).read(value) == Visitor()


def test_a_key_can_be_changed_without_forgetting_anybody() -> None:
    old = Seal(["old"]).write(Visitor("ticket"))
    assert Seal(["new", "old"]).read(old) == Visitor("ticket")
    new = Seal(["new", "old"]).write(Visitor("ticket"))
    assert Seal(["new"]).read(new) == Visitor("ticket"), "it signs with the first"


@pytest.mark.parametrize("ahead", [-600, -2, 0, 2, 600])
def test_a_cookie_of_a_host_whose_clock_is_ahead_or_behind_is_kept(ahead: float) -> None:
    cookie = Seal(["k"]).write(Visitor("ticket"))
    assert Seal(["k"], clock=lambda: time.time() - ahead).read(cookie) == Visitor("ticket")


@pytest.mark.parametrize("later", [LASTS_SECONDS + 2, -LASTS_SECONDS - 2])
def test_a_cookie_of_another_day_is_nobody(later: float) -> None:
    cookie = Seal(["k"]).write(Visitor("ticket"))
    assert Seal(["k"], clock=lambda: time.time() + later).read(cookie) == Visitor()


def test_a_sandbox_ends_the_wait_and_only_the_latest_of_each_pool_is_remembered() -> None:
    visitor = Visitor("ticket")
    for pool in ("a", "b", "a", "c", "d", "e"):
        visitor = visitor.with_sandbox(pool, SANDBOX)
    assert visitor.ticket == ""
    assert list(visitor.sandboxes) == ["a", "c", "d", "e"]
    assert len(visitor.sandboxes) == MOST_SANDBOXES


def test_a_sandbox_is_remembered_for_each_content_of_a_pool() -> None:
    visitor = Visitor().with_sandbox(sandbox_key("a"), SANDBOX).with_sandbox(sandbox_key("a", "c1"), SANDBOX)
    assert Seal(["k"]).read(Seal(["k"]).write(visitor)) == visitor
    assert len(visitor.sandboxes) == 2


def test_a_cookie_never_grows_beyond_what_browsers_keep_and_forgets_the_oldest_sandboxes_first() -> None:
    visitor = Visitor("ticket")
    for number in range(MOST_SANDBOXES):
        base = f"http://n{number}.example.org/" + secrets.token_urlsafe(900)  # which cannot be packed
        visitor = visitor.with_sandbox(f"pool{number}", KnownSandbox("n1", "s1", base)).with_ticket("ticket")
    value = Seal(["k"]).write(visitor)
    assert len(value) <= LONGEST_VALUE
    kept = Seal(["k"]).read(value)
    assert kept.ticket == "ticket"
    assert list(kept.sandboxes) == list(visitor.sandboxes)[-len(kept.sandboxes) :]
    assert 0 < len(kept.sandboxes) < MOST_SANDBOXES


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://n1.example.org/user/key/lab/tree/a.ipynb?x=/user/", "http://n1.example.org/user/key"),
        ("https://example.org/n1/user/key/", "https://example.org/n1/user/key"),
        ("http://127.0.0.1:8101/user/key?token=1", "http://127.0.0.1:8101/user/key"),
        ("https://key.n1.example.org/lab?x", "https://key.n1.example.org"),
    ],
)
def test_a_sandbox_has_an_address_without_the_path_inside_it(url: str, base: str) -> None:
    assert base_of(url) == base


def test_neither_key_nor_ticket_shows_where_a_visitor_is_printed() -> None:
    shown = repr(Visitor("secret-ticket").with_sandbox("default", SANDBOX).with_ticket("secret-ticket"))
    assert "secret" not in shown
    assert "user/key" not in shown
