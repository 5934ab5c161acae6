"""Brings one sandbox up: directory, start, socket, landing page; or says why it did not come."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

from node_agent.errors import EngineError, HostError
from node_agent.jupyter import command
from node_agent.jupyter.trial import Patience, await_server
from node_agent.lifecycle.landings import Landings
from node_agent.lifecycle.sessions import measure
from node_agent.pools.pools import Pools
from node_agent.pools.specs import PoolSpec
from node_agent.pools.table import SandboxTable
from node_agent.runtimes.contract import Launch, Runtime
from node_agent.sandboxes import Sandbox, State
from tmpnb_common.keys import base_path, new_key, redact

log = logging.getLogger("lifecycle")

LOG_TAIL = 300
"""Characters of a sandbox's log that go into the reason of its failure."""


class Starter:
    """Starts sandboxes and waits for them; its calls block and belong in threads."""

    def __init__(
        self,
        runtime: Runtime,
        table: SandboxTable,
        pools: Pools,
        landing_problem: Callable[[Path, str, str], str],
        *,
        start_seconds: float,
        clock: Callable[[], float],
        rng: Random,
        stop: threading.Event,
        acquire_assets: Callable[[str, str], str] = lambda _image, _name: "",
        landings: Landings | None = None,
        contents: Callable[[], Path | None] = lambda: None,
    ) -> None:
        """A starter; `acquire_assets` gives the address of an image's browser files, noting who uses them.

        `contents` says where the node's blobs lie; None: there are none.
        """
        self._runtime = runtime
        self._table = table
        self._pools = pools
        self._landing_problem = landing_problem
        self._start_seconds = start_seconds
        self._clock = clock
        self._rng = rng
        self._stop = stop
        self._acquire_assets = acquire_assets
        self._landings = landings
        self._contents = contents
        self._died: dict[str, str] = {}

    def register(self, spec: PoolSpec, state: State = "starting") -> Sandbox:
        """A new sandbox's name and key. It takes up its slot from here on; `start` does the rest."""
        while True:
            key = new_key(self._rng.choice)
            sandbox = Sandbox(key, spec.name, spec.image, state, created_at=self._clock(), content=spec.content)
            # A name has 40 bits: now and then, in many years of many nodes, one comes twice.
            if self._table.register(sandbox):
                return sandbox

    def launch(self, sandbox: Sandbox) -> None:
        """Start a registered sandbox, and do not wait for it.

        Raises:
            EngineError: the engine does not start it.
            HostError: there is no directory to be had for it.
        """
        spec = self._spec(sandbox)
        static = self._acquire_assets(sandbox.image, sandbox.name) if command.shares(spec.command) else ""
        directory = self._table.make_directory(sandbox)
        self._runtime.start(
            Launch(
                sandbox.name,
                sandbox.key,
                sandbox.pool,
                sandbox.image,
                directory,
                spec.command,
                spec.landing if self._landings is None else self._landings.of(spec).page,
                static=static,
                contents=self._contents(),
                content=sandbox.content,
            )
        )

    def _spec(self, sandbox: Sandbox) -> PoolSpec:
        spec = self._pools.spec(sandbox.pool)
        assert spec is not None, "whatever is registered or adopted has a pool"
        return spec

    def start(self, sandbox: Sandbox) -> None:
        """Start a sandbox and see it through until it is ready, has failed, or the agent stops."""
        try:
            self.launch(sandbox)
        except (EngineError, HostError) as error:
            self._fail(sandbox, str(error))
        else:
            self.see_through(sandbox)

    def see_through(self, sandbox: Sandbox) -> None:
        """Wait until a sandbox that exists is ready. When the agent stops, it is left to the next one."""
        patience = Patience(self._start_seconds, lambda: self._clock() - sandbox.created_at, self._stop.wait)
        problem = self.await_page(sandbox, self._spec(sandbox).landing, patience, state="starting")
        if problem == "":
            self.observe_landing(sandbox)
            self._offer(sandbox)
        elif problem is not None:
            self._fail(sandbox, problem)
        elif sandbox.name in self._died:
            self._fail(sandbox, f"it ended: {self._died.pop(sandbox.name)}")

    def observe_landing(self, sandbox: Sandbox) -> None:
        """Learn from a sandbox that serves, and is nobody's yet, where the visitors of its pool land."""
        if self._landings is not None:
            self._landings.observe(self._spec(sandbox), self._table.socket(sandbox), base_path(sandbox.key))

    def await_page(self, sandbox: Sandbox, landing: str, patience: Patience, *, state: State) -> str | None:
        """Wait until a sandbox shows its landing page; the problem, or None when it ended or left that state."""
        socket = self._table.socket(sandbox)

        def given_up() -> bool:
            there = self._table.find(sandbox.name, state)
            return self._stop.is_set() or there is None or sandbox.name in self._died

        return await_server(
            socket, lambda: self._landing_problem(socket, base_path(sandbox.key), landing), patience, given_up=given_up
        )

    def died(self, name: str, detail: str) -> None:
        """Tell whoever waits for this sandbox that it will not come."""
        self._died[name] = detail

    def _offer(self, sandbox: Sandbox) -> None:
        try:
            after = self._clock() - sandbox.created_at
            if self._pools.ready(sandbox.name, after=after):
                log.info("ready sandbox=%s after=%.1fs", sandbox.name, after)
                # One of a large image takes more than the reserve before anybody has come.
                measure(self._runtime, self._table, sandbox)
        except HostError as error:
            self._fail(sandbox, str(error))

    def _fail(self, sandbox: Sandbox, reason: str) -> None:
        reason = self.with_log_tail(sandbox, reason)
        log.warning("not started sandbox=%s pool=%s reason=%r", sandbox.name, sandbox.pool, reason)
        self.fail(sandbox.name, reason)

    def fail(self, name: str, reason: str) -> None:
        """Take out a sandbox that does not come, and let its pool pause before the next try."""
        self._died.pop(name, None)
        now, jitter = self._clock(), self._rng.random()
        self._pools.failed(name, reason, now=now, jitter=jitter)

    def with_log_tail(self, sandbox: Sandbox, reason: str) -> str:
        """A reason, with the end of the sandbox's log in one line where there is one; no key in it."""
        try:
            words = " ".join(self._runtime.log_tail(sandbox.name).split())[-LOG_TAIL:]
        except EngineError:
            # Why it failed is known already, and an engine that is away shows in every other place.
            words = ""
        return redact(f"{reason}; it said last: {words}" if words else reason)
