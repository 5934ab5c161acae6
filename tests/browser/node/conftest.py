"""A real node in front of a real Chromium, in both origin modes, and a page of another site that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import BrowserContext

from node_agent.jupyter.command import JUPYTER_LAB
from tests.support.chromium import chromium
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node
from tests.support.node_nginx import Front, run_nginx
from tests.support.other_site import Site
from tests.support.waiting import wait_until

HOST = "n1.tmpnb.test"
"""Not below localhost: each name there counts as a site of its own, and browsers keep caches apart by site."""

RULES = f"MAP *.tmpnb.test 127.0.0.1, MAP {HOST} 127.0.0.1"


@dataclass
class LabNode:
    """A node with real JupyterLab servers; `url` is what browsers use."""

    node: LiveNode
    url: str
    origin: str

    def await_room(self, count: int) -> None:
        """Wait until so many visitors would find a warm sandbox each."""
        wait_until(lambda: self.node.stats().get("available", 0) >= count, 60, f"{count} warm sandboxes")

    def end(self, name: str) -> None:
        headers = {"Authorization": f"Bearer {self.node.token}"}
        requests.delete(f"{self.node.url}/api/sandboxes/{name}", headers=headers, timeout=30).raise_for_status()


WARM, CAPACITY = 2, 16
"""Nobody waits for an end: there is a place for every visitor of a module, and two are always warm."""


@pytest.fixture(scope="module", params=["node", "sandbox"])
def lab_node(request: pytest.FixtureRequest, site: Site) -> Iterator[LabNode]:
    with lab(request.param, site) as node:
        yield node


@contextmanager
def lab(origin: str, site: Site, **settings: str) -> Iterator[LabNode]:
    given = {
        "COMMAND": JUPYTER_LAB,
        "CAPACITY": str(CAPACITY),
        "WARM": str(WARM),
        "ORIGIN": origin,
        "ALLOW_ORIGIN": site.url,
        "FRAME_ANCESTORS": site.url,
        **settings,
    }
    with live_node(**given) as node:
        url = node.url.replace("127.0.0.1", HOST)
        node.agent.settings["TMPNB_NODE_URL"] = url
        node.start()
        yield LabNode(node, url, origin)


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    with chromium(hosts=RULES) as context:
        yield context


@pytest.fixture(scope="module")
def nginx() -> Iterator[Front]:
    with run_nginx() as front:
        yield front


@pytest.fixture
def front(nginx: Front) -> Iterator[Front]:
    yield nginx
    nginx.clear()
