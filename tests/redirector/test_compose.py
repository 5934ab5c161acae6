"""One worker as a whole, with its threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from redirector.compose import compose
from redirector.gunicorn_worker import Worker
from redirector.model.nodes import Health
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.settings import table as config
from redirector.store.database import Database
from redirector.store.schema import migrate
from tests.support.fleet_nodes import FakeNodes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    settings = config.load({"TMPNB_STATE": str(tmp_path), "TMPNB_POLL_SECONDS": "0.2"})
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    worker = compose(settings)
    worker.start()
    yield worker
    worker.stop()


def test_its_threads_notice_a_new_node_and_its_death(nodes: FakeNodes, worker: Worker) -> None:
    node = nodes.add("n1", ready=2)
    worker.control.add(Addition(node.url, token=node.token), OperatorDecision())
    wait_until(lambda: worker.fleet_state.board.of("n1").health is Health.UP, 10, "the first good poll")
    assert worker.app.test_client().get("/").status_code == 302
    nodes.die(node)
    wait_until(lambda: worker.fleet_state.board.of("n1").health is Health.DOWN, 10, "several bad polls")
    nodes.start(node)
    wait_until(lambda: worker.fleet_state.board.of("n1").health is Health.UP, 10, "its return")


def test_a_worker_that_stops_leaves_no_thread(tmp_path: Path, nodes: FakeNodes) -> None:
    before = set(threading.enumerate())
    settings = config.load({"TMPNB_STATE": str(tmp_path), "TMPNB_POLL_SECONDS": "0.2"})
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    worker = compose(settings)
    worker.start()
    node = nodes.add("n1", mood="hanging")
    wait_until(lambda: worker.sync_loop.leads, 10, "the lease")
    assert not node.asked
    worker.stop()
    assert set(threading.enumerate()) <= before


@contextmanager
def caught_term() -> Iterator[list[int]]:
    caught: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, _frame: caught.append(number))
    try:
        yield caught
    finally:
        signal.signal(signal.SIGTERM, former)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_whose_poller_crashes_ends_itself(worker: Worker, nodes: FakeNodes) -> None:
    node = nodes.add("n1")
    with caught_term() as caught:
        worker.fleet_state.take({"n1": None})  # type: ignore[dict-item]  # no code does this: a bug, as the poller meets it
        wait_until(lambda: caught, 10, "the worker's end")
    assert node.asked == []
