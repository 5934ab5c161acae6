"""In Chromium: whoever follows a link to a content sees their files being copied, and is in the notebook then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from redirector.model.content import Content, FetchedBlob
from redirector.model.events import Event
from redirector.store.contents import Contents
from redirector.store.database import Database
from tests.support.chromium import chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry

DIGEST = "d" * 64
RUNNING = {"state": "running", "message": ""}
FAILED = {"state": "failed", "message": "the home is full"}
SECONDS = 30_000
"""Milliseconds."""


@pytest.fixture
def link(entry: LiveEntry, node: FakeNode) -> Iterator[str]:
    """To a file with an odd name, in a content that was fetched and lies at the node."""
    database = Database(f"sqlite:///{entry.redirector.settings['TMPNB_STATE']}/fleet.db")
    contents = Contents(database)
    if "spring" not in contents.all():
        contents.add(Content("spring", "gh:org/course"), Event(0.0, "content_added", by="ann"))
    contents.fetched(contents.all()["spring"], FetchedBlob(DIGEST, "c0ffee", 10, 1))
    database.close()
    node.blobs.add(DIGEST)
    node.fill_states.clear()
    node.ready = 5
    yield f"{entry.url}/c/spring/Lektion 1/Übung.ipynb"
    node.fill_states.clear()


def test_the_page_says_that_files_come_and_goes_on_by_itself(
    link: str, node: FakeNode, browser: BrowserContext
) -> None:
    node.fill_states.extend([RUNNING] * 2)
    page = browser.new_page()
    page.goto(link)
    expect(page.get_by_role("status")).to_be_visible()
    page.wait_for_url(f"{node.url}/user/**/lab/tree/Lektion%201/%C3%9Cbung.ipynb", timeout=SECONDS)


def test_files_that_cannot_come_are_told_with_a_way_on(link: str, node: FakeNode, browser: BrowserContext) -> None:
    node.fill_states.extend([FAILED] * 5)
    page = browser.new_page()
    page.goto(link)
    expect(page.get_by_role("status")).to_contain_text("the home is full")
    page.get_by_role("link", name="Open the notebook without them").click()
    page.wait_for_url(f"{node.url}/user/**", timeout=SECONDS)


def test_in_a_full_fleet_the_link_waits_for_its_turn(link: str, node: FakeNode, browser: BrowserContext) -> None:
    node.ready = 0
    page = browser.new_page()
    page.goto(link)
    expect(page.locator("[data-number=position]")).to_be_visible()
    node.ready = 1
    page.wait_for_url(f"{node.url}/user/**/lab/tree/Lektion%201/%C3%9Cbung.ipynb", timeout=SECONDS)


def test_on_a_phone_the_page_fits_and_the_notebook_opens_alone(link: str, node: FakeNode) -> None:
    node.fill_states.extend([RUNNING] * 2)
    agent = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36"
    with chromium(is_mobile=True, user_agent=agent, viewport={"width": 390, "height": 844}) as browser:
        page = browser.new_page()
        page.goto(link)
        expect(page.get_by_role("status")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.wait_for_url(f"{node.url}/user/**", timeout=SECONDS)
    [wish] = node.spawns()[-1].body["tickets"]
    assert wish["phone"] is True, "the node opens it alone where its image can"
