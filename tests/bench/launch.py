"""From a click on a link to a sandbox with its files, pooled, warm and cold, beside an empty one; and a whole class."""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from node_agent.jupyter.command import JUPYTER_LAB
from tests.bench.entry import end_sessions, settle
from tests.bench.report import Table, milliseconds, percentile
from tests.support.chromium import chromium
from tests.support.docker_host import notebook_image
from tests.support.forge import Forge, serving_forge
from tests.support.link_visits import Arrival, follow
from tests.support.live_fleet import LiveFleet
from tests.support.waiting import wait_until

ROUNDS = 8
BROWSER_ROUNDS = 5
NODES, CAPACITY = 4, 11
CLASS = 40
VISIT_SECONDS = 0.5
"""Between two visitors while a new commit comes."""
FILES, FILE_BYTES = 50, 20_000
"""A course of 1 MB."""

LESSON = "lesson 1.ipynb"
NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
COURSE: dict[str | bytes, Any] = {
    LESSON: NOTEBOOK,
    **{f"part {number % 5}/data {number}.txt": secrets.token_hex(FILE_BYTES // 2) for number in range(FILES)},
}

Way = tuple[Callable[[int], str], bool]
"""The path of a visit by its number, and whether there are files at its end."""

PLAIN = JUPYTER_LAB.replace("{server}", "python3 -m jupyterlab", 1)


def run(rounds: int = ROUNDS) -> Table:
    """All ways take turns on a fleet of Jupyter servers, with a git server on loopback; two more in containers."""
    with _course_fleet(
        NODES,
        CAPACITY,
        TMPNB_NODE_POOLS="class plain",
        TMPNB_NODE_POOL_CLASS_CAPACITY="2",
        TMPNB_NODE_POOL_PLAIN_CAPACITY="2",
        TMPNB_NODE_POOL_PLAIN_COMMAND=PLAIN,
    ) as (fleet, forge):
        _content(fleet, "add", "plain", _source(forge, "course"), "--pool", "plain", "--wait")
        _content(fleet, "add", "pooled", _source(forge, "course"), "--pool", "class", "--whole-pool")
        _content(fleet, "allow", f"git+{forge.url}/*")
        wait_until(lambda: _rolled(fleet, "class"), 120, "the pool to have its content")
        ways: dict[str, Way] = {
            "an empty sandbox": (lambda _: "/", False),
            "the pool's own content": (lambda _: "/c/pooled", True),
            "a link, content at the node": (lambda _: "/c/warm", True),
            "the same, plain Jupyter server": (lambda _: "/c/plain", True),
            "a link that nobody has asked for": (lambda number: _cold(forge, number), True),
        }
        rows = [*_visits(fleet, ways, rounds), *_browser(fleet), *_class(fleet), *_roll(fleet, forge)]
    with _course_fleet(1, 2, TMPNB_NODE_RUNTIME="docker", TMPNB_NODE_IMAGE=notebook_image(), TMPNB_NODE_PULL="0") as (
        fleet,
        _,
    ):
        ways = {
            "an empty container": (lambda _: "/", False),
            "a link into a container, content at the node": (lambda _: "/c/warm", True),
        }
        rows += _visits(fleet, ways, rounds)
    return Table(
        f"Click on a link, {FILES} files and 1 MB behind it; {NODES} nodes, medians of {rounds}",
        ["", "median", "slowest"],
        rows,
        "Until the redirect into the sandbox has come and its files are there; in brackets beside the empty one. "
        "Cold: fetched from a git server on loopback while the visitor waits. The plain server lacks our launcher, so "
        "it gets its files through Jupyter's API. While a new commit comes, its pool has eight sandboxes.",
    )


@contextmanager
def _course_fleet(nodes: int, capacity: int, **settings: str) -> Iterator[tuple[LiveFleet, Forge]]:
    """A fleet whose content `warm` is at every node, and the git server that it came from."""
    fleet = LiveFleet(nodes, capacity, TMPNB_NODE_TRIAL_SECONDS="0", **settings)
    fleet.redirector.settings |= {
        "TMPNB_CONTENT_WORKER": "1",
        "TMPNB_CONTENT_NETWORKS": "127.0.0.0/8",
        "TMPNB_CLIENT_BURST": "0",
    }
    with tempfile.TemporaryDirectory() as root, serving_forge(Path(root) / "forge") as forge, fleet:
        forge.repository("course").commit(COURSE)
        settle(fleet)
        _content(fleet, "add", "warm", _source(forge, "course"), "--wait")
        yield fleet, forge


def _visits(fleet: LiveFleet, ways: dict[str, Way], rounds: int) -> list[list[str]]:
    """The first way is what the others are compared to."""
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, (path, has_files) in ways.items():
            end_sessions(fleet)
            settle(fleet)
            arrival = follow(f"{fleet.url}{path(number)}")
            if has_files:
                _see_files(arrival)
            took[way].append(arrival.seconds)
    empty = statistics.median(next(iter(took.values())))
    return [
        [way, f"{milliseconds(seconds)} (+{(statistics.median(seconds) - empty) * 1000:.0f})", _slowest(seconds)]
        for way, seconds in took.items()
    ]


def _browser(fleet: LiveFleet) -> list[list[str]]:
    """Until JupyterLab shows the notebook."""
    took: dict[str, list[float]] = {"/lab/tree/Welcome.ipynb": [], "/c/warm/lesson 1.ipynb": []}
    for _ in range(BROWSER_ROUNDS):
        for path, seconds in took.items():
            end_sessions(fleet)
            settle(fleet)
            with chromium() as browser:
                page, began = browser.new_page(), time.monotonic()
                page.goto(f"{fleet.url}{path}")
                page.wait_for_selector(".jp-Notebook", timeout=60_000)
                seconds.append(time.monotonic() - began)
    names = ("in Chromium: an empty sandbox's notebook open", "in Chromium: the link's file open")
    return [
        [name, f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"]
        for name, seconds in zip(names, took.values(), strict=True)
    ]


def _class(fleet: LiveFleet) -> list[list[str]]:
    rows = []
    for name, path in ((f"{CLASS} at once, empty sandboxes", "/"), (f"{CLASS} at once, one link", "/c/warm")):
        end_sessions(fleet)
        settle(fleet)
        with ThreadPoolExecutor(CLASS) as threads:
            arrivals = list(threads.map(lambda _, path=path: follow(f"{fleet.url}{path}"), range(CLASS)))
        if path != "/":
            for arrival in arrivals:
                _see_files(arrival)
        seconds = [arrival.seconds for arrival in arrivals]
        rows.append([name, milliseconds(seconds), _slowest(seconds)])
    return rows


def _roll(fleet: LiveFleet, forge: Forge) -> list[list[str]]:
    """A new commit of a pool's content, while visitors come."""
    end_sessions(fleet)
    settle(fleet)
    commit = forge.repository("course").commit({**COURSE, "version": "2"})
    came: list[float] = []
    began = time.monotonic()
    _content(fleet, "refresh", "pooled")

    def done() -> bool:
        came.append(follow(f"{fleet.url}/c/pooled?fresh").seconds)
        end_sessions(fleet)
        time.sleep(VISIT_SECONDS)
        return bool(_view(fleet, "pooled")["commit"] == commit) and _rolled(fleet, "class")

    wait_until(done, 120, "the new commit in every ready sandbox")
    took = time.monotonic() - began
    return [
        [f"a new commit in every ready sandbox of {NODES} nodes", f"{took:.1f} s", ""],
        [f"the {len(came)} visitors meanwhile", milliseconds(came), _slowest(came)],
    ]


def _cold(forge: Forge, number: int) -> str:
    name = f"cold{number}-{secrets.token_hex(3)}"
    forge.repository(name).commit(COURSE)
    return f"/c/{_source(forge, name)}/-/{LESSON}"


def _source(forge: Forge, name: str) -> str:
    return f"git+{forge.address_of(name)}"


def _see_files(arrival: Arrival) -> None:
    answer = requests.get(f"{arrival.base}api/contents/{LESSON}?content=0", timeout=60)
    assert answer.status_code == 200, answer.text


def _content(fleet: LiveFleet, *words: str) -> None:
    done = fleet.tmpnb("content", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def _view(fleet: LiveFleet, name: str) -> Any:
    return fleet.admin("GET", f"/api/content/{name}").json()


def _rolled(fleet: LiveFleet, pool: str) -> bool:
    digest = _view(fleet, "pooled")["digest"]
    pools = [node.stats()["pools"][pool] for node in fleet.nodes]
    return bool(digest) and all(each["content"] == digest and not each["stale"] and each["available"] for each in pools)


def _slowest(seconds: list[float]) -> str:
    return f"{percentile(seconds, 100) * 1000:.0f} ms"
