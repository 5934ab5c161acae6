"""Takes the screenshots of visitors' pages that the documentation shows.

Usage: python -m tests.browser.redirector.screenshots docs/screenshots
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import requests
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from node_agent.pages import Pages
from tests.support.chromium import chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry, live_entry
from tests.support.waiting import wait_until

SIZE: ViewportSize = {"width": 640, "height": 380}
PHONE: ViewportSize = {"width": 360, "height": 560}
BEFORE = 44
"""How many came earlier."""

LET_IN = 4
"""How many of them are inside by now."""

PROGRAM = {"Accept": "application/json"}
LIMITS = {"TMPNB_CLIENT_FREE": "", "TMPNB_CLIENT_BURST": "1", "TMPNB_CLIENT_PER_MINUTE": "1", "TMPNB_WORKERS": "1"}


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for dark in (False, True):
        with chromium(dark=dark, viewport=SIZE) as browser, live_entry() as entry:
            node = entry.add("n1", ready=0, capacity=40)
            page = in_line(browser, entry, node)
            shoot(page, target, f"waiting-{'dark' if dark else 'light'}")
            if not dark:
                page.set_viewport_size(PHONE)
                shoot(page, target, "waiting-phone")
                page.set_viewport_size(SIZE)
                others(page, entry, node, target)
                pages_of_a_node(page, target)
    with chromium(viewport=SIZE) as browser, live_entry(**LIMITS) as entry:
        entry.add("n1", ready=1, capacity=1)
        over_a_limit(browser.new_page(), entry, target)
    with chromium(viewport=SIZE) as browser, live_entry(TMPNB_WAITING_LIMIT="1") as entry:
        entry.add("n1", ready=0)
        requests.get(entry.url, headers=PROGRAM, timeout=10)
        page = browser.new_page()
        page.goto(entry.url)
        shoot(page, target, "full")


def in_line(browser: BrowserContext, entry: LiveEntry, node: FakeNode) -> Page:
    """The waiting room of somebody who is far from being the first."""
    places = [requests.get(entry.url, headers=PROGRAM, timeout=10).json()["next"] for _ in range(BEFORE)]
    node.ready = LET_IN
    wait_until(lambda: sum([ask(entry, place) for place in places]) == LET_IN, 30, "some to be let in")
    page = browser.new_page()
    page.goto(f"{entry.url}/lab")

    def everyone_asks() -> bool:
        page.wait_for_timeout(300)
        _ = [ask(entry, place) for place in places[LET_IN:]]
        return page.locator("[data-case=minutes]").is_visible()

    wait_until(everyone_asks, 60, "a wait of minutes")
    return page


def ask(entry: LiveEntry, place: str) -> bool:
    """Whether that place has led to a sandbox."""
    return "url" in requests.get(f"{entry.url}{place}", headers=PROGRAM, timeout=10).json()


def others(page: Page, entry: LiveEntry, node: FakeNode, target: Path) -> None:
    page.goto("about:blank")
    entry.empty()
    node.starting = 1
    page.goto(f"{entry.url}/lab")
    expect(page.locator("h1:visible")).to_have_text("Your notebook is on its way", timeout=20_000)
    shoot(page, target, "starting")
    entry.nodes.die(node)
    expect(page.locator("h1:visible")).to_have_text("The servers do not answer just now", timeout=30_000)
    shoot(page, target, "waiting-trouble")
    page.goto(f"{entry.url}/nope")
    shoot(page, target, "not-found")


def over_a_limit(page: Page, entry: LiveEntry, target: Path) -> None:
    """The same address comes again and again, until it is told to wait and in the end to come back later."""
    requests.get(entry.url, headers=PROGRAM, timeout=10, allow_redirects=False)
    page.goto(f"{entry.url}/lab")
    shoot(page, target, "held")
    page.goto("about:blank")
    page.context.clear_cookies()
    answers = [requests.get(entry.url, headers=PROGRAM, timeout=10).status_code for _ in range(6)]
    assert answers[-1] == requests.codes.too_many, answers
    page.goto(f"{entry.url}/lab")
    shoot(page, target, "limited")


def pages_of_a_node(page: Page, target: Path) -> None:
    node_pages = Pages("https://try.example.org")
    for name in ("gone", "broken"):
        # The last page's policy would hold for this one too; and nginx fills in what is a comment here.
        page.goto("about:blank")
        page.set_content(re.sub(r"<!--#.*?-->", "", node_pages.render(name)))
        shoot(page, target, f"node-{name}")


def shoot(page: Page, target: Path, name: str) -> None:
    page.screenshot(path=target / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
