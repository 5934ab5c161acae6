"""Cookies that a sandbox's page, or another site on the same domain, has set lock nobody out of a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, Front, run_nginx

SEEN: list[Request] = []


def answer(request: Request) -> None:
    SEEN.append(request)
    request.answer(200, b"mine")


def cookies(count: int) -> str:
    return "; ".join(f"c{number}=" + "x" * 3900 for number in range(count))


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with run_nginx() as front:
        (front.run_dir / "pages" / "cookies.html").write_text("too many cookies")
        front.sandbox(KEY, answer)
        front.agent(answer)
        yield front


@pytest.mark.parametrize("path", [f"/user/{KEY}/lab", "/", "/api/stats", f"/-/left/{KEY}"])
def test_eight_large_cookies_change_nothing_and_go_no_further(front: Front, path: str) -> None:
    assert front.ask(path, Cookie=cookies(8)).status == 200
    assert "cookie" not in {name.lower() for name in SEEN[-1].headers}


@pytest.mark.parametrize("count", [9, 60, 180])
@pytest.mark.parametrize("path", [f"/user/{KEY}/lab", "/"])
def test_whoever_brings_more_is_told_to_forget_them_and_to_come_again(front: Front, path: str, count: int) -> None:
    refused = front.ask(path, Cookie=cookies(count))
    assert refused.status == 431
    assert refused.header("Clear-Site-Data") == '"cookies"'
    assert refused.header("Refresh") == "2"
    assert refused.header("Cache-Control") == "no-store"
    assert refused.body == b"too many cookies"
