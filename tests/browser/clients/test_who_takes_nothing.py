"""Pages that load a launch's address in another way than a client does, or that nobody listed: they take nothing."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.clients.conftest import Requests
from tests.support.client_site import ClientSite
from tests.support.up_fleet import UpFleet

pytestmark = pytest.mark.timeout(300)

LISTEN = """url => new Promise(done => {
  const source = new EventSource(url);
  source.onmessage = event => { source.close(); done(JSON.parse(event.data).message); };
  source.onerror = () => { source.close(); done(""); };
})"""


def spec(repository: str) -> str:
    return f"/build/git/{quote(repository, safe='')}/HEAD"


@pytest.mark.parametrize(
    "body",
    [
        '<img src="{url}">',
        '<iframe src="{url}"></iframe>',
        '<script src="{url}"></script>',
        '<link rel="stylesheet" href="{url}">',
        '<link rel="prefetch" href="{url}">',
        '<video src="{url}" autoplay></video>',
        "<script>fetch('{url}', {{mode: 'no-cors', headers: {{Accept: 'text/event-stream'}}}})</script>",
        "<script>fetch('{url}')</script>",
    ],
)
def test_a_part_of_a_page_takes_nothing(  # noqa: PLR0917 - what it is about, and fixtures
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext, seen: Requests, body: str
) -> None:
    page = browser.new_page()
    seen.watch(page)
    page.goto(clients.add("part.html", body.format(url=f"{fleet.url}{spec(repository)}")), wait_until="commit")
    seen.wait(page, lambda: seen.builds() > 0)
    page.wait_for_timeout(500)
    assert fleet.sessions() == []


def test_a_page_that_is_not_listed_takes_nothing_and_may_say_why(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext
) -> None:
    page = browser.new_page()
    page.goto(clients.add("other.html", "").replace("localhost", "127.0.0.1"))
    message = page.evaluate(LISTEN, f"{fleet.url}{spec(repository)}")
    assert "TMPNB_ALLOW_ORIGIN" in message
    assert fleet.sessions() == []
    page.goto(clients.add("listed.html", ""))
    assert "TMPNB_ALLOW_ORIGIN" not in page.evaluate(LISTEN, f"{fleet.url}{spec(repository)}")
