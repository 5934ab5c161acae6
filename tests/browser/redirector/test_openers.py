"""In Chromium: whoever opened the entry in another window does not learn to which sandbox it led."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext

from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry


@pytest.mark.parametrize("ready", [1, 0])
def test_a_page_on_a_nodes_origin_cannot_read_where_the_entry_led_its_reader(
    entry: LiveEntry, node: FakeNode, browser: BrowserContext, ready: int
) -> None:
    node.ready = ready
    page = browser.new_page()
    page.goto(f"{node.url}/stats")
    with page.context.expect_page() as opened:
        page.evaluate("url => { window.victim = window.open(url) }", entry.url)
    opened.value.wait_for_load_state()
    # It has let go of its opener, of which the opener's process hears a moment later.
    page.wait_for_function("() => window.victim.closed")
