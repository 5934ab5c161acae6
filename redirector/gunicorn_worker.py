"""One process that serves visitors, with its threads."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Thread

from flask import Flask

from redirector.loops.poller import Poller
from redirector.loops.sync import SyncLoop
from redirector.memory.database_state import DatabaseState
from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.memory.waiting_queue import WaitingQueue
from redirector.node_client.client import AgentClient
from redirector.node_client.fan_out import FanOut
from redirector.operations.node_changes import Control
from redirector.placing.abandonment import Abandonment
from redirector.placing.admission import Admission
from redirector.placing.placer import Placer
from redirector.placing.witness import Witness
from redirector.store.database import Database
from redirector.store.registry import Registry

log = logging.getLogger("compose")

STOP_SECONDS = 5.0
"""Longer than any call of the threads that are stopped should take."""


@dataclass(slots=True)
class Worker:
    """One process that serves visitors, with its threads."""

    app: Flask
    fleet_state: FleetState
    placer: Placer
    admission: Admission
    control: Control
    registry: Registry
    sync_loop: SyncLoop
    poller: Poller
    waiting_queue: WaitingQueue
    database_state: DatabaseState
    outbox: Outbox
    abandonment: Abandonment
    witness: Witness
    client: AgentClient
    fan_out: FanOut
    database: Database
    _stop: Flag = field(default_factory=Flag)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Read what there is, so that the first visitor finds a fleet, then start the threads."""
        if self.sync_loop.prepared:
            # A database that was away a moment ago would hold up the answer that it is.
            self.sync_loop.tick()
        for name, run in (
            ("sync", self.sync_loop.run),
            ("poller", self.poller.run),
            ("abandonment", self.abandonment.run),
            ("witness", self.witness.run),
        ):
            thread = Thread(target=_vital, args=(name, run, self._stop), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the threads; the lease goes to another worker."""
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        self.fan_out.close()
        self.client.close()
        self.database.close()


def _vital(name: str, run: Callable[[Flag], None], stop: Flag) -> None:
    """Run a thread that the worker cannot do without: if it ends before it should, so does the worker.

    gunicorn starts another one then, which is better than a worker that goes on serving what it once knew.
    """
    try:
        run(stop)
    finally:
        if not stop.is_set():
            log.critical("the %s thread ended: this worker ends too", name)
            os.kill(os.getpid(), signal.SIGTERM)
