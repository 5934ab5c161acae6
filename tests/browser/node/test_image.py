"""The notebook image that is shipped, in Chromium: its Welcome notebook as visitors of a Docker node see and run it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from node_agent.jupyter.command import JUPYTER_LAB
from tests.browser.node.conftest import HOST
from tests.support.docker_host import local_engine, notebook_image
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node, settled

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

SOON = 120_000
"""Milliseconds."""

BROKEN = "els => els.filter(el => !el.naturalWidth).length"


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    limits = {"CULL_IDLE_SECONDS": "1500", "MAX_AGE_SECONDS": "7200"}
    image = {"RUNTIME": "docker", "IMAGE": notebook_image(), "PULL": "0", "COMMAND": JUPYTER_LAB}
    with local_engine(), live_node(**image, **limits, CAPACITY="2") as node:
        node.agent.settings["TMPNB_NODE_URL"] = node.url.replace("127.0.0.1", HOST)
        node.start()
        settled(node, available=2)
        yield node


def test_the_welcome_notebook_runs_with_its_plot_and_widget_and_tells_the_limits_that_apply(
    node: LiveNode, browser: BrowserContext
) -> None:
    page = browser.new_page()
    page.set_default_timeout(SOON)
    page.goto(f"{node.agent.settings['TMPNB_NODE_URL']}/lab/tree/Welcome.ipynb")
    told = page.locator(".jp-RenderedMarkdown", has_text="It will vanish").first
    expect(told).to_contain_text("after 25 minutes without activity, and after 2 hours at the latest.", timeout=SOON)

    run_all(page)

    expect(page.locator(".jp-OutputArea-output img").first).to_be_visible(timeout=SOON)
    assert page.locator(".jp-OutputArea-output img").evaluate_all(BROKEN) == 0
    expect(page.locator(".jp-OutputArea-output table").first).to_be_visible(timeout=SOON)
    the_slider_moves_the_plot(page)
    expect(page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def test_the_image_is_dark_where_the_visitors_system_is(node: LiveNode, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{node.agent.settings['TMPNB_NODE_URL']}/lab")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false", timeout=SOON)


def run_all(page: Page) -> None:
    # What is run before there is a kernel is sometimes not run at all.
    page.get_by_text(re.compile(r"[|] Idle$")).first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def the_slider_moves_the_plot(page: Page) -> None:
    """The browser, the kernel and what it draws talk with each other."""
    plot = page.locator(".widget-interact img")
    expect(plot).to_be_visible(timeout=SOON)
    before = plot.get_attribute("src")
    assert before is not None
    page.locator(".widget-interact .noUi-handle").first.press("ArrowRight")
    expect(plot).not_to_have_attribute("src", before, timeout=SOON)
