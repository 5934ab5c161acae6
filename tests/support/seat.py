"""A redirector that a browser can visit, in this process, with fake nodes: its threads run as they do in a worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from redirector.compose import compose
from redirector.gunicorn_worker import Worker
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.placing.outcomes import AdmissionRequest, Result
from redirector.settings import table as config
from redirector.store.database import Database
from redirector.store.schema import migrate
from tests.support.fleet_node import FakeNode

ADMIN_TOKEN = "an-admin-token-for-tests"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing."""


@dataclass
class Seat:
    """One redirector and its address."""

    url: str
    worker: Worker

    def add(self, *nodes: FakeNode) -> None:
        for node in nodes:
            self.worker.control.add(
                Addition(node.url, node.name, token=node.token if node.protocol else ""), OperatorDecision(by="ann")
            )

    def place(self) -> Result:
        """Place a visitor, past everyone who waits."""
        return self.worker.placer.place(AdmissionRequest(), self.worker.fleet_state.pool())


@contextmanager
def seat(state: Path, **environ: str) -> Iterator[Seat]:
    """Run one until the context ends."""
    settings = config.load(
        {
            "TMPNB_STATE": str(state),
            "TMPNB_ADMIN_TOKEN": ADMIN_TOKEN,
            "TMPNB_POLL_SECONDS": "0.5",
            "TMPNB_POLL_TIMEOUT_SECONDS": "5",
            "TMPNB_CLAIM_TIMEOUT_SECONDS": "5",
            "TMPNB_STATUS_PAGE": "1",
            **environ,
        }
    )
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    worker = compose(settings)
    server = make_server("127.0.0.1", 0, worker.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="seat")
    worker.start()
    thread.start()
    try:
        yield Seat(f"http://127.0.0.1:{server.server_port}", worker)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        worker.stop()
