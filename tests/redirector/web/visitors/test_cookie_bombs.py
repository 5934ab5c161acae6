"""Behind the nginx that is shipped, no cookies of other sites on the same domain keep a visitor out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet_nodes import fake_nodes
from tests.support.live_entry import live_entry
from tests.support.redirector_front import Front, redirector_front
from tests.support.seat import seat
from tests.support.waiting import wait_until


def cookies(count: int) -> str:
    return "; ".join(f"c{number}=" + "x" * 3900 for number in range(count))


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    state: Path = tmp_path_factory.mktemp("state")
    with fake_nodes() as nodes, seat(state, TMPNB_TRUSTED_PROXIES="1") as redirector:
        redirector.add(nodes.add("n1", capacity=50, ready=50))
        with redirector_front(int(redirector.url.rpartition(":")[2])) as front:
            wait_until(lambda: front.ask("GET", "/") == 302, 20, "the node to be in use")
            yield front


@pytest.mark.parametrize("count", [3, 8, 9, 40, 180])
def test_the_entry_redirects_whatever_cookies_a_browser_brings_to_the_page_it_asked_for(
    front: Front, count: int
) -> None:
    answer = front.fetch("GET", "/lab/tree/a.ipynb", Cookie=cookies(count), Accept="text/html")
    assert answer.status == 302
    assert (answer.getheader("Location") or "").endswith("/lab/tree/a.ipynb")


def test_a_visitor_comes_home_past_seven_large_cookies(front: Front) -> None:
    first = front.fetch("GET", "/lab")
    [ours] = re.findall(r"(__Host-tmpnb=[^;]*)", first.getheader("Set-Cookie") or "")
    again = front.fetch("GET", "/lab", Cookie=f"{cookies(3)}; {ours}; {cookies(4)}")
    assert again.getheader("Location") == first.getheader("Location")


def test_an_operator_stays_logged_in_past_other_cookies(front: Front) -> None:
    other = "__Host-tmpnb-operator=nonsense; __Host-tmpnb=nonsense"
    answer = front.fetch("GET", "/dashboard", Cookie=f"{cookies(3)}; {other}", Accept="text/html")
    assert answer.status == 200


def test_what_is_sent_with_far_too_many_cookies_changes_nothing(front: Front) -> None:
    answer = front.fetch("POST", "/api/spawn", b"{}", Cookie=cookies(20))
    assert answer.status == 405
    assert front.ask("GET", "/") == 302


def test_without_any_nginx_three_large_cookies_keep_nobody_out() -> None:
    with live_entry(TMPNB_WORKERS="1") as entry:
        entry.add("n1", capacity=5, ready=5)
        assert entry.visit("/", Cookie=cookies(7)).status_code == 302
