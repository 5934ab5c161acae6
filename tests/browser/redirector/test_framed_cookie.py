"""Behind TLS, in Chromium: in a frame on another site a visitor has a cookie for that site alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, expect

from tests.support.chromium import chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry, live_entry
from tests.support.other_site import Site
from tests.support.redirector_front import Front, redirector_front

SOON = 20_000
"""Milliseconds."""

NOTEBOOK = re.compile(r"/user/[0-9a-f]{16}/lab$")
EMBEDDING = """<!doctype html><title>An article</title><iframe src="{}" width="800" height="400"></iframe>"""
HOSTS = "MAP entry.tmpnb.test 127.0.0.1, MAP magazine.test 127.0.0.1"
"""Names of three sites, with `localhost`, where the test's own article is."""


@pytest.fixture(scope="module")
def entry() -> Iterator[LiveEntry]:
    with live_entry(TMPNB_FRAME_ANCESTORS="*", TMPNB_TRUSTED_PROXIES="1") as entry:
        entry.add("n1", ready=0, capacity=100)
        yield entry


@pytest.fixture(scope="module")
def front(entry: LiveEntry) -> Iterator[Front]:
    with redirector_front(int(entry.url.rpartition(":")[2])) as front:
        yield front


@pytest.fixture
def url(front: Front) -> str:
    return f"https://entry.tmpnb.test:{front.port}"


@pytest.fixture(params=[True, False], ids=["blocking", "trusting"])
def browser(request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    # Nobody in the browser knows the authority that signed the certificate.
    with chromium(block_third_parties=request.param, hosts=HOSTS, ignore_https_errors=True) as context:
        yield context


@pytest.fixture
def article(site: Site, url: str) -> str:
    """The address of a page on another site that shows us in a frame."""
    site.page = EMBEDDING.format(f"{url}/lab")
    return site.url


def home(page: Page | Frame) -> str:
    """The sandbox that it has come to."""
    page.wait_for_url(NOTEBOOK, timeout=SOON)
    return page.url


def in_frame(page: Page) -> str:
    return home(page.frames[1])


def test_in_a_frame_a_reload_leads_back_and_every_other_site_is_another_visitor(
    browser: BrowserContext, node: FakeNode, article: str, url: str
) -> None:
    node.ready = 3
    page = browser.new_page()
    page.goto(article)
    first = in_frame(page)
    page.reload()
    assert in_frame(page) == first

    page.goto(f"{url}/lab")
    alone = home(page)
    assert alone != first, "who comes by themselves is not followed from the article"
    page.goto(article.replace("localhost", "magazine.test"))
    assert in_frame(page) not in (first, alone)
    page.goto(f"{url}/lab")
    assert home(page) == alone
    page.goto(article)
    assert in_frame(page) == first
    assert node.ready == 0


def test_the_cookie_in_a_frame_is_partitioned_and_no_neighbour_can_set_it(
    browser: BrowserContext, node: FakeNode, article: str, url: str
) -> None:
    node.ready = 1
    page = browser.new_page()
    page.goto(article)
    in_frame(page)
    [cookie] = browser.cookies(url)
    assert cookie["name"] == "__Host-tmpnb"
    assert cookie["secure"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "None"
    assert cookie["partitionKey"] == "http://localhost"


def test_who_waited_in_a_frame_comes_back_to_the_notebook_that_they_got(
    browser: BrowserContext, node: FakeNode, article: str
) -> None:
    page = browser.new_page()
    page.goto(article)
    expect(page.frames[1].locator("[data-number=position]")).to_have_text("1")
    page.reload()
    expect(page.frames[1].locator("[data-number=waiting]")).to_have_text("1")
    assert "/wait/" not in page.frames[1].url, "the cookie keeps the place"
    node.ready = 1
    first = in_frame(page)
    claimed = len(node.spawns())

    page.reload()

    assert in_frame(page) == first
    assert len(node.spawns()) == claimed, "the cookie remembers the notebook, not only the ticket that led there"
