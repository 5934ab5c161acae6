"""In Chromium: cookies that a sandbox's page has set keep its visitor out for a moment at most."""

from __future__ import annotations

import pytest

from node_agent.pages import Pages
from tests.support.chromium import chromium
from tests.support.node_fakes import Request
from tests.support.node_nginx import KEY, run_nginx
from tests.support.waiting import wait_until

FILL = "for (let n = 0; n < 30; n++) document.cookie = `c${n}=${'x'.repeat(3900)}; path=/`"


def page(request: Request) -> None:
    request.answer(200, b"<html><body>my notebook</body></html>", [("Content-Type", "text/html")])


@pytest.mark.parametrize("path", [f"/user/{KEY}/lab", f"/user/{KEY}/tree/a"])
def test_a_visitor_whose_page_has_set_too_many_cookies_gets_in_again_by_waiting(path: str) -> None:
    with run_nginx() as front, chromium() as browser:
        Pages("https://entry.example.org").write(front.run_dir / "pages")
        front.sandbox(KEY, page)
        tab = browser.new_page()
        # Clear-Site-Data is for secure contexts alone; this machine itself is one.
        address = f"http://localhost:{front.port}{path}"
        tab.goto(address)
        tab.evaluate(FILL)
        # The browser's network process learns of a page's cookies a moment after the page.
        wait_until(lambda: (answer := tab.goto(address)) is not None and answer.status == 431, 20, "the refusal")
        tab.get_by_text("my notebook").wait_for(timeout=15_000)
        assert tab.evaluate("document.cookie") == ""
