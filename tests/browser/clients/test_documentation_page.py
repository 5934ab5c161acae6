"""The blocks of docs/documentation-sites.md, each in a page of another site: as they stand, but for the addresses."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.support.client_site import PACKAGES, ClientSite
from tests.support.link_visits import follow
from tests.support.up_fleet import UpFleet

pytestmark = pytest.mark.timeout(300)

PAGE = (Path(__file__).parents[3] / "docs" / "documentation-sites.md").read_text()
ENTRY = "https://notebooks.example.org"
CDN = "https://unpkg.com/"
MILLISECONDS = 60_000
ROWS = "a,b 6,7"
"""What the repository's file holds, and each block prints."""

NOTEBOOK: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def here(block: str, fleet: UpFleet, repository: str) -> str:
    """A block for this fleet and a repository of this machine, of which there is no short name."""
    local = f'"repoProvider": "git", "repo": "{repository}"'
    for theirs, ours in (
        ('"repo": "org/course"', local),
        ('repo: "org/course"', local),
        ('"ref": "main"', '"ref": "HEAD"'),
        ('ref: "main"', '"ref": "HEAD"'),
        (CDN + "thebe@0.9.3/", "/thebe/"),
        (CDN + "thebe-core@0.5.0/", "/thebe-core/"),
        (ENTRY, fleet.url),
    ):
        block = block.replace(theirs, ours)
    assert "example" not in block
    return block


def output(page: Page) -> None:
    expect(page.locator("body")).to_contain_text(re.compile(r"a,b\s+6,7"), timeout=MILLISECONDS)


def test_the_operators_words_are_commands_and_settings(fleet: UpFleet) -> None:
    command, settings = blocks("sh")
    assert "allowed" in fleet.tmpnb(*shlex.split(command)[1:])
    reference = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()
    for name in re.findall(r"^(TMPNB_\w+)=", settings, re.MULTILINE):
        assert f"`{name}`" in reference


def test_a_page_of_html(clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto(clients.add("plain.html", here(blocks("html")[0], fleet, repository)))
    page.click(".thebe-activate-button")
    expect(page.locator(".thebe-status-field")).to_have_text("Kernel Connected", timeout=MILLISECONDS)
    page.click(".thebe-run-button")
    output(page)


def test_a_page_of_thebe_core(clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto(clients.add("core.html", here(blocks("html")[1], fleet, repository)))
    page.wait_for_function("window.thebeCore?.module")
    page.click("#run")
    output(page)


def test_myst_finds_what_it_asks_for_before_it_shows_a_button(fleet: UpFleet) -> None:
    [config] = blocks("yaml")
    assert f"url: {ENTRY}\n" in config
    answer = requests.get(f"{fleet.url}/versions", headers={"Origin": "https://docs.example.org"}, timeout=10)
    assert "binderhub" in answer.json()
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a site that Sphinx made of all blocks of Python together."""
    docs = tmp_path_factory.mktemp("site") / "docs"
    (docs / "examples").mkdir(parents=True)
    (docs / "examples" / "README.rst").write_text("Examples\n========\n")
    (docs / "examples" / "plot_one.py").write_text('"""\nOne\n===\n"""\n\nprint(1)\n')
    (docs / "requirements.txt").write_text("pandas\n")
    kernel = json.dumps({"name": "python3", "display_name": "Python 3"})
    (docs / "index.rst").write_text(
        f":kernelspec: {kernel}\n\nTitle\n=====\n\n.. thebe-button::\n\n.. code-block:: python\n   :class: thebe\n\n"
        '   print(open("data.csv").read())\n\n.. toctree::\n\n   auto_examples/index\n'
    )
    merged = 'smartquotes = False\nall_extensions = ["sphinx_gallery.load_style"]\n'
    for block in blocks("python"):
        merged += f"{block}all_extensions += globals().pop('extensions', [])\n"
    # Examples are run by whoever builds the gallery, which is not what this is about.
    (docs / "conf.py").write_text(f"{merged}extensions = all_extensions\nsphinx_gallery_conf['plot_gallery'] = False\n")
    site = docs.parent / "site"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-d", docs.parent / "cache", docs, site],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_a_page_of_sphinx_thebe(
    clients: ClientSite, fleet: UpFleet, repository: str, browser: BrowserContext, built: Path
) -> None:
    """It loads thebe 0.8.2, of which there is no package to be had here: 0.9.3 stands for it, up to its server."""

    def bring(route: Route) -> None:
        asked = re.sub(r".*/thebe@[^/]+/", "thebe/", route.request.url)
        route.fulfill(path=PACKAGES / asked)

    page = browser.new_page()
    page.route(re.compile(r"https://unpkg\.com/thebe@"), bring)
    for file in built.rglob("*.js"):
        clients.pages[f"/{file.relative_to(built)}"] = ("text/javascript", file.read_text())
    text = (built / "index.html").read_text().replace(ENTRY, fleet.url)
    # The theme's own repository of GitHub's is the local one here.
    text = text.replace('repo: "org/course"', f'repoProvider: "git", repo: "{repository}"').replace('"main"', '"HEAD"')
    clients.pages["/index.html"] = ("text/html; charset=utf-8", text)
    page.goto(f"{clients.url}/index.html")
    page.click(".thebe-launch-button")
    expect(page.locator(".thebe-launch-button .status")).to_have_text("server-ready", timeout=MILLISECONDS)
    assert len(fleet.sessions()) == 1


def test_links_of_the_theme_and_of_the_gallery_open_their_pages(fleet: UpFleet, repository: str, built: Path) -> None:
    found = {
        link for page in built.rglob("*.html") for link in re.findall(rf'href="({ENTRY}/v2/[^"]+)"', page.read_text())
    }
    assert len(found) == 2, found
    insides = set()
    for link in found:
        ours = link.replace(f"{ENTRY}/v2/gh/org/course/main", f"{fleet.url}/v2/git/{quote(repository, safe='')}/HEAD")
        arrival = follow(ours.replace("&amp;", "&"))
        insides.add(arrival.url.removeprefix(arrival.base))
        assert arrival.file("data.csv") == b"a,b\n6,7\n"
    assert insides == {"lab/tree/docs/index.rst", "lab/tree/notebooks/auto_examples/plot_one.ipynb"}


def test_links_to_dashboards_lead_to_what_the_image_serves(fleet: UpFleet, repository: str) -> None:
    [text] = blocks("text")
    for link in text.split():
        before, _, inside = link.partition("?urlpath=")
        assert before == f"{ENTRY}/v2/gh/org/course/main"
        arrival = follow(f"{fleet.url}/v2/git/{quote(repository, safe='')}/HEAD?urlpath={inside}")
        assert arrival.url == f"{arrival.base}{inside}"
        assert arrival.file("data.csv") == b"a,b\n6,7\n"
