"""@jupyterhub/binderhub-client 0.5.0 in a page of another site: the events that it yields, as they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import BrowserContext, Page

from tests.browser.clients.conftest import CAPACITY, Requests
from tests.support.client_site import ClientSite
from tests.support.up_fleet import UpFleet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

LISTEN = """
([spec, endpoint, token]) => {
  window.heard = [];
  const repository = new binderhubClient.BinderRepository(spec, new URL(endpoint), {apiToken: token});
  (async () => {
    for await (const event of repository.fetch()) {
      window.heard.push(event);
      if (["ready", "failed"].includes(event.phase)) { repository.close(); return; }
    }
  })();
}
"""


@pytest.fixture
def page(clients: ClientSite, browser: BrowserContext, seen: Requests) -> Page:
    page = browser.new_page()
    seen.watch(page)
    page.goto(clients.add("client.html", "", '<script src="/binderhub-client.js"></script>'))
    return page


def listen(page: Page, fleet: UpFleet, repository: str, token: str = "") -> None:
    page.evaluate(LISTEN, [f"git/{quote(repository, safe='')}/HEAD", f"{fleet.url}/build/", token])


def heard(page: Page) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = page.evaluate("window.heard")
    return events


def until(page: Page, phase: str) -> list[dict[str, Any]]:
    wait_until(lambda: any(event["phase"] == phase for event in heard(page)), 60, f"{phase} after {heard(page)}")
    return heard(page)


def test_it_yields_the_phases_up_to_a_server_that_answers(
    page: Page, fleet: UpFleet, repository: str, seen: Requests
) -> None:
    listen(page, fleet, repository)
    events = until(page, "ready")
    phases = [event["phase"] for event in events]
    assert phases[-2:] == ["launching", "ready"]
    assert set(phases[:-2]) <= {"fetching"}
    assert "requirements.txt: pandas" in events[-2]["message"]
    ready = events[-1]
    assert page.evaluate("url => fetch(url).then(answer => answer.json())", f"{ready['url']}api/kernels") == []
    assert requests.get(f"{ready['url']}files/data.csv", timeout=10).text == "a,b\n6,7\n"
    assert ready["token"] == ""
    assert ready["binder_launch_host"] == f"{fleet.url}/"
    assert seen.preflights == []


def test_with_a_token_it_asks_first_and_is_let_in(page: Page, fleet: UpFleet, repository: str, seen: Requests) -> None:
    listen(page, fleet, repository, token="somebody's")
    until(page, "ready")
    seen.wait(page, lambda: len(seen.preflights) == 1)


def test_without_room_it_waits(page: Page, fleet: UpFleet, repository: str) -> None:
    taken = [fleet.admin("POST", "/api/spawn").json()["name"] for _ in range(CAPACITY)]
    listen(page, fleet, repository)
    assert until(page, "waiting")[-1]["message"] == "place 1 of 1\n"
    fleet.admin("DELETE", f"/api/sessions/{taken[0]}", json={})
    until(page, "ready")


def test_what_is_not_allowed_is_said(page: Page, fleet: UpFleet) -> None:
    listen(page, fleet, "https://git.example/other")
    [event] = until(page, "failed")
    assert event["status_code"] == 404
    assert "not allowed here" in event["message"]
