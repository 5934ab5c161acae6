"""Runs the agent under gunicorn, with exactly one worker: its pools are one thing."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from gunicorn.app.base import BaseApplication

from node_agent.compose import compose
from node_agent.lifecycle.reconciler import Reconciler
from node_agent.logs import formatter
from node_agent.membership import identity
from node_agent.membership.joining import Departure, Membership
from node_agent.parts import make_runtime
from node_agent.settings.table import NodeSettings

THREADS = 16
"""Of the one worker. Claims are short; control calls are few."""

GRACE_SECONDS = 5
"""How long a stopping agent lets open calls finish. Sandboxes run on."""

START_SECONDS = 120
"""For how long a worker may say nothing. Its first look at an engine that hangs takes twice that engine's 30 seconds,
and a worker that was ended over it would leave ready sandboxes to nobody.
"""


class Loop:
    """The reconciler's thread within gunicorn's worker."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reconciler")

    def start(self) -> None:
        # Once here, before the first call is answered: what a former agent left is known when visitors come.
        self._reconciler.begin()
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._reconciler.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._reconciler.run()
        finally:
            if not self._stopping:
                # A worker without its loop would hand out what is left and then nothing: better a new worker.
                os.kill(os.getpid(), signal.SIGTERM)


def membership(settings: NodeSettings) -> Membership | None:
    """The place in a fleet that the settings ask for, if they do.

    Raises:
        HostError: a token cannot be read.
    """
    if not settings.join:
        return None
    join_token = settings.join_token
    if settings.join_token_file is not None:
        join_token = identity.read_tokens(settings.join_token_file)[0]
    own = identity.load(settings.state_dir, settings.token_file, identity.fresh_token).tokens[0]
    return Membership(settings.join, settings.url, settings.control_url, join_token, own)


class NodeServer(BaseApplication):
    """gunicorn, told from here rather than by a file or the command line."""

    def __init__(self, settings: NodeSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._loop: Loop | None = None
        self._membership = membership(settings)
        self._stop = threading.Event()
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """In the worker: threads and connections to the engine do not survive a fork."""
        agent = compose(self._settings, make_runtime(self._settings, self._environment))
        self._loop = Loop(agent.reconciler)
        return agent.app

    def _options(self) -> dict[str, Any]:
        return {
            "bind": f"unix:{self._settings.run.agent_socket}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "proc_name": "tmpnb-agent",
            "timeout": START_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            # nginx keeps no connections to the agent open.
            "keepalive": 0,
            "loglevel": "warning",
            "accesslog": None,
            "control_socket_disable": True,
            "when_ready": lambda _arbiter: self._heed_the_end(),
            "post_worker_init": lambda _worker: self._start(),
            "worker_exit": lambda _arbiter, _worker: self._end(),
        }

    def _start(self) -> None:
        assert self._loop is not None
        # gunicorn writes to a logger of its own.
        for handler in logging.getLogger("gunicorn.error").handlers:
            handler.setFormatter(formatter(self._settings.log_format))
        self._loop.start()
        if self._membership is not None:
            # Not waited for: the fleet asks this node back, which has to answer then.
            threading.Thread(target=self._membership.join, args=[self._stop], name="joining", daemon=True).start()

    def _heed_the_end(self) -> None:
        if self._membership is not None and self._settings.leave:
            Departure(self._membership).heed_term()

    def _end(self) -> None:
        self._stop.set()
        if self._loop is not None:
            self._loop.stop()
