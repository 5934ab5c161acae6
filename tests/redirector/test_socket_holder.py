"""Where a redirector's server is killed its addresses stay open: whoever comes meanwhile is served by the next one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.crowd import visit_all
from tests.support.fleet_nodes import FakeNodes
from tests.support.served import TOKEN, Served
from tests.support.waiting import wait_until


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "state", "--keep-listening")
    try:
        served.wait_until_up()
        yield served
    finally:
        served.stop()


def server(kept: Served) -> psutil.Process | None:
    """Gunicorn's master; None while there is none."""
    children = psutil.Process(kept.process.pid).children()
    return next((child for child in children if child.status() != psutil.STATUS_ZOMBIE), None)


IN_HAND = 32
"""Requests that two workers with sixteen threads each work on at the same time."""


def test_no_visitor_is_refused_when_the_server_is_killed_in_the_middle_of_a_crowd(
    nodes: FakeNodes, kept: Served
) -> None:
    node = nodes.add("n1", ready=300, capacity=300)
    kept.admin("POST", "/api/nodes", json={"url": node.url, "token": node.token})
    kept.wait_until_known(300)
    first = server(kept)
    assert first is not None
    with ThreadPoolExecutor(1) as executor:
        crowd = executor.submit(visit_all, [f"{kept.url}/"], count=150, over=5.0)
        wait_until(lambda: len(node.spawns()) > 10, 20, "the crowd")
        first.kill()
        visits = crowd.result()
    broken = [visit.answers for visit in visits if not visit.straight_in]
    # What the killed server had in its hands is lost with it, and asked again. Everybody else only waited.
    assert set(broken) <= {(0, 302)}
    assert len(broken) <= IN_HAND
    second = server(kept)
    assert second is not None
    assert second.pid != first.pid
    assert "killed by signal 9" in kept.log.read_text()


def test_a_server_that_is_killed_again_and_again_comes_again(kept: Served) -> None:
    killed: list[psutil.Process] = []
    for _ in range(3):
        wait_until(lambda: server(kept) not in (None, *killed), 20, "another one")
        killed.extend(filter(None, [server(kept)]))
        killed[-1].kill()
    kept.wait_until_up()


def test_it_ends_when_told_to_and_leaves_nothing(kept: Served) -> None:
    everything = psutil.Process(kept.process.pid).children(recursive=True)
    assert len(everything) >= 3
    assert kept.stop() == 0
    assert not [process for process in everything if process.is_running()]


def test_nothing_lives_on_without_the_parent(kept: Served) -> None:
    everything = psutil.Process(kept.process.pid).children(recursive=True)
    kept.process.kill()
    wait_until(lambda: not any(process.is_running() for process in everything), 30, "their end")


def test_signals_for_the_server_reach_it(kept: Served) -> None:
    first = server(kept)
    assert first is not None
    workers = {worker.pid for worker in first.children()}
    os.kill(kept.process.pid, signal.SIGHUP)
    wait_until(lambda: not workers & {worker.pid for worker in first.children()}, 30, "new workers")
    assert kept.admin("GET", "/api/nodes").status_code == 200
    assert TOKEN not in kept.log.read_text()


def test_what_cannot_start_is_not_started_again(tmp_path: Path) -> None:
    served = Served(tmp_path / "state", "--keep-listening", TMPNB_DATABASE_URL="sqlite:////proc/no/fleet.db")
    assert served.process.wait(20) == 1
    assert served.log.read_text().count("cannot use") == 1


def worker_of(served: Served) -> psutil.Process | None:
    """The process that fetches contents; None while there is none."""
    for process in psutil.Process(served.process.pid).children(recursive=True):
        try:
            if process.cmdline()[-1:] == ["worker"]:
                return process
        except psutil.NoSuchProcess:
            continue
    return None


@pytest.mark.parametrize("options", [[], ["--keep-listening"]])
def test_a_worker_runs_beside_the_server_comes_again_and_ends_with_it(tmp_path: Path, options: list[str]) -> None:
    served = Served(tmp_path / "state", *options, TMPNB_CONTENT_WORKER="1")
    try:
        served.wait_until_up()
        wait_until(lambda: worker_of(served), 30, "the worker")
        first = worker_of(served)
        assert first is not None
        first.kill()
        wait_until(lambda: worker_of(served) not in (None, first), 30, "another one")
        everything = psutil.Process(served.process.pid).children(recursive=True)
        served.process.kill()
        wait_until(lambda: not any(process.is_running() for process in everything), 30, "their end")
    finally:
        served.stop()


def test_a_server_that_ends_ends_its_worker(tmp_path: Path) -> None:
    served = Served(tmp_path / "state", TMPNB_CONTENT_WORKER="1")
    try:
        served.wait_until_up()
        wait_until(lambda: worker_of(served), 30, "the worker")
        everything = psutil.Process(served.process.pid).children(recursive=True)
    finally:
        assert served.stop() == 0
    wait_until(lambda: not any(process.is_running() for process in everything), 30, "their end")
