"""A fleet that a site of others may launch in, with a repository whose links are allowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.support.chromium import chromium
from tests.support.client_site import ClientSite, client_site
from tests.support.forge import Forge, serving_forge
from tests.support.up_fleet import UpFleet, up_fleet
from tests.support.waiting import LEAST_SECONDS

CAPACITY = 2


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientSite]:
    with client_site() as site:
        site.bundle_binderhub_client(tmp_path_factory.mktemp("bundle"))
        yield site


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with serving_forge(tmp_path_factory.mktemp("forge")) as forge:
        forge.repository("course").commit({"data.csv": "a,b\n6,7\n", "requirements.txt": "pandas\n"})
        yield forge


@pytest.fixture(scope="session")
def repository(forge: Forge) -> str:
    return forge.address_of("course")


@pytest.fixture(scope="session")
def running(clients: ClientSite, repository: str) -> Iterator[UpFleet]:
    sites = {"TMPNB_ALLOW_ORIGIN": clients.url, "TMPNB_NODE_ALLOW_ORIGIN": clients.url}
    with up_fleet(CAPACITY, TMPNB_CONTENT_NETWORKS="127.0.0.0/8", **sites) as fleet:
        fleet.tmpnb("content", "allow", f"git+{repository}")
        yield fleet


@pytest.fixture
def fleet(running: UpFleet) -> UpFleet:
    """The running one, all of whose sandboxes are free."""
    running.end_sessions()
    return running


@dataclass
class Requests:
    """What pages asked of the fleet, preflights too."""

    urls: list[str] = field(default_factory=list)
    preflights: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._note)

    def wait(self, page: Page, condition: Callable[[], bool]) -> None:
        """Until that holds; what the browser has to say comes only while it is asked something."""
        deadline = time.monotonic() + LEAST_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.urls, self.preflights)
            page.wait_for_timeout(50)

    def builds(self) -> int:
        """How many launches were asked for."""
        return sum("/build/" in url for url in self.urls)

    def _note(self, event: dict[str, Any]) -> None:
        url, method = event["request"]["url"], event["request"]["method"]
        if url.startswith("http://127.0.0.1:"):
            (self.preflights if method == "OPTIONS" else self.urls).append(url)


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    """One that reaches nothing but this machine: what pages load from elsewhere beside is missing, as on a bad line.

    By names, not by routes of Playwright's: with those it answers preflights itself.
    """
    with chromium(hosts="MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1") as context:
        yield context


@pytest.fixture
def seen() -> Requests:
    return Requests()
