"""A reader presses "Run" in a page of documentation: how long until its output, beside a bare Jupyter server."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page

from tests.bench.report import Table
from tests.support.base_ports import free_ports
from tests.support.chromium import chromium
from tests.support.client_site import ClientSite, client_site
from tests.support.forge import serving_forge
from tests.support.up_fleet import up_fleet
from tests.support.waiting import wait_until

ROUNDS = 10
CELLS = (
    '<pre data-executable="true" data-language="python">print("product", 6 * 7)</pre>'
    '<pre data-executable="true" data-language="python">print("sum", 6 + 7)</pre>'
)

PRESS = """async () => {
  const until = condition => new Promise(done => {
    const look = () => condition() ? done(performance.now()) : setTimeout(look, 2);
    look();
  });
  const shows = text => () => document.body.textContent.includes(text);
  const began = performance.now();
  document.querySelector(".thebe-activate-button").click();
  await until(shows("Kernel Connected"));
  document.querySelectorAll(".thebe-run-button")[0].click();
  const output = await until(shows("product 42"));
  document.querySelectorAll(".thebe-run-button")[1].click();
  return [output - began, await until(shows("sum 13")) - output];
}"""
"""Milliseconds from the click that makes the page live to the first cell's output, and to the second's from there."""


@dataclass
class Press:
    """One reader."""

    first: float
    second: float
    requests: int
    bytes: int
    preflights: int


def run() -> Table:
    """The two take turns, each reader in a browser without a history."""
    presses: dict[str, list[Press]] = {"this project": [], "a bare Jupyter server": []}
    with tempfile.TemporaryDirectory() as root, client_site() as site, serving_forge(Path(root) / "forge") as forge:
        forge.repository("course").commit({"data.csv": "a,b\n"})
        origins = {"TMPNB_ALLOW_ORIGIN": site.url, "TMPNB_NODE_ALLOW_ORIGIN": site.url}
        with (
            up_fleet(2, TMPNB_CONTENT_NETWORKS="127.0.0.0/8", **origins) as fleet,
            _bare(Path(root), site.url) as bare,
        ):
            repository = forge.address_of("course")
            fleet.tmpnb("content", "add", "course", f"git+{repository}", "--wait")
            binder = {"binderUrl": fleet.url, "repoProvider": "git", "repo": repository, "ref": "HEAD"}
            pages = {
                "this project": _page(site, "ours.html", binderOptions=binder),
                "a bare Jupyter server": _page(
                    site, "bare.html", useBinder=False, serverSettings={"baseUrl": bare, "appendToken": False}
                ),
            }
            for _ in range(ROUNDS):
                for name, address in pages.items():
                    presses[name].append(_press(address))
                fleet.end_sessions()
                _end_kernels(bare)
    return Table(
        f'"Run" in a page of another site with thebe 0.9.3, in Chromium, medians of {ROUNDS}',
        ["", "first output", "next output", "requests", "loaded", "preflights"],
        [[name, *_row(measured)] for name, measured in presses.items()],
        "The first output counts from the click that makes the page live: this project's launch, the start of a "
        "kernel, its websocket, the cell; the bare server is there already and starts the kernel. What is loaded is "
        "without thebe's own files and what comes over the websocket.",
    )


def _row(presses: list[Press]) -> list[str]:
    return [
        f"{statistics.median(press.first for press in presses) / 1000:.2f} s",
        f"{statistics.median(press.second for press in presses):.0f} ms",
        f"{statistics.median(press.requests for press in presses):.0f}",
        f"{statistics.median(press.bytes for press in presses) / 1000:.1f} kB",
        f"{statistics.median(press.preflights for press in presses):.0f}",
    ]


def _page(site: ClientSite, name: str, **options: Any) -> str:
    config = json.dumps({"requestKernel": True, "mountActivateWidget": True, "mountStatusWidget": True, **options})
    head = f'<script type="text/x-thebe-config">{config}</script><script src="/thebe/lib/index.js"></script>'
    return site.add(name, f'<div class="thebe-activate"></div><div class="thebe-status"></div>{CELLS}', head)


def _press(address: str) -> Press:
    with chromium(hosts="MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1") as browser:
        page = browser.new_page()
        asked = _asked(page)
        page.goto(address)
        page.wait_for_selector(".thebe-activate-button")
        first, second = page.evaluate(PRESS)
        page.wait_for_timeout(200)
        methods = [method for method, _ in asked.values()]
        loaded = sum(loaded for _, loaded in asked.values())
        return Press(first, second, len(methods), loaded, methods.count("OPTIONS"))


def _asked(page: Page) -> dict[str, tuple[str, int]]:
    """What the page asks of 127.0.0.1, which the site is not: the method and the bytes of each, kept up to date."""
    asked: dict[str, tuple[str, int]] = {}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def began(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http://127.0.0.1:"):
            asked[event["requestId"]] = (event["request"]["method"], 0)

    def came(event: dict[str, Any]) -> None:
        method, loaded = asked.get(event["requestId"], ("", 0))
        if method:
            asked[event["requestId"]] = (method, loaded + event["dataLength"])

    def ended(event: dict[str, Any]) -> None:
        # Headers too; of a stream that the page cuts off there is no such word.
        if event["requestId"] in asked:
            asked[event["requestId"]] = (asked[event["requestId"]][0], event["encodedDataLength"])

    session.on("Network.requestWillBeSent", began)
    session.on("Network.dataReceived", came)
    session.on("Network.loadingFinished", ended)
    return asked


@contextmanager
def _bare(root: Path, origin: str) -> Iterator[str]:
    """A Jupyter server that pages of an origin may use."""
    (port,) = free_ports(1)
    home = root / "bare"
    home.mkdir()
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"),
            *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.allow_origin={origin}"),
            f"--ServerApp.root_dir={home}",
        ],
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), 60, "the bare Jupyter server")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _end_kernels(url: str) -> None:
    """A second reader would find the first one's."""
    for session in requests.get(f"{url}/api/sessions", timeout=10).json():
        requests.delete(f"{url}/api/sessions/{session['id']}", timeout=10).raise_for_status()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api", timeout=2).ok
    except requests.RequestException:
        return False
