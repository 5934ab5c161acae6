"""Puts the worker together from the redirector's settings, and runs it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable
from importlib.metadata import version
from logging.config import dictConfig
from pathlib import Path
from threading import Event as Flag
from threading import Thread

from redirector.errors import DatabaseAwayError, DatabaseRefusedError
from redirector.logs import log_config
from redirector.node_client.client import AgentClient
from redirector.node_client.http import BoundedHttp
from redirector.settings.table import RedirectorSettings
from redirector.store.blob_rows import BlobRows
from redirector.store.boards import Boards
from redirector.store.contents import Contents
from redirector.store.database import Database
from redirector.store.leases import Leases
from redirector.store.registry import Registry
from redirector.store.schema import migrate
from redirector.store.shared_clock import SharedClock
from redirector.store.worker_reports import WorkerReports
from redirector.worker.addresses import AddressCheck
from redirector.worker.content_fetcher import ContentFetcher, FetchBounds, make_room
from redirector.worker.errors import disk_problem
from redirector.worker.fetching import Fetching
from redirector.worker.held_leases import HeldLeases
from redirector.worker.loop import WorkerLoop
from redirector.worker.object_store import ObjectStore
from redirector.worker.pushing import Pushing

log = logging.getLogger("worker")

DATABASE_SECONDS = 2.0
"""How often a database that is away is tried."""


class ContentWorker:
    """The process beside gunicorn, put together; nothing runs yet."""

    def __init__(self, settings: RedirectorSettings, *, clock: Callable[[], float] | None = None) -> None:
        """`clock` is the database's; None: it is read from there."""
        self.stop = Flag()
        host = socket.gethostname()
        holder = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self.database = Database(settings.database_url)
        shared = SharedClock(self.database)
        scratch = settings.state / "worker" / secrets.token_hex(4)
        self._scratch = scratch
        rows, contents = BlobRows(self.database), Contents(self.database)
        self.blobs = ObjectStore(settings.blobs, settings.state / "blobs", scratch)
        self.client = AgentClient(
            BoundedHttp(f"tmpnb-worker/{version('tmpnb-fleet')}"),
            poll_seconds=settings.poll_timeout_seconds,
            claim_seconds=settings.claim_timeout_seconds,
        )
        self.leases = HeldLeases(Leases(self.database), holder)

        def keep_room() -> None:
            named = {content.digest for content in contents.all().values() if content.digest}
            make_room(self.blobs, rows, named, settings.blobs_limit)

        fetcher = ContentFetcher(
            blobs=self.blobs,
            rows=rows,
            scratch=scratch,
            check=AddressCheck(settings.content_networks),
            bounds=FetchBounds(settings.content_files, settings.content_bytes, settings.content_seconds),
            stop=self.stop,
        )
        self.loop = WorkerLoop(
            host=host,
            registry=Registry(self.database),
            boards=Boards(self.database),
            contents=contents,
            rows=rows,
            reports=WorkerReports(self.database),
            fetching=Fetching(
                contents=contents,
                fetcher=fetcher,
                leases=self.leases,
                clock=clock or shared,
                check_seconds=settings.content_check_seconds,
                keep_room=keep_room,
            ),
            pushing=Pushing(
                client=self.client,
                blobs=self.blobs,
                rows=rows,
                contents=contents,
                leases=self.leases,
                monotonic=time.monotonic,
            ),
            prepare=lambda: self.blobs.check_mark(rows.mark()),
            adjust_clock=shared.adjust,
        )

    def run(self) -> None:
        """Work until stopped."""
        renewer = Thread(target=self.leases.run, args=[self.stop], name="leases", daemon=True)
        renewer.start()
        try:
            self.loop.run(self.stop)
        finally:
            self.stop.set()
            self.close()

    def close(self) -> None:
        """Close what is open, and remove what was on its way."""
        self.client.close()
        self.database.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def run(settings: RedirectorSettings) -> None:
    """Fetch and push until TERM or INT comes.

    Raises:
        BlobStoreError: the store of blobs cannot be used.
        DatabaseRefusedError: waiting for the database would be no use; it may be of a newer version.
    """
    dictConfig(log_config(settings.log_level, settings.log_format))
    _clear(settings.state / "worker")
    worker = ContentWorker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    while not worker.stop.is_set():
        try:
            migrate(worker.database)
        except DatabaseRefusedError:
            raise
        except DatabaseAwayError as error:
            log.warning("%s; waiting for it", error)
            worker.stop.wait(DATABASE_SECONDS)
        else:
            break
    worker.run()


def _clear(scratch: Path) -> None:
    """Remove what a worker left that was killed. Two on one host would be a mistake, and spoil single fetches only."""
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    except OSError as error:
        raise disk_problem(error) from error
