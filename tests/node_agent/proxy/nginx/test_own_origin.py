"""Tests of what applications may do where the origin is their sandbox's own: cookies and service workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node_agent.proxy.nginx.headers import HIDDEN, OF_AN_ORIGIN
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Answer, Front, run_nginx
from tmpnb_common.keys import name_of

NODE = "node1.example.org"
HOST = f"{name_of(KEY)}.{NODE}"


@pytest.fixture(scope="module")
def running() -> Iterator[Front]:
    with run_nginx(ORIGIN="sandbox") as front:
        yield front


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.clear()


def answer_of(front: Front, *headers: tuple[str, str], **sent: str) -> Answer:
    """What a browser gets of a sandbox that answers with these headers."""
    front.sandbox(KEY, lambda request: request.answer(200, b"hello", [*headers]))
    return front.ask(f"/user/{KEY}/app", "GET", None, Host=HOST, **sent)


def test_an_application_gets_the_cookie_back_that_it_has_set(front: Front) -> None:
    def rstudio(request: Request) -> None:
        if "csrf=1" in request.headers.get("Cookie", ""):
            request.answer(200, b"the application")
        else:
            request.answer(302, b"", [("Location", request.path), ("Set-Cookie", "csrf=1; Path=/; HttpOnly")])

    front.sandbox(KEY, rstudio)
    first = front.ask(f"/user/{KEY}/rstudio/", Host=HOST)
    cookie = str(first.header("Set-Cookie"))
    assert cookie.startswith("csrf=1; Path=/; HttpOnly")
    second = front.ask(f"/user/{KEY}/rstudio/", "GET", None, Host=HOST, Cookie=cookie.partition(";")[0])
    assert second.body == b"the application"


def test_a_websocket_of_an_application_bears_its_cookie(front: Front) -> None:
    cookies: list[str | None] = []

    def respond(request: Request) -> None:
        cookies.append(request.headers.get("Cookie"))
        request.answer(400)

    front.sandbox(KEY, respond)
    front.ask(f"/user/{KEY}/ws", "GET", None, Host=HOST, Upgrade="websocket", Connection="upgrade", Cookie="csrf=1")
    assert cookies == ["csrf=1"]


@pytest.mark.parametrize("domain", [NODE, f".{NODE}", NODE.upper(), "example.org", f"hgfedcba.{NODE}", HOST])
def test_a_cookie_for_a_wider_domain_is_kept_to_the_sandboxes_own_host(front: Front, domain: str) -> None:
    cookie = f"a=b; Domain=x.org; domain={domain}; Path=/"
    answer = answer_of(front, ("Set-Cookie", "first=1"), ("Set-Cookie", cookie))
    assert answer.header("Set-Cookie") == f"first=1; Secure, a=b; Domain={HOST}; domain={HOST}; Path=/; Secure"


@pytest.mark.parametrize("name", [name for name in HIDDEN if name not in OF_AN_ORIGIN])
def test_every_other_header_that_is_hidden_elsewhere_is_hidden_here_too(front: Front, name: str) -> None:
    assert "evil=1" not in str(answer_of(front, (name, "evil=1")).headers)


@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "Referer", "X-Forwarded-For", "Forwarded"])
def test_every_other_secret_of_the_visitor_is_kept_from_the_sandbox(front: Front, name: str) -> None:
    seen: list[str | None] = []

    def respond(request: Request) -> None:
        seen.append(request.headers.get(name))
        request.answer(200)

    front.sandbox(KEY, respond)
    front.ask(f"/user/{KEY}/app", "GET", None, Host=HOST, **{name.replace("-", "_"): "a secret"})
    assert seen == [None]


def test_an_application_may_have_a_service_worker(front: Front) -> None:
    answer = answer_of(front, ("Service-Worker-Allowed", "/"), Service_Worker="script")
    assert (answer.status, answer.header("Service-Worker-Allowed")) == (200, "/")


def test_the_nodes_own_host_sets_no_cookie_and_passes_none_to_a_sandbox(front: Front) -> None:
    reached: list[str] = []
    front.sandbox(KEY, lambda request: reached.append(request.path))
    answer = front.ask(f"/user/{KEY}/app", "GET", None, Host=NODE, Cookie="a=b")
    assert (answer.status, answer.header("Set-Cookie"), reached) == (307, None, [])
