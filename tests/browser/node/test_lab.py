"""A visitor's JupyterLab in Chromium, in both origin modes."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.node.conftest import RULES, LabNode
from tests.support.chromium import Traffic, chromium, run_first_cell
from tests.support.other_site import Site
from tmpnb_common.keys import KEY_LENGTH, NAME_LENGTH

SECOND_VISIT_BYTES = 300_000
SANDBOX = re.compile(r"/user/[a-z2-7]{34}/lab/tree/Welcome\.ipynb")
IDLE_SECONDS = 3600
SECONDS_LEFT = """
async () => (await (await fetch(`/-/left/${location.pathname.split("/")[2]}`)).json()).seconds_left
"""
THROUGH_SANDBOX = re.compile(r"/user/\w+/(static/lab|lab/extensions)/.*js")
SOON = 60_000
"""Milliseconds."""

EMBEDDING = (
    """<!doctype html><title>An article</title><iframe id="notebook" src="{}" width="1000" height="600"></iframe>"""
)

SPAWNING = """<!doctype html><title>An application</title>"""

USE_A_KERNEL = """
async ([node]) => {
  const spawned = await (await fetch(`${node}/api/spawn`, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({path: "/"}),
  })).json();
  const base = new URL(spawned.url, node).href;
  const kernel = await (await fetch(`${base}api/kernels`, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({name: "python3"}),
  })).json();
  const channel = new WebSocket(`${base.replace("http", "ws")}api/kernels/${kernel.id}/channels?session_id=s`);
  await new Promise((done, failed) => { channel.onopen = done; channel.onerror = failed; });
  const answer = new Promise((done) => {
    channel.onmessage = ({data}) => {
      const message = JSON.parse(data);
      if (message.msg_type === "execute_result") done(message.content.data["text/plain"]);
    };
  });
  channel.send(JSON.stringify({
    header: {msg_id: "m", msg_type: "execute_request", username: "", session: "s", date: "", version: "5.3"},
    parent_header: {}, metadata: {}, channel: "shell", buffers: [],
    content: {code: "6 * 7", silent: false, store_history: false, allow_stdin: false},
  }));
  return await answer;
}
"""


def test_a_second_visit_runs_a_cell_and_loads_little(lab_node: LabNode, browser: BrowserContext) -> None:
    lab_node.await_room(1)
    loaded = []
    for _ in range(2):
        page = browser.new_page()
        traffic = Traffic(page)
        page.goto(f"{lab_node.url}/lab/tree/Welcome.ipynb")
        assert run_first_cell(page) == "42"
        assert SANDBOX.search(page.url)
        scripts = [
            address for address in traffic.requests if re.search(r"/user/\w+/(static/lab|lab/extensions)/", address)
        ]
        assert not scripts, "scripts came through the sandbox"
        assert not [address for address in traffic.requests if "/lab/api/build" in address], "nothing is built here"
        expect(page.get_by_text("Jupyter news")).to_have_count(0)
        assert 0 < page.evaluate(SECONDS_LEFT) <= IDLE_SECONDS
        loaded.append(traffic.bytes)
        page.close()
    first, second = loaded
    assert first > SECOND_VISIT_BYTES, "the first visit loaded next to nothing: what is measured is not a visit"
    assert second < SECOND_VISIT_BYTES


@pytest.mark.parametrize("block_third_parties", [True, False], ids=["blocking", "trusting"])
def test_the_lab_works_in_a_frame_of_another_site_that_may_embed(
    lab_node: LabNode, site: Site, *, block_third_parties: bool
) -> None:
    lab_node.await_room(1)
    site.page = EMBEDDING.format(f"{lab_node.url}/lab/tree/Welcome.ipynb")
    with chromium(block_third_parties=block_third_parties, hosts=RULES) as browser:
        page = browser.new_page()
        opened: list[str] = []
        page.on("framenavigated", lambda frame: opened.append(frame.url))
        page.goto(site.url)
        assert run_first_cell(page.frame_locator("#notebook")) == "42"
        assert not [address for address in opened if "auto-" in address or "reset" in address]


def test_a_page_of_an_allowed_site_claims_a_sandbox_and_uses_its_kernels(
    lab_node: LabNode, site: Site, browser: BrowserContext
) -> None:
    lab_node.await_room(1)
    site.page = SPAWNING
    page = browser.new_page()
    page.goto(site.url)
    assert page.evaluate(USE_A_KERNEL, [lab_node.url]) == "42"


def test_an_open_lab_says_that_its_server_is_gone_and_offers_a_fresh_one(
    lab_node: LabNode, browser: BrowserContext
) -> None:
    lab_node.await_room(1)
    page = browser.new_page()
    page.goto(f"{lab_node.url}/lab/tree/Welcome.ipynb")
    assert run_first_cell(page) == "42"

    lab_node.end(key_in(page.url)[:NAME_LENGTH])

    notice = page.get_by_role("alert", name="About this notebook")
    expect(notice).to_contain_text("This notebook has ended.", timeout=SOON)
    ended = page.url
    # JupyterLab asks about the unsaved notebook, as for any other link.
    page.on("dialog", lambda dialog: dialog.accept())
    lab_node.await_room(1)
    notice.get_by_role("link", name="Open a fresh one").click()
    page.wait_for_url(lambda address: "/user/" in address and key_in(address) != key_in(ended), timeout=SOON)
    assert run_first_cell(page) == "42"


@pytest.mark.parametrize("path", ["/lab", "/tree"])
def test_lab_and_notebook_are_dark_where_the_visitors_system_is(
    lab_node: LabNode, browser: BrowserContext, path: str
) -> None:
    lab_node.await_room(1)
    page = browser.new_page()
    page.emulate_media(color_scheme="dark")
    page.goto(f"{lab_node.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false", timeout=SOON)
    page.emulate_media(color_scheme="light")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "true", timeout=SOON)


SHARED = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": "6 * 7"}
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)


def test_a_link_names_a_notebook_elsewhere_that_the_visitors_own_browser_fetches(
    lab_node: LabNode, browser: BrowserContext, site: Site
) -> None:
    lab_node.await_room(1)
    site.shared = SHARED
    page = browser.new_page()
    page.goto(f"{lab_node.url}/lab?fromURL={site.url}/shared.ipynb")
    expect(page.get_by_role("tab", name="shared.ipynb")).to_be_visible(timeout=SOON)
    assert run_first_cell(page) == "42"


UNSAVED = "# an unsaved thought"
MAKE_A_FILE = """
async () => await fetch(`/user/${location.pathname.split("/")[2]}/api/contents/d%C3%A9j%C3%A0.txt`, {
  method: "PUT", body: JSON.stringify({type: "file", format: "text", content: "vu"}),
})
"""


@pytest.mark.parametrize("path", ["/lab/tree/Welcome.ipynb", "/notebooks/Welcome.ipynb"])
def test_what_was_not_saved_is_saved_to_the_visitors_computer_while_it_lives_and_when_it_has_ended(
    lab_node: LabNode, browser: BrowserContext, path: str
) -> None:
    lab_node.await_room(1)
    page = browser.new_page()
    page.goto(f"{lab_node.url}{path}")
    code = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    code.click(timeout=SOON)
    code.press("Control+End")
    page.keyboard.type(UNSAVED)
    page.evaluate(MAKE_A_FILE)

    page.get_by_role("button", name=re.compile("^Temporary")).click(timeout=SOON)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.read("déjà.txt") == b"vu"
        assert UNSAVED in archive.read("Welcome.ipynb").decode()

    lab_node.end(key_in(page.url)[:NAME_LENGTH])
    # JupyterLab's own notice of the end, which is modal.
    expect(page.locator("dialog.jp-Dialog")).to_be_visible(timeout=SOON)
    with page.expect_download() as download:
        page.get_by_role("alert", name="About this notebook").get_by_role("button", name="Save this notebook").click()
    assert download.value.suggested_filename == "Welcome.ipynb"
    cells = json.loads(Path(download.value.path()).read_text())["cells"]
    assert [cell for cell in cells if UNSAVED in "".join(cell["source"])]


def key_in(address: str) -> str:
    return address.partition("/user/")[2][:KEY_LENGTH]
