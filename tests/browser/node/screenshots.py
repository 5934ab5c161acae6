"""Takes the screenshots of a node that the documentation shows: python -m tests.browser.node.screenshots DIR."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, ViewportSize

from node_agent.jupyter.command import JUPYTER_LAB
from tests.support.chromium import chromium, run_first_cell
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, live_node, settled

LAB: ViewportSize = {"width": 1000, "height": 560}
LASTS = {"seconds_left": 3000, "reason": "idle", "warn_seconds": 600, "most_seconds_left": 6600, "idle_seconds": 3600}
WARNED = {**LASTS, "seconds_left": 530}


def main(directory: Path) -> None:
    with live_node(CAPACITY="60", WARM="24") as node:
        node.start()
        settled(node, available=24)
        for _ in range(17):
            claim(node)
        settled(node, starting=0, available=24)
        with chromium() as browser:
            page = browser.new_page()
            info(page, node, directory)
            page.close()
    with live_node(CAPACITY="1", COMMAND=JUPYTER_LAB) as node:
        node.start()
        settled(node, available=1)
        with chromium() as browser:
            page = browser.new_page()
            notices(page, node, directory)
            page.close()


def info(page: Page, node: LiveNode, directory: Path) -> None:
    page.set_viewport_size({"width": 900, "height": 420})
    page.goto(f"{node.url}/info")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=directory / f"node-info-{scheme}.png")


def notices(page: Page, node: LiveNode, directory: Path) -> None:
    """As they stand in JupyterLab; what the node says of the time that is left is made up."""

    def answering(left: dict[str, object]) -> Callable[[Route], None]:
        return lambda route: route.fulfill(status=200, content_type="application/json", body=json.dumps(left))

    page.set_viewport_size(LAB)
    page.route("**/-/left/*", answering(LASTS))
    page.goto(f"{node.url}/lab/tree/Welcome.ipynb")
    run_first_cell(page)
    page.get_by_role("button", name="Temporary").click()
    page.get_by_role("status", name="About this notebook").wait_for()
    page.emulate_media(color_scheme="dark")
    page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
    # JupyterLab draws its splash over the page while it changes its theme.
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.screenshot(path=directory / "node-about-dark.png")
    page.emulate_media(color_scheme="light")
    page.locator("body[data-jp-theme-light=true]").wait_for(state="attached")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.route("**/-/left/*", answering(WARNED))
    page.evaluate("dispatchEvent(new Event('online'))")
    page.get_by_text("This notebook ends in").wait_for()
    page.screenshot(path=directory / "node-warning.png")
    page.unroute("**/-/left/*")
    page.route("**/-/left/*", lambda route: route.fulfill(status=410))
    page.evaluate("dispatchEvent(new Event('online'))")
    page.get_by_role("alert", name="About this notebook").wait_for()
    page.screenshot(path=directory / "node-ended.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
