"""A redirector with one fake node in front of a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.support.chromium import chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry, live_entry
from tests.support.other_site import Site


@pytest.fixture(scope="module")
def entry(site: Site) -> Iterator[LiveEntry]:
    with live_entry(TMPNB_FRAME_ANCESTORS=site.url) as entry:
        entry.add("n1", ready=0, capacity=100)
        yield entry


@pytest.fixture
def node(entry: LiveEntry) -> Iterator[FakeNode]:
    """The fleet's only node, with every sandbox in use, and nobody waiting before or after."""
    node = entry.known["n1"]
    node.ready = 0
    yield node
    entry.empty()


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    with chromium() as context:
        yield context
