"""One redirector worker without gunicorn and without threads: a test moves it step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Any

from werkzeug.test import TestResponse

from redirector.compose import compose
from redirector.gunicorn_worker import Worker
from redirector.model.board import Board
from redirector.model.nodes import Node, Seen
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.placing.outcomes import AdmissionRequest, Result
from redirector.settings import table as config
from redirector.store.boards import Boards
from tests.support.databases import prepare
from tests.support.fleet_node import FakeNode
from tmpnb_common.wire import DEFAULT_POOL

ADMIN_TOKEN = "an-admin-token-for-tests"

LONG = {"TMPNB_POLL_TIMEOUT_SECONDS": "5", "TMPNB_CLAIM_TIMEOUT_SECONDS": "5"}
SHORT = {"TMPNB_POLL_TIMEOUT_SECONDS": "0.6", "TMPNB_CLAIM_TIMEOUT_SECONDS": "0.6"}
"""How long a worker waits for nodes: long where they answer, however busy the machine is; short where they do not."""


class SteppedWorker:
    """A worker with a database of its own or a shared one."""

    def __init__(
        self, state: Path, executor: ThreadPoolExecutor, own_clock: Callable[[], float] = time.time, **environ: str
    ) -> None:
        self.settings = config.load(
            {
                "TMPNB_STATE": str(state),
                "TMPNB_ADMIN_TOKEN": ADMIN_TOKEN,
                "TMPNB_POLL_SECONDS": "1",
                **LONG,
                **environ,
            }
        )
        prepare(self.settings.database_url)
        self.worker: Worker = compose(self.settings, own_clock=own_clock)
        self.executor = executor
        self.web = self.worker.app.test_client()
        self.worker.sync_loop.tick()

    @property
    def board(self) -> Board:
        return self.worker.fleet_state.board

    def seen(self, node: FakeNode) -> Seen:
        return self.board.of(node.name)

    def row(self, node: FakeNode) -> Node:
        return self.worker.registry.all()[node.name]

    def add(self, *nodes: FakeNode) -> None:
        """Add nodes to the fleet and poll them once."""
        for node in nodes:
            token = node.token if node.protocol else ""
            self.worker.control.add(Addition(node.url, node.name, token=token), OperatorDecision())
        self.tick()

    def tick(self, times: int = 1) -> None:
        """One tick of the poller, with everyone's news before and after."""
        for _ in range(times):
            self.worker.sync_loop.tick()
            # As if the time of a whole tick had passed, be it one that somebody waits for.
            self.worker.poller._asked_at.clear()
            self.worker.poller.tick(self.executor, Flag())
            self.worker.sync_loop.tick()

    def published(self) -> int:
        """How many versions of the board have been published."""
        return Boards(self.worker.database).versions().board

    def place(self, path: str = "", pool: str = DEFAULT_POOL) -> Result:
        """Place a visitor, past everyone who waits."""
        return self.worker.placer.place(AdmissionRequest(path, pool), self.worker.fleet_state.pool(pool))

    def admin(self, method: str, path: str, token: str = ADMIN_TOKEN, **arguments: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        return self.web.open(path, method=method, headers=headers, **arguments)

    def visit(self, path: str = "/", **arguments: Any) -> TestResponse:
        return self.web.get(path, **arguments)


@contextmanager
def stepped_worker(
    state: Path, own_clock: Callable[[], float] = time.time, /, **environ: str
) -> Iterator[SteppedWorker]:
    with ThreadPoolExecutor(8) as executor:
        stepped = SteppedWorker(state, executor, own_clock, **environ)
        try:
            yield stepped
        finally:
            stepped.worker.stop()
