"""The node's own pages: light and dark, on a phone and by keyboard, small, and asking nobody else for anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.node.conftest import HOST
from tests.support.chromium import Traffic, chromium
from tests.support.live_fleet import LiveNode
from tests.support.live_node import claim, live_node, settled
from tests.support.node_nginx import KEY, Front

PHONE: ViewportSize = {"width": 360, "height": 640}
MOST_BYTES = 30_000
NO_SANDBOX = "z" * 34
NAMES = ("full", "gone", "broken", "missing", "info")


@dataclass
class Shown:
    """Where each page is to be seen."""

    addresses: dict[str, str]
    node: LiveNode


@pytest.fixture(scope="module")
def shown(nginx: Front) -> Iterator[Shown]:
    with live_node(CAPACITY="3", WARM="1") as node:
        node.start()
        settled(node, available=1)
        for _ in range(3):
            claim(node)
            settled(node, starting=0)
        (nginx.run_dir / "user" / KEY).mkdir(exist_ok=True)
        yield Shown(
            {
                "full": f"{node.url}/",
                "gone": f"{node.url}/user/{NO_SANDBOX}/lab/tree/Plot.ipynb",
                "broken": f"http://127.0.0.1:{nginx.port}/user/{KEY}/lab",
                "missing": f"{node.url}/wp-login.php",
                "info": f"{node.url}/info",
            },
            node,
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium(hosts=f"MAP {HOST} 127.0.0.1") as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_small_and_asks_nobody_else(name: str, shown: Shown, page: Page) -> None:
    address = shown.addresses[name]
    traffic = Traffic(page)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert 0 < traffic.bytes < MOST_BYTES
    origin = address[: address.index("/", len("http://"))]
    assert all(each.startswith((origin, "data:")) for each in traffic.requests), traffic.requests


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_phone_in_light_and_dark(name: str, scheme: str, shown: Shown, page: Page) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size(PHONE)
    page.goto(shown.addresses[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert contrast(page) >= 4.5, "too little contrast to read"
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()


def contrast(page: Page) -> float:
    """Of the text on its ground, as WCAG counts it."""
    return float(
        page.evaluate("""() => {
          const style = getComputedStyle(document.body);
          const shine = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
              .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const both = [shine(style.color), shine(style.backgroundColor)].sort((a, b) => b - a);
          return (both[0] + 0.05) / (both[1] + 0.05);
        }""")
    )


def test_the_way_out_of_the_gone_page_is_the_first_thing_a_keyboard_meets(shown: Shown, page: Page) -> None:
    page.goto(shown.addresses["gone"])
    page.keyboard.press("Tab")
    fresh = page.get_by_role("link", name="Open a fresh one")
    expect(fresh).to_be_focused()
    expect(fresh).to_have_attribute("href", f"{shown.node.url}/fresh/lab/tree/Plot.ipynb")


def test_the_full_page_goes_on_to_a_notebook_by_itself_once_there_is_one(shown: Shown, page: Page) -> None:
    page.goto(shown.addresses["full"])
    expect(page.get_by_role("heading")).to_have_text("All notebooks are in use right now")
    headers = {"Authorization": f"Bearer {shown.node.token}"}
    listed = requests.get(f"{shown.node.url}/api/sandboxes", headers=headers, timeout=5).json()["sandboxes"]
    requests.delete(f"{shown.node.url}/api/sandboxes/{listed[0]['name']}", headers=headers, timeout=10)
    page.wait_for_url("**/user/*/lab/tree/Welcome.ipynb", timeout=30_000)


def test_the_info_page_follows_what_happens_without_a_reload(shown: Shown, page: Page) -> None:
    page.goto(shown.addresses["info"])
    grid = page.get_by_role("img")
    expect(grid).to_have_attribute("aria-label", "3 claimed")
    headers = {"Authorization": f"Bearer {shown.node.token}"}
    listed = requests.get(f"{shown.node.url}/api/sandboxes", headers=headers, timeout=5).json()["sandboxes"]

    requests.delete(f"{shown.node.url}/api/sandboxes/{listed[0]['name']}", headers=headers, timeout=10)

    expect(page.locator(".slot.claimed")).to_have_count(2)
    expect(grid).to_have_attribute("aria-label", "1 ready, 2 claimed")
    expect(page.locator(".slot.ready")).to_have_count(1)


def test_the_info_page_says_when_the_node_does_not_answer(shown: Shown, page: Page) -> None:
    page.goto(shown.addresses["info"])
    page.route("**/stats", lambda route: route.abort())
    expect(page.get_by_role("status")).to_contain_text("This node does not answer at the moment.")
