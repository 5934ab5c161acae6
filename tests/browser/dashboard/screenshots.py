"""Takes the screenshots of the operators' pages that the documentation shows.

Usage: python -m tests.browser.dashboard.screenshots docs/screenshots

With `--lists-and-dialogs` it takes those that nobody but their author has to look at: sessions, events and dialogs in
light, dark and on a phone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

from playwright.sync_api import BrowserContext, Page
from sqlalchemy import select

from redirector.model.content import Content, ContentPattern, FetchedBlob
from redirector.model.events import Event
from redirector.model.nodes import Health
from redirector.operations.node_rules import OperatorDecision
from redirector.store import tables
from redirector.store.blob_rows import BlobRows
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from tests.support.chromium import chromium
from tests.support.fleet_nodes import FakeNodes, fake_nodes
from tests.support.seat import ADMIN_TOKEN, Seat, seat
from tests.support.waiting import wait_until

PHONE = {"width": 390, "height": 760}
WIDE = {"width": 1180, "height": 760}
IMAGE = "ghcr.io/example/notebook:2026.11"
CAPACITIES = (24, 24, 40, 24, 60, 24, 40)


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with fake_nodes() as nodes, tempfile.TemporaryDirectory() as state, seat(Path(state) / "state") as fleet:
        _populate(fleet, nodes, Random(3))
        for dark in (False, True):
            with chromium(dark=dark, viewport=WIDE) as browser:
                page = _logged_in(browser, fleet)
                page.screenshot(path=target / f"dashboard-{'dark' if dark else 'light'}.png")
                if not dark:
                    _others(page, fleet, target)


def _others(page: Page, fleet: Seat, target: Path) -> None:
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.screenshot(path=target / "dashboard-phone.png")
    page.set_viewport_size({"width": 700, "height": 420})
    page.goto(f"{fleet.url}/status")
    page.screenshot(path=target / "status.png")


def lists_and_dialogs(target: Path) -> None:
    """Picture every list and dialog, in each of the three looks."""
    target.mkdir(parents=True, exist_ok=True)
    with fake_nodes() as nodes, tempfile.TemporaryDirectory() as state, seat(Path(state) / "state") as fleet:
        _populate(fleet, nodes, Random(3))
        session = {"busy": True, "last_activity": 3.0, "created_at": 1.0, "claimed_at": 2.0}
        names = [f"s{number:07}" for number in range(40)]
        fleet.add(nodes.add("node8", capacity=40, ready=0, claimed=40, image=IMAGE, nameless=names, session=session))
        for look in ("light", "dark", "phone"):
            with chromium(dark=look == "dark", viewport=PHONE if look == "phone" else WIDE) as browser:
                page = _logged_in(browser, fleet)
                page.click("#open-sessions")
                page.wait_for_selector("#sessions tbody tr")
                page.locator("#sessions").scroll_into_view_if_needed()
                page.screenshot(path=target / f"sessions-{look}.png")
                page.click("#close-sessions")
                page.click("#open-contents")
                page.wait_for_selector("#contents tbody tr")
                page.locator("#contents").scroll_into_view_if_needed()
                page.screenshot(path=target / f"contents-{look}.png")
                page.click("#close-contents")
                page.locator("#history").screenshot(path=target / f"events-{look}.png")
                for verb in ("rotate", "roll", "selftest"):
                    page.click("[data-node=node1] .more summary")
                    page.click(f"[data-node=node1] [data-verb={verb}]")
                    _picture_dialog(page, target / f"{verb}-{look}.png")
                page.click("#add")
                _picture_dialog(page, target / f"add-{look}.png")


def _picture_dialog(page: Page, path: Path) -> None:
    page.wait_for_selector("dialog[open]")
    page.screenshot(path=path)
    page.click("dialog .plain")


def _logged_in(browser: BrowserContext, fleet: Seat) -> Page:
    page = browser.new_page()
    page.goto(f"{fleet.url}/dashboard")
    page.fill("[name=token]", ADMIN_TOKEN)
    page.fill("[name=operator]", "ann")
    page.click("text=Log in")
    page.wait_for_selector(".node.down")
    page.wait_for_selector(".node.draining")
    return page


def _populate(fleet: Seat, nodes: FakeNodes, rng: Random) -> None:
    """A fleet in the middle of a busy hour: one node drains, one has just died."""
    for number, capacity in enumerate(CAPACITIES, start=1):
        taken = rng.randint(capacity // 3, 2 * capacity // 3)
        node = nodes.add(
            f"node{number}",
            capacity=capacity,
            claimed=taken,
            ready=rng.randint(2, (capacity - taken) // 2 + 2),
            starting=rng.randint(0, 2),
            image=IMAGE,
        )
        fleet.add(node)
    _an_hour(fleet, rng)
    wait_until(lambda: fleet.worker.fleet_state.board.of(node.name).health is Health.UP, 20, "the last node")
    _name_contents(fleet)
    fleet.worker.control.intend("node3", "draining", OperatorDecision(by="ann", reason="kernel update"))
    nodes.die(node)


def _name_contents(fleet: Seat) -> None:
    """Two contents, one of which is served though its forge is away, and what links may ask for."""
    contents, rows = Contents(fleet.worker.database), BlobRows(fleet.worker.database)
    added = Event(0.0, "content_added", by="ann")
    for name, source in (("spring", "gh:org/course@main"), ("autumn", "git+https://git.example.org/stats@v2")):
        contents.add(Content(name, source, whole_pool=name == "spring"), added)
        contents.fetched(contents.all()[name], FetchedBlob("d" * 64, "5f1c9e0b7a21", 3_400_000, 48))
    contents.failed(contents.all()["autumn"], "git.example.org does not answer")
    for number in range(1, 5):
        rows.pushed(f"node{number}", "d" * 64)
    ContentPatterns(fleet.worker.database).allow(ContentPattern("gh:org/*"), added)


def _an_hour(fleet: Seat, rng: Random) -> None:
    database = fleet.worker.database
    with database.writing() as connection:
        now = int(connection.execute(select(database.minute)).scalar_one())
        for age in range(59, -1, -1):
            crowd = 12 < age < 27
            counts = {"placed": rng.randint(18, 32) + crowd * rng.randint(10, 60), "refused_full": 0}
            if 16 < age < 22:
                counts["refused_full"] = rng.randint(1, 8)
            rows = [{"minute": now - age, "name": name, "value": value} for name, value in counts.items()]
            connection.execute(tables.minutes.insert(), rows)


if __name__ == "__main__":
    take = lists_and_dialogs if "--lists-and-dialogs" in sys.argv else main
    take(Path(sys.argv[1]))
