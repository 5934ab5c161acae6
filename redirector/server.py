"""`tmpnb serve`: the redirector under gunicorn."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from logging.config import dictConfig
from typing import Any

from gunicorn.app.base import Application
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets

from redirector.compose import compose
from redirector.errors import DatabaseAwayError, DatabaseRefusedError
from redirector.gunicorn_worker import Worker
from redirector.logs import log_config
from redirector.memory.bucket_table import BucketTable
from redirector.settings.table import RedirectorSettings
from redirector.socket_holder import keep_beside, serve_in_a_child
from redirector.store.database import Database
from redirector.store.schema import migrate
from redirector.streams.listening import listen
from redirector.web.pages import check_templates

log = logging.getLogger("server")

REQUEST_LINE_LIMIT = 8190
"""Bytes. Longer ones are refused by gunicorn; those that no node would take either get a clear answer from us."""

HEADERS, HEADER_LIMIT = 64, 32_768
"""Most headers, and bytes of one: eight cookies of the largest size, such as other sites on the same domain may set."""

GRACEFUL_SECONDS = 15
"""For requests under way when a worker is told to stop: longer than a visitor may wait for a place, and shorter than
the 30 s after which Docker and systemd use force.
"""

HUNG_SECONDS = 60
"""A worker that has not told its master that it lives for this long is replaced. It tells while its threads wait, so a
selftest of a node may take minutes all the same.
"""


TMPNB = (sys.executable, "-c", "from redirector.cli import main; main()")
"""What runs a command of ours in a process of its own."""


class _Logger(Logger):
    """Writes no line a request, nor makes one up: with addresses and queries in them they are for nginx in front, which
    leaves those out.
    """

    access_log_enabled = False


class RedirectorServer(Application):
    """Runs workers that are put together by `wsgi.compose`, each after its fork. They share nothing but what
    clients have had of their limits.
    """

    def __init__(self, settings: RedirectorSettings, *, migrated: bool = True, sockets: Sequence[int] = ()) -> None:
        """`sockets` are file descriptors that listen already, instead of the settings' addresses."""
        self._settings = settings
        self._migrated = migrated
        self._sockets = sockets
        self._buckets = BucketTable()
        self._worker: Worker | None = None
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": self._settings.listen,
            "workers": self._settings.workers,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "timeout": HUNG_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "limit_request_line": REQUEST_LINE_LIMIT,
            "limit_request_fields": HEADERS,
            "limit_request_field_size": HEADER_LIMIT,
            "proc_name": "tmpnb-redirector",
            # Its default would be one file in the home directory for all fleets of a user.
            "control_socket_disable": True,
            # Proxies in front are trusted by TMPNB_TRUSTED_PROXIES alone.
            "forwarded_allow_ips": "",
            "loglevel": self._settings.log_level.lower(),
            "logger_class": _Logger,
            "logconfig_dict": log_config(self._settings.log_level, self._settings.log_format),
            "post_worker_init": self._start_threads,
            "worker_exit": self._stop_threads,
        }
        for name, value in options.items():
            self.cfg.set(name, value)
        if self._settings.gunicorn_conf is not None:
            self.load_config_from_file(str(self._settings.gunicorn_conf))
        if self._sockets:
            self.cfg.set("bind", [f"fd://{descriptor}" for descriptor in self._sockets])

    def load(self) -> Any:
        self._worker = compose(self._settings, migrated=self._migrated, buckets=self._buckets)
        return self._worker.app

    def _start_threads(self, _worker: object) -> None:
        if self._worker is not None:
            self._worker.start()

    def _stop_threads(self, _server: object, _worker: object) -> None:
        if self._worker is not None:
            self._worker.stop()


def run(settings: RedirectorSettings, *, keep_listening: bool = False) -> None:
    """Bring the database to this version's schema, then serve until told to stop.

    A database that cannot be reached is waited for, as after a reboot that starts it later; `/healthz` says so
    meanwhile.

    Args:
        settings: the redirector's.
        keep_listening: a parent process keeps the addresses, and starts another server should this one be killed.

    Raises:
        FleetConfigError: a template of the operator's is none, or event streams cannot be served where they are to be.
        DatabaseRefusedError: waiting for the database would be no use; it may be of a newer version.
    """
    dictConfig(log_config(settings.log_level, settings.log_format))
    check_templates(settings.templates_dir)
    sockets: list[int] = []
    streams = _listen_for_streams(settings)
    if keep_listening:
        sockets = _listen(settings)
        status = serve_in_a_child()
        if status is not None:
            sys.exit(status)
    migrated = _migrate(settings.database_url)
    if settings.content_worker:
        # A program of its own: nothing that an object store brings along is in the processes that serve.
        keep_beside([*TMPNB, "worker"], "worker")
    if streams is not None:
        keep_beside([*TMPNB, "streams", "--descriptor", str(streams)], "streams' process")
    # The first process of a container hears no TERM that it has no handler for. gunicorn brings its own in a moment.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    RedirectorServer(settings, migrated=migrated, sockets=sockets).run()


def _listen(settings: RedirectorSettings) -> list[int]:
    """Listen where gunicorn would; the file descriptors."""
    cfg = RedirectorServer(settings).cfg
    return [listener.sock.detach() for listener in create_sockets(cfg, cfg.logger_class(cfg))]


def _listen_for_streams(settings: RedirectorSettings) -> int | None:
    """Hold the event streams' address here, so that clients wait while that process is started again."""
    if not settings.streams_listen:
        return None
    descriptor = listen(settings.streams_listen).detach()
    os.set_inheritable(descriptor, True)
    return descriptor


def _migrate(url: str) -> bool:
    """Make the schema current; False if the database could not be reached."""
    database = Database(url)
    try:
        migrate(database)
    except DatabaseRefusedError:
        raise
    except DatabaseAwayError as error:
        log.warning("%s; waiting for it", error)
        return False
    finally:
        database.close()
    return True
