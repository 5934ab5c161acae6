"""From a teacher's repository to a student's notebook: a real fleet with its worker, and a real git server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.forge import File, Forge, Repository, failing, hanging, serving_forge
from tests.support.link_visits import follow
from tests.support.live_fleet import LiveFleet
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LESSON: dict[str | bytes, File] = {
    "lesson 1.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
}


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with serving_forge(tmp_path_factory.mktemp("forge")) as forge:
        yield forge


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    fleet = LiveFleet(2, 3, TMPNB_NODE_TRIAL_SECONDS="0")
    fleet.redirector.settings |= {
        "TMPNB_CONTENT_WORKER": "1",
        "TMPNB_CONTENT_NETWORKS": "127.0.0.0/8",
        "TMPNB_CONTENT_CHECK_SECONDS": "5",
        "TMPNB_CLIENT_BURST": "0",
    }
    with fleet:
        fleet.wait_until_available(6)
        yield fleet


@pytest.fixture
def free(fleet: LiveFleet) -> LiveFleet:
    """The fleet, with room for whoever comes."""
    for session in fleet.admin("GET", "/api/sessions").json()["sessions"]:
        fleet.admin("DELETE", f"/api/sessions/{session['name']}", json={"node": session["node"]})
    fleet.wait_until_available(6)
    return fleet


def course(forge: Forge, name: str, **files: File) -> Repository:
    repository = forge.repository(name)
    repository.commit({**LESSON, **dict(files.items())})
    return repository


def tmpnb(fleet: LiveFleet, *words: str) -> str:
    done = fleet.tmpnb("content", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def worker(fleet: LiveFleet) -> psutil.Process:
    """The process that fetches and pushes."""

    def found() -> psutil.Process | None:
        children = psutil.Process(fleet.redirector.pid).children(recursive=True)
        return next((each for each in children if each.is_running() and each.cmdline()[-1:] == ["worker"]), None)

    process = wait_until(found, 60, "the worker")
    assert process is not None
    return process


def test_a_link_opens_the_lesson_and_a_new_commit_comes_to_the_next_student(free: LiveFleet, forge: Forge) -> None:
    repository = course(forge, "spring", version="1")
    tmpnb(free, "add", "spring", f"git+{forge.address_of('spring')}@main", "--open", "lesson 1.ipynb", "--wait")
    first = follow(f"{free.url}/c/spring")
    assert first.url.endswith("/lab/tree/lesson%201.ipynb")
    assert first.file("version") == b"1"
    repository.commit({**LESSON, "version": "2"})
    tmpnb(free, "refresh", "spring", "--wait")
    assert follow(f"{free.url}/c/spring").file("version") == b"2"
    assert first.file("version") == b"1"
    assert follow(f"{free.url}/").file("version") is None


def test_an_allowed_repository_that_nobody_has_asked_for_is_fetched_while_its_visitor_waits(
    free: LiveFleet, forge: Forge
) -> None:
    course(forge, "cold", version="cold")
    address = f"git+{forge.address_of('cold')}"
    refused = free.visit(f"/c/{address}/-/version")
    assert refused.status_code == 404
    tmpnb(free, "allow", f"git+{forge.url}/*")
    with ThreadPoolExecutor(4) as threads:
        arrivals = list(threads.map(lambda _: follow(f"{free.url}/c/{address}/-/version"), range(4)))
    assert {arrival.file("version") for arrival in arrivals} == {b"cold"}
    assert len({arrival.base for arrival in arrivals}) == 4
    assert arrivals[0].pages >= 1


def test_every_sandbox_of_a_pool_has_its_content_and_gets_the_next_commit(free: LiveFleet, forge: Forge) -> None:
    repository = course(forge, "pool", version="1")
    tmpnb(free, "add", "pool", f"git+{forge.address_of('pool')}", "--whole-pool")

    def rolled(commit: str) -> bool:
        content = free.admin("GET", "/api/content/pool").json()
        pools = [node.stats()["pools"]["default"] for node in free.nodes]
        return content["commit"] == commit and all(
            pool["content"] == content["digest"] and pool["stale"] == 0 and pool["available"] for pool in pools
        )

    wait_until(lambda: rolled(repository.git("rev-parse", "main")), 90, "the pools to have the content")
    assert follow(f"{free.url}/").file("version") == b"1"
    assert follow(f"{free.url}/c/pool").file("version") == b"1"
    commit = repository.commit({**LESSON, "version": "2"})
    tmpnb(free, "refresh", "pool")
    wait_until(lambda: rolled(commit), 90, "the pools to have the next commit")
    assert follow(f"{free.url}/").file("version") == b"2"
    tmpnb(free, "remove", "pool")
    wait_until(
        lambda: all(
            not (pool := node.stats()["pools"]["default"])["content"] and not pool["stale"] for node in free.nodes
        ),
        90,
        "empty homes again",
    )


def test_a_killed_worker_is_followed_by_another_that_finishes_its_work(free: LiveFleet, forge: Forge) -> None:
    course(forge, "killed", version="1")
    forge.behaviour = hanging
    forge.asked.clear()
    try:
        tmpnb(free, "add", "killed", f"git+{forge.address_of('killed')}")
        assert forge.asked.wait(60)
        worker(free).kill()
    finally:
        forge.behaviour = None
    assert follow(f"{free.url}/c/killed").file("version") == b"1"
    assert not list(Path(free.root / "worker").rglob("blob.tar"))


def test_a_forge_that_is_away_costs_nobody_their_lesson(free: LiveFleet, forge: Forge) -> None:
    course(forge, "away", version="1")
    tmpnb(free, "add", "away", f"git+{forge.address_of('away')}", "--wait")
    forge.behaviour = failing
    try:
        tmpnb(free, "refresh", "away")
        wait_until(lambda: "content away is not fetched" in free.tmpnb("status").stdout, 60, "the alarm")
        assert follow(f"{free.url}/c/away").file("version") == b"1"
    finally:
        forge.behaviour = None
    wait_until(lambda: "content away" not in free.tmpnb("status").stdout, 60, "the end of the alarm")


def test_a_node_that_was_away_has_the_content_again(free: LiveFleet, forge: Forge) -> None:
    course(forge, "late", version="1")
    late = free.nodes[1]
    late.agent.stop()
    tmpnb(free, "add", "late", f"git+{forge.address_of('late')}")
    wait_until(lambda: "n1" in free.admin("GET", "/api/content/late").json()["nodes"], 60, "the first node")
    late.agent.start()
    wait_until(
        lambda: free.admin("GET", "/api/content/late").json()["nodes"].get("n2", {}).get("state") == "there",
        90,
        "the node that was away",
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        arrival = follow(f"{free.url}/c/late?fresh")
        assert arrival.file("version") == b"1"
        if arrival.url.startswith(late.url):
            break
        free.wait_until_available(1)
    else:
        pytest.fail("nobody was sent to the node that was away")
