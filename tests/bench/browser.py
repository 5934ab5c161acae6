"""From a click on the entry URL to a JupyterLab in which a cell has run, in Chromium; and what that loaded."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from playwright.sync_api import BrowserContext

from node_agent.jupyter import welcome
from tests.bench.entry import end_sessions, settle
from tests.bench.report import Table
from tests.support.base_ports import free_ports
from tests.support.chromium import Traffic, chromium, run_first_cell
from tests.support.live_fleet import LiveFleet
from tests.support.waiting import wait_until

ROUNDS = 10
NOTEBOOK = f"/lab/tree/{welcome.NAME}"
START_SECONDS = 120.0

HUB_CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.authenticator_class = "tmp"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret_file = "{root}/cookie_secret"
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.pid_file = "{root}/proxy.pid"
c.Spawner.notebook_dir = "{root}/notebooks"
c.Spawner.default_url = "{notebook}"
c.Spawner.args = ["--allow-root"]
"""


@dataclass
class Contender:
    """Something that a visitor can open. Before each visit `prepare` makes it as it would be for a newcomer."""

    name: str
    url: str
    prepare: Callable[[], None]
    first: list[tuple[float, int]] = field(default_factory=list)
    second: list[tuple[float, int]] = field(default_factory=list)

    @property
    def row(self) -> list[str]:
        cells = []
        for visits in (self.first, self.second):
            seconds, loaded = zip(*visits, strict=True)
            cells += [f"{statistics.median(seconds):.2f} s", f"{statistics.median(loaded) / 1000:,.0f} kB"]
        return [self.name, *cells]


def run(rounds: int = ROUNDS) -> Table:
    """All contenders take turns, so that whatever else the machine does meets them alike."""
    with ExitStack() as stack:
        contenders = [stack.enter_context(fleet()), stack.enter_context(bare_lab())]
        hub_place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tmpnb-hub-")))
        missing = install_hub(hub_place)
        if not missing:
            contenders.append(stack.enter_context(hub(hub_place)))
        for _ in range(rounds):
            for contender in contenders:
                with chromium() as browser:
                    for visits in (contender.first, contender.second):
                        contender.prepare()
                        # Whoever comes again is a newcomer too: what counts is what the browser kept, not the sandbox.
                        browser.clear_cookies()
                        visits.append(visit(browser, contender.url))
    return Table(
        f"Click on the entry URL to a JupyterLab in which a cell has run, Chromium, median of {rounds}",
        ["", "first visit", "loaded", "second visit", "loaded"],
        [contender.row for contender in contenders],
        missing,
    )


def visit(browser: BrowserContext, url: str) -> tuple[float, int]:
    """Seconds until the cell has run, and the bytes that came over the wire."""
    page = browser.new_page()
    page.set_default_timeout(START_SECONDS * 1000)
    traffic = Traffic(page)
    start = time.perf_counter()
    page.goto(url)
    answer = run_first_cell(page)
    elapsed = time.perf_counter() - start
    assert answer == "42", answer
    loaded = traffic.bytes
    page.close()
    return elapsed, loaded


@contextmanager
def fleet() -> Iterator[Contender]:
    """One redirector, one node, two warm sandboxes."""
    slots = 2
    with LiveFleet(1, slots) as running:

        def prepare() -> None:
            end_sessions(running)
            running.wait_until_available(slots)
            settle(running)

        running.wait_until_available(slots)
        yield Contender("tmpnb-fleet, from the entry URL", f"{running.url}{NOTEBOOK}", prepare)


@contextmanager
def bare_lab() -> Iterator[Contender]:
    """The floor: nobody chooses, hands out or proxies anything."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with notebooks() as root:
        arguments = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=", "--log-level=ERROR"]
        command = [sys.executable, "-m", "jupyterlab", *arguments, f"--notebook-dir={root / 'notebooks'}"]
        with program(command, root, f"{url}/lab"):

            def prepare() -> None:
                # Otherwise a second visit would find its kernel running.
                for session in requests.get(f"{url}/api/sessions", timeout=10).json():
                    requests.delete(f"{url}/api/sessions/{session['id']}", timeout=30, headers=_xsrf(url))
                wait_until(lambda: not requests.get(f"{url}/api/kernels", timeout=10).json(), 30, "no kernel")
                # And the notebook open and its checkpoint made, which spares a page the better part of a second.
                requests.delete(f"{url}/lab/api/workspaces/default", timeout=30, headers=_xsrf(url))
                shutil.rmtree(root / "notebooks" / ".ipynb_checkpoints", ignore_errors=True)

            yield Contender("a bare JupyterLab that is running", f"{url}{NOTEBOOK}", prepare)


def _xsrf(url: str) -> dict[str, str]:
    cookie = requests.get(f"{url}/lab", timeout=30).cookies.get("_xsrf", "")
    return {"Cookie": f"_xsrf={cookie}", "X-XSRFToken": str(cookie)}


def install_hub(place: Path) -> str:
    """Install JupyterHub, tmpauthenticator and their proxy below `place`; returns why not, or nothing."""
    steps = [
        [sys.executable, "-m", "venv", str(place / "venv")],
        [str(place / "venv/bin/pip"), "install", "-q", "jupyterhub", "jupyterhub-tmpauthenticator", "jupyterlab"],
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), "configurable-http-proxy"],
    ]
    if shutil.which("npm") is None:
        return "JupyterHub is not compared: npm, which its proxy comes from, is not installed."
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            return f"JupyterHub is not compared: it could not be installed ({Path(step[0]).name} failed)."
    return ""


@contextmanager
def hub(place: Path) -> Iterator[Contender]:
    """JupyterHub with tmpauthenticator and local processes: a user and a server for every visit."""
    port, hub_port, api_port = free_ports(3)
    with notebooks() as root:
        config = root / "jupyterhub_config.py"
        proxy = place / "node_modules/.bin/configurable-http-proxy"
        config.write_text(
            HUB_CONFIG.format(
                port=port, hub_port=hub_port, api_port=api_port, root=root, proxy=proxy, notebook=NOTEBOOK
            )
        )
        path = f"{place / 'venv/bin'}:{os.environ['PATH']}"
        command = [str(place / "venv/bin/jupyterhub"), "-f", str(config), "--log-level=ERROR"]
        with program(command, root, f"http://127.0.0.1:{port}/hub/health", PATH=path):
            yield Contender("JupyterHub with tmpauthenticator", f"http://127.0.0.1:{port}/", lambda: None)


@contextmanager
def notebooks() -> Iterator[Path]:
    """A directory with the notebook that the fleet's sandboxes have."""
    with tempfile.TemporaryDirectory(prefix="tmpnb-bench-") as root:
        (Path(root) / "notebooks").mkdir()
        text = welcome.render(idle_seconds=3600, max_age_seconds=14400)
        (Path(root) / "notebooks" / welcome.NAME).write_text(text)
        yield Path(root)


@contextmanager
def program(command: list[str], root: Path, health: str, **environment: str) -> Iterator[None]:
    """Run a server until it is no longer needed; it and its children end together."""
    with (root / "log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=root, stdout=log, stderr=log, env=os.environ | environment, start_new_session=True
        )
    try:
        wait_until(lambda: _answers(health), START_SECONDS, f"an answer of {Path(command[0]).name}")
        yield
    finally:
        running.terminate()
        running.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
