"""A redirector with fake nodes, and a real Chromium in front of its dashboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.support.chromium import PROGRAM, chromium
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.seat import ADMIN_TOKEN, Seat, seat
from tests.support.waiting import wait_until
from tmpnb_common.wire import DEFAULT_POOL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):  # noqa: PTH120 - pytest compares with a text as well
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    if PROGRAM is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("Chromium is not installed")
    with chromium(viewport={"width": 1280, "height": 860}) as context:
        yield context


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with fake_nodes() as nodes:
        yield nodes


@pytest.fixture
def two(nodes: FakeNodes) -> list[FakeNode]:
    return [nodes.add(name, capacity=6, ready=6) for name in ("n1", "n2")]


@pytest.fixture
def fleet(browser: BrowserContext, two: list[FakeNode], tmp_path: Path) -> Iterator[Seat]:
    # Cookies know no ports: those of the fleet before would be sent to this one.
    browser.clear_cookies()
    with seat(tmp_path / "state") as fleet:
        fleet.add(*two)
        # The worker reads what was polled a moment after that; guards and places go by what it has read.
        wait_until(lambda: len(known(fleet)) == 2, 10, "the worker to know both nodes")
        yield fleet


def known(fleet: Seat) -> list[str]:
    """The nodes that may receive visitors, as far as the worker knows."""
    return list(fleet.worker.fleet_state.pool(DEFAULT_POOL).ranking.first)


@pytest.fixture
def page(browser: BrowserContext, fleet: Seat) -> Iterator[Page]:
    """The dashboard, logged in."""
    page = browser.new_page()
    page.goto(f"{fleet.url}/dashboard")
    page.fill("[name=token]", ADMIN_TOKEN)
    page.fill("[name=operator]", "ann")
    page.click("text=Log in")
    page.wait_for_selector(".live.ok")
    yield page
    page.close()
