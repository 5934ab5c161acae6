"""The waiting room in Chromium: it moves by itself, keeps its place, and goes on to the notebook."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.chromium import Traffic, chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry
from tests.support.other_site import Site
from tests.support.waiting import wait_until

SOON = 20_000
"""Milliseconds."""

NOTEBOOK = re.compile(r"/user/[0-9a-f]{16}/lab$")
EMBEDDING = (
    """<!doctype html><title>An article</title><iframe id="notebook" src="{}" width="800" height="400"></iframe>"""
)
PAGE_BYTES = 30_000


def position(page: Page) -> str:
    return page.locator("[data-number=position]").inner_text()


class Stranger:
    """Another visitor, who was there first: a program, which needs no second browser."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._next = self._ask("/")["next"]

    def asks(self) -> bool:
        """Keep the place; whether they have their sandbox now."""
        return "url" in self._ask(self._next)

    def _ask(self, path: str) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        return dict(requests.get(f"{self._url}{path}", headers=headers, timeout=10).json())


def await_in(page: Page, condition: Callable[[], object], what: str) -> None:
    """Wait for something that the browser tells of: only Playwright's own waiting lets its events in."""

    def looked() -> object:
        page.wait_for_timeout(50)
        return condition()

    wait_until(looked, SOON / 1000, what)


def test_a_visitor_sees_the_place_move_and_then_the_notebook(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext
) -> None:
    first, page = Stranger(entry.url), browser.new_page()
    page.goto(f"{entry.url}/lab/tree/Plot.ipynb?x=1")
    await_in(page, lambda: not first.asks() and position(page) == "2", "the second place")
    expect(page.locator("h1:visible")).to_have_text("All notebooks are in use, and you are in line")
    node.ready = 1
    await_in(page, first.asks, "a sandbox for the first")
    expect(page.locator("[data-number=position]")).to_have_text("1", timeout=SOON)
    expect(page).to_have_title(re.compile(r"^\(1\)"), timeout=SOON)
    node.ready = 1
    page.wait_for_url(re.compile(r"/user/[0-9a-f]{16}/lab/tree/Plot\.ipynb\?x=1$"), timeout=SOON)


def test_a_reload_keeps_the_place_and_a_second_tab_is_no_second_one(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext
) -> None:
    page, tab = browser.new_page(), browser.new_page()
    page.goto(entry.url)
    expect(page.locator("[data-number=position]")).to_have_text("1")
    page.reload()
    tab.goto(f"{entry.url}/lab/tree/b.ipynb")
    expect(tab.locator("[data-number=waiting]")).to_have_text("1")
    assert position(page) == position(tab) == "1"
    assert page.url == f"{entry.url}/", "with cookies the address stays what it was"
    node.ready = 1
    page.wait_for_url(NOTEBOOK, timeout=SOON)
    tab.wait_for_url(re.compile(r"/user/[0-9a-f]{16}/lab/tree/b\.ipynb$"), timeout=SOON)
    assert page.url.split("/lab")[0] == tab.url.split("/lab")[0]


def test_where_cookies_are_refused_the_address_keeps_the_place(entry: LiveEntry, node: FakeNode) -> None:
    with chromium(cookies=False) as browser:
        page = browser.new_page()
        page.goto(f"{entry.url}/lab?x=1")
        page.wait_for_url(re.compile(r"/wait/[\w-]{32}/lab\?x=1$"), timeout=SOON)
        before = page.url
        page.reload()
        expect(page.locator("[data-number=waiting]")).to_have_text("1")
        assert page.url == before
        node.ready = 1
        page.wait_for_url(re.compile(r"/user/[0-9a-f]{16}/lab\?x=1$"), timeout=SOON)


def test_without_a_script_the_page_goes_on_by_itself_too(entry: LiveEntry, node: FakeNode) -> None:
    with chromium(java_script_enabled=False) as browser:
        page = browser.new_page()
        page.goto(f"{entry.url}/lab")
        expect(page.locator("h1:visible")).to_have_count(1)
        page.wait_for_url(re.compile(r"/wait/[\w-]{32}/lab$"), timeout=SOON)
        assert entry.waiting() == 1, "a page that is loaded again is still the same visitor"
        node.ready = 1
        page.wait_for_url(NOTEBOOK, timeout=SOON)


