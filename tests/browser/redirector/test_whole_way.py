"""The whole way of a visitor in Chromium, with nothing faked: from a page of another site to a cell that shows 42."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import BrowserContext, Frame, expect

from tests.support.chromium import run_first_cell
from tests.support.live_fleet import LiveFleet
from tests.support.other_site import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

SOON = 60_000
"""Milliseconds."""

EMBEDDING = """<!doctype html><title>An article</title><iframe src="{}" width="1000" height="600"></iframe>"""
WELCOME = "/lab/tree/Welcome.ipynb"
IN_THE_LAB = re.compile(r"/user/[a-z2-7]{34}/lab/tree/Welcome\.ipynb")


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[LiveFleet]:
    """One node with room for one visitor."""
    fleet = LiveFleet(1, 1, TMPNB_NODE_FRAME_ANCESTORS=site.url)
    fleet.redirector.settings["TMPNB_FRAME_ANCESTORS"] = site.url
    with fleet:
        fleet.wait_until_available(1)
        yield fleet


def end_sessions(fleet: LiveFleet) -> None:
    (node,) = fleet.nodes
    headers = {"Authorization": f"Bearer {node.token}"}
    for sandbox in requests.get(f"{node.url}/api/sandboxes", headers=headers, timeout=10).json()["sandboxes"]:
        if sandbox["state"] == "claimed":
            requests.delete(f"{node.url}/api/sandboxes/{sandbox['name']}", headers=headers, timeout=30)


def test_in_a_frame_of_another_site_one_waits_for_a_notebook_and_runs_a_cell_in_it(
    fleet: LiveFleet, browser: BrowserContext, site: Site
) -> None:
    assert fleet.visit().status_code == 302, "somebody else has the only notebook"
    site.page = EMBEDDING.format(f"{fleet.url}{WELCOME}")
    page = browser.new_page()
    page.goto(site.url)
    frame: Frame = page.frames[1]
    expect(frame.locator("[data-number=position]")).to_have_text("1")
    end_sessions(fleet)

    def arrived() -> bool:
        page.wait_for_timeout(100)
        return IN_THE_LAB.search(frame.url) is not None

    wait_until(arrived, SOON / 1000, "the notebook in the frame")
    assert run_first_cell(page.frame_locator("iframe")) == "42"


def test_a_shared_link_to_a_notebook_that_has_ended_leads_to_a_fresh_one_at_the_same_place(
    fleet: LiveFleet, browser: BrowserContext
) -> None:
    end_sessions(fleet)
    fleet.wait_until_available(1)
    shared = fleet.visit(WELCOME).headers["Location"]
    end_sessions(fleet)
    page = browser.new_page()
    wait_until(lambda: requests.get(shared, timeout=10).status_code == requests.codes.gone, 20, "its end")
    page.goto(shared)
    expect(page.locator("h1")).to_have_text("This notebook has ended")
    page.locator("a.fresh").click()
    page.wait_for_url(IN_THE_LAB, timeout=SOON)
    assert page.url.startswith(fleet.nodes[0].url)
    assert page.url.split("/lab")[0] != shared.split("/lab")[0]
