"""A visitor's JupyterLab in Chromium up to its end by the node's limits: warned in time, and told what happened."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.node.conftest import lab
from tests.support.chromium import run_first_cell
from tests.support.other_site import Site

LIMIT_SECONDS = 40
"""Long enough to open a lab and run a cell on a busy machine; a quarter of it is for the warning."""

UNTIL_THE_END = 2 * LIMIT_SECONDS * 1000
"""Milliseconds."""

SECONDS_LEFT = """
async () => (await (await fetch(`/-/left/${location.pathname.split("/")[2]}`)).json()).seconds_left
"""


def notice(page: Page, role: str) -> Locator:
    return page.get_by_role(role, name="About this notebook")  # type: ignore[arg-type]


def open_lab(browser: BrowserContext, url: str) -> Page:
    page = browser.new_page()
    page.goto(f"{url}/lab/tree/Welcome.ipynb")
    assert run_first_cell(page) == "42"
    return page


@pytest.mark.timeout(8 * LIMIT_SECONDS)
def test_an_idle_lab_warns_is_kept_by_a_click_and_says_when_it_has_ended(site: Site, browser: BrowserContext) -> None:
    with lab("node", site, CULL_IDLE_SECONDS=str(LIMIT_SECONDS)) as node:
        node.await_room(1)
        page = open_lab(browser, node.url)
        warning = notice(page, "status")
        expect(warning).to_contain_text("This notebook ends in less than a minute.", timeout=UNTIL_THE_END)
        expect(warning).to_contain_text("Nobody has used it for a while.")
        # Just before the end, when the node's last look at what it does is the oldest.
        page.wait_for_function(f"async () => await ({SECONDS_LEFT})() <= 2", timeout=UNTIL_THE_END)

        warning.get_by_role("button", name="Keep it").click()

        page.wait_for_function(f"async () => await ({SECONDS_LEFT})() > {LIMIT_SECONDS // 2}", timeout=UNTIL_THE_END)
        expect(warning).to_have_count(0)
        expect(warning).to_be_visible(timeout=UNTIL_THE_END)
        ended = notice(page, "alert")
        expect(ended).to_contain_text("This notebook has ended. Nobody has used it for a while.", timeout=UNTIL_THE_END)
        expect(ended.get_by_role("link", name="Open a fresh one")).to_be_visible()
        expect(page.locator(".jp-OutputArea-output").first).to_have_text("42")


@pytest.mark.timeout(8 * LIMIT_SECONDS)
def test_a_lab_whose_time_is_up_says_to_download_and_then_that_it_has_ended(
    site: Site, browser: BrowserContext
) -> None:
    limits = {"MAX_AGE_SECONDS": str(LIMIT_SECONDS), "UNVISITED_SECONDS": str(LIMIT_SECONDS // 2)}
    with lab("node", site, **limits) as node:
        node.await_room(1)
        page = open_lab(browser, node.url)
        warning = notice(page, "status")
        expect(warning).to_contain_text("This notebook ends in less than a minute.", timeout=UNTIL_THE_END)
        expect(warning).to_contain_text("Download what you want to keep.")
        ended = notice(page, "alert")
        expect(ended).to_contain_text(
            "This notebook has ended. Every notebook here ends after a set time", timeout=UNTIL_THE_END
        )
        expect(page.locator(".jp-OutputArea-output").first).to_have_text("42")
