"""thebe 0.9.3 and thebe-core 0.5.0 in pages of another site: a click, and its output."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.clients.conftest import CAPACITY, Requests
from tests.support.client_site import ClientSite
from tests.support.up_fleet import UpFleet

pytestmark = pytest.mark.timeout(300)

CODE = 'rows = open("data.csv").read().split(); print("product", eval(rows[1].replace(",", "*")))'
OUTPUT = "product 42"
MILLISECONDS = 60_000

THEBE_CORE = """
async (options) => {
  const {api, module} = window.thebeCore;
  const events = api.makeEvents();
  window.said = [];
  events.on("status", (_, event) => window.said.push(event.status + " " + event.message));
  const config = api.makeConfiguration({kernelOptions: {kernelName: "python3"}, binderOptions: options}, events);
  const rendermime = api.makeRenderMimeRegistry();
  const server = api.connectToBinder(config);
  await server.ready;
  const session = await server.startNewSession(rendermime);
  const cell = new module.ThebeCodeCell("one", "notebook", options.code, config, {}, rendermime);
  cell.attachToDOM(document.getElementById("output"));
  cell.attachSession(session);
  await cell.execute();
}
"""


def run(page: Page) -> None:
    """Click what a reader clicks: first that the page becomes live, then the cell's own button."""
    page.click(".thebe-activate-button")
    expect(page.locator(".thebe-status-field")).to_have_text("Kernel Connected", timeout=MILLISECONDS)
    page.click(".thebe-run-button")
    expect(page.locator("body")).to_contain_text(OUTPUT, timeout=MILLISECONDS)


def test_a_reader_runs_a_cell_without_one_preflight(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext, seen: Requests
) -> None:
    page = browser.new_page()
    seen.watch(page)
    page.goto(clients.add_thebe("thebe.html", fleet.url, repository, CODE))
    run(page)
    assert seen.builds() == 1
    assert seen.preflights == []
    assert len(fleet.sessions()) == 1
    assert browser.cookies(fleet.url) == []
    # What would be one is noticed.
    page.evaluate("url => fetch(url, {headers: {'X-Other': '1'}}).catch(() => 0)", f"{fleet.url}/build/gh/a/b/HEAD")
    seen.wait(page, lambda: len(seen.preflights) == 1)


def test_two_pages_of_a_site_share_their_session_and_after_its_end_there_is_a_new_one(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext, seen: Requests
) -> None:
    for name in ("one.html", "two.html"):
        page = browser.new_page()
        seen.watch(page)
        page.goto(clients.add_thebe(name, fleet.url, repository, CODE))
        run(page)
    assert seen.builds() == 1
    assert len(fleet.sessions()) == 1
    fleet.end_sessions()
    page.reload()
    run(page)
    assert seen.builds() == 2
    assert len(fleet.sessions()) == 1


def test_without_room_a_page_waits_and_says_its_place(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext
) -> None:
    taken = [fleet.admin("POST", "/api/spawn").json()["name"] for _ in range(CAPACITY)]
    page = browser.new_page()
    page.goto(clients.add_thebe("waits.html", fleet.url, repository, CODE))
    page.click(".thebe-activate-button")
    expect(page.locator(".thebe-status-message")).to_contain_text("place 1 of 1", timeout=MILLISECONDS)
    fleet.admin("DELETE", f"/api/sessions/{taken[0]}", json={})
    expect(page.locator(".thebe-status-field")).to_have_text("Kernel Connected", timeout=MILLISECONDS)
    page.click(".thebe-run-button")
    expect(page.locator("body")).to_contain_text(OUTPUT, timeout=MILLISECONDS)


def test_thebe_core_does_the_same(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext, seen: Requests
) -> None:
    page = browser.new_page()
    seen.watch(page)
    head = '<script src="/thebe-core/dist/lib/thebe-core.min.js"></script>'
    page.goto(clients.add("core.html", '<div id="output"></div>', head))
    page.wait_for_function("window.thebeCore?.module")
    options = {"binderUrl": fleet.url, "repoProvider": "git", "repo": repository, "ref": "HEAD", "code": CODE}
    page.evaluate(THEBE_CORE, options)
    expect(page.locator("#output")).to_contain_text(OUTPUT, timeout=MILLISECONDS)
    assert any("launching" in words for words in page.evaluate("window.said"))
    assert (seen.builds(), seen.preflights) == (1, [])
