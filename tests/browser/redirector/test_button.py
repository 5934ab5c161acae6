"""In Chromium: whoever is taken for a bot is one press of a button away from a notebook."""

from __future__ import annotations

from tests.support.chromium import chromium
from tests.support.fleet_node import FakeNode
from tests.support.live_entry import LiveEntry


def test_the_button_of_the_page_for_bots_leads_to_a_notebook_on_a_node(entry: LiveEntry, node: FakeNode) -> None:
    node.ready = 5
    with chromium(user_agent="Mozilla/5.0 (compatible; Somebody's spider)") as browser:
        page = browser.new_page()
        page.goto(f"{entry.url}/lab/tree/a.ipynb")
        page.get_by_role("button", name="Open a notebook").click()
        page.wait_for_url(f"{node.url}/user/**/lab/tree/a.ipynb")