def test_a_closed_tab_makes_room_for_the_next(entry: LiveEntry, node: FakeNode, browser: BrowserContext) -> None:
    assert node.ready == 0
    Stranger(entry.url)
    page = browser.new_page()
    page.goto(entry.url)
    expect(page.locator("[data-number=position]")).to_have_text("2")
    expect(page.locator("[data-number=position]")).to_have_text("1", timeout=SOON)


def test_coming_back_leads_to_the_same_notebook_and_fresh_to_a_new_one(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext
) -> None:
    node.ready = 3
    page = browser.new_page()
    page.goto(entry.url)
    page.wait_for_url(NOTEBOOK, timeout=SOON)
    first = page.url.split("/lab")[0]
    page.goto(f"{entry.url}/lab")
    assert page.url == f"{first}/lab"
    page.goto(f"{entry.url}/lab?fresh")
    page.wait_for_url(NOTEBOOK, timeout=SOON)
    assert page.url.split("/lab")[0] != first


def test_the_waiting_room_works_in_a_frame_of_a_site_that_may_embed(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext, site: Site
) -> None:
    site.page = EMBEDDING.format(f"{entry.url}/lab")
    page = browser.new_page()
    page.goto(site.url)
    frame = page.frame_locator("#notebook")
    expect(frame.locator("[data-number=position]")).to_have_text("1")
    # Third-party cookies are blocked, so what keeps the place is the frame's address.
    await_in(page, lambda: "/wait/" in page.frames[1].url, "the place in the address")
    node.ready = 1
    await_in(page, lambda: NOTEBOOK.search(page.frames[1].url), "the notebook in the frame")


def test_a_site_that_was_not_named_cannot_embed(entry: LiveEntry, browser: BrowserContext, node: FakeNode) -> None:
    assert node.ready == 0
    page = browser.new_page()
    refusals: list[str] = []
    page.on("console", lambda message: refusals.append(message.text))
    page.set_content(EMBEDDING.format(f"{entry.url}/nope"))
    await_in(page, lambda: any("frame-ancestors" in text for text in refusals), "the refusal")


def test_a_page_that_loses_the_redirector_says_so_and_keeps_trying(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext
) -> None:
    page = browser.new_page()
    page.goto(f"{entry.url}/lab")
    lost = page.locator("[data-lost]")
    expect(lost).to_be_hidden()
    browser.set_offline(True)
    expect(lost).to_be_visible(timeout=SOON)
    browser.set_offline(False)
    expect(lost).to_be_hidden(timeout=SOON)
    node.ready = 1
    page.wait_for_url(NOTEBOOK, timeout=SOON)


@pytest.mark.parametrize("path", ["/lab", "/nope"])
def test_a_page_is_small_speaks_and_asks_nobody_else(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext, path: str
) -> None:
    assert node.ready == 0
    page = browser.new_page()
    traffic = Traffic(page)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if "status of 404" not in message.text else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{entry.url}{path}")
    if path == "/lab":
        expect(page.locator("[role=status]")).not_to_be_empty()
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.locator("h1:visible")).to_have_count(1)
    assert traffic.bytes < PAGE_BYTES
    assert all(address.startswith(entry.url) for address in traffic.requests)
    assert wrong == []


def test_on_a_phone_nothing_is_cut_off_and_the_way_on_is_reached_by_keyboard(entry: LiveEntry, node: FakeNode) -> None:
    assert node.ready == 0
    with chromium(viewport={"width": 320, "height": 568}) as browser:
        page = browser.new_page()
        for path in ("/lab", "/nope", "/?pool=none"):
            page.goto(f"{entry.url}{path}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.keyboard.press("Tab")
        expect(page.locator("a.fresh")).to_be_focused()
