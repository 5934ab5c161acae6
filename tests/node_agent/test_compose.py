"""Tests of the composition: settings in, an agent with its loop out."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent import unix_http
from node_agent.compose import compose
from node_agent.errors import EngineError
from node_agent.jupyter import welcome
from node_agent.parts import limits_by_pool, make_runtime
from node_agent.runtimes.contract import Instance
from node_agent.runtimes.docker.connection import CALL_SECONDS
from node_agent.runtimes.process.runtime import ProcessRuntime
from node_agent.server import START_SECONDS, Loop, NodeServer
from node_agent.settings import table as config
from node_agent.settings.table import NodeSettings
from tests.support.node_fakes import FakeEngine, FakeRuntime
from tests.support.waiting import wait_until


@pytest.fixture
def settings() -> Iterator[NodeSettings]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as root:
        given = {"RUNTIME": "process", "RUN_DIR": root, "STATE_DIR": f"{root}/state", "CAPACITY": "2", "NAME": "n1"}
        # A trial is one more sandbox for a while, which those who count them would see now and then.
        given["TRIAL_SECONDS"] = "0"
        yield config.load({f"TMPNB_NODE_{name}": value for name, value in given.items()})


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    made = FakeEngine(time.time)
    yield made
    made.stop()


def test_an_agent_that_is_put_together_fills_its_pool_and_answers(settings: NodeSettings, engine: FakeEngine) -> None:
    agent = compose(settings, FakeRuntime(engine))
    client = agent.app.test_client()
    loop = Loop(agent.reconciler)
    loop.start()
    try:
        stats = wait_until(lambda: _full(client.get("/stats").json), 20, "a full pool")
    finally:
        loop.stop()
    assert (stats["name"], stats["capacity"], stats["container_image"]) == ("n1", 2, "process")
    assert len(engine.running) == 2, "they outlive the loop"
    assert client.get("/healthz").status_code == 200


def test_a_worker_outlasts_its_first_look_at_an_engine_that_hangs(settings: NodeSettings) -> None:
    assert NodeServer(settings, {}).cfg.timeout == START_SECONDS
    assert START_SECONDS > 3 * CALL_SECONDS


def _full(stats: object) -> dict[str, object]:
    assert isinstance(stats, dict)
    return stats if stats["available"] == stats["capacity"] else {}


def test_a_loop_that_breaks_takes_its_worker_along_instead_of_leaving_it_without_refill(
    settings: NodeSettings, engine: FakeEngine
) -> None:
    class BrokenRuntime(FakeRuntime):
        looks = 0

        def instances(self) -> list[Instance]:
            self.looks += 1
            if self.looks > 1:
                raise ZeroDivisionError
            return super().instances()

    agent = compose(settings, BrokenRuntime(engine))
    asked_to_end = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: asked_to_end.set())
    loop = Loop(agent.reconciler)
    hook, threading.excepthook = threading.excepthook, lambda _failure: None
    try:
        loop.start()
        wait_until(asked_to_end.is_set, 20, "the worker to be told to end")
    finally:
        loop.stop()
        threading.excepthook = hook
        signal.signal(signal.SIGTERM, before)


def test_the_process_runtime_is_made_from_the_settings_with_its_welcome(settings: NodeSettings) -> None:
    runtime = make_runtime(settings, {"PATH": os.environ["PATH"]})
    assert isinstance(runtime, ProcessRuntime)
    runtime.check()
    assert (settings.state_dir / "sandboxes").is_dir()
    text = welcome.render(idle_seconds=5400, max_age_seconds=7200)
    assert "after 90 minutes without activity, and after 2 hours at the latest" in text
    assert welcome.duration(45) == "45 seconds"
    assert welcome.duration(3600) == "1 hour"
    assert welcome.duration(0) == "no time"


def test_the_server_has_exactly_one_worker_and_no_log_of_paths(settings: NodeSettings) -> None:
    server = NodeServer(settings, {})
    assert server.cfg.workers == 1
    assert server.cfg.worker_class_str == "gthread"
    assert server.cfg.accesslog is None
    assert server.cfg.bind == [f"unix:{settings.run_dir}/agent.sock"]


def test_the_agent_of_the_server_is_made_in_its_worker(settings: NodeSettings) -> None:
    server = NodeServer(settings, {"PATH": os.environ["PATH"]})
    app = server.load()
    assert app.test_client().get("/stats").json["available"] == 0
    assert not unix_http.listens(Path(settings.run_dir) / "agent.sock")


def test_an_engine_that_is_away_at_the_start_keeps_the_node_unwell_and_answering(
    settings: NodeSettings, engine: FakeEngine
) -> None:
    engine.away = True
    with pytest.raises(EngineError):
        FakeRuntime(engine).check()
    agent = compose(settings, FakeRuntime(engine))
    agent.reconciler.tick(time.time())
    client = agent.app.test_client()
    assert client.get("/healthz").status_code == 503
    assert client.get("/stats").status_code == 200


def test_sessions_last_as_their_pools_settings_say_and_as_the_default_ones_where_the_pool_is_no_more() -> None:
    settings = config.load(
        {
            "TMPNB_NODE_RUNTIME": "process",
            "TMPNB_NODE_POOLS": "exam",
            "TMPNB_NODE_POOL_EXAM_MAX_AGE_SECONDS": "7200",
        }
    )
    limits = limits_by_pool(settings)
    assert [limits(pool).max_age for pool in ("exam", "default", "of-before")] == [7200, 14400, 14400]
