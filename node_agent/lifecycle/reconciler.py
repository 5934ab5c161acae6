"""Makes what runs on this host what should run: observe, adopt, cull, refill; until stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from node_agent.errors import EngineError, HostError
from node_agent.lifecycle.endings import Endings
from node_agent.lifecycle.observation import Observation, adopted
from node_agent.lifecycle.sessions import SessionWatch
from node_agent.lifecycle.starter import Starter
from node_agent.lifecycle.tasks import settle
from node_agent.pools.culling import Limits
from node_agent.pools.pools import Pools
from node_agent.pools.table import SandboxTable
from node_agent.runtimes.contract import Runtime
from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import name_of

log = logging.getLogger("lifecycle")

TICK_SECONDS = 2.0
"""How often to look at the engine. Claims and ends do not wait for it."""

STALLED_SECONDS = 60.0
"""A loop that has not turned for so long is not well: no step of it takes half of that."""


class Reconciler:
    """One thread that decides, and a few that start, check and end.

    Nothing here is remembered that cannot be read again from the engine and the ledger: a killed agent's successor
    carries on from those.
    """

    def __init__(
        self,
        runtime: Runtime,
        table: SandboxTable,
        pools: Pools,
        starter: Starter,
        sessions: SessionWatch,
        *,
        limits: Callable[[str], Limits],
        workers: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        stop: threading.Event,
        tidy: Callable[[set[str]], None] = lambda _names: None,
        try_out: Callable[[str], object] | None = None,
        trial_seconds: float = 0.0,
        adopted: Callable[[Sandbox], object] = lambda _sandbox: None,
    ) -> None:
        """A reconciler; `limits` are a pool's, `tidy` removes what sandboxes other than those of these names shared.

        `adopted` is told each sandbox that a former agent left. `try_out` tries a pool with a sandbox of its own,
        which takes a while, and notes what came of it: at its first start and again after `trial_seconds`; 0: never.
        """
        self._runtime = runtime
        self._table = table
        self._pools = pools
        self._starter = starter
        self._sessions = sessions
        self._limits = limits
        self._workers = workers
        self._clock = clock
        self._monotonic = monotonic
        self._stop = stop
        self._tidy = tidy
        self._try_out = try_out
        self._trial_seconds = trial_seconds
        self._adopted = adopted
        self._trial: threading.Thread | None = None
        self._starts = ThreadPoolExecutor(workers, "start")
        self._starting: dict[str, Future[None]] = {}
        self._endings = Endings(runtime, table, monotonic)
        self._engine_problem = "the engine has not been asked yet"
        self._acted_at = monotonic()

    def begin(self) -> None:
        """Take in what a former agent left, before anything is asked of this one."""
        self.tick(self._clock())

    def run(self) -> None:
        """Turn until stopped. What runs in sandboxes goes on."""
        next_tick = self._monotonic()
        try:
            while True:
                self._table.changed.clear()
                # Looked at after the clearing: whoever stops sets it first and wakes us then.
                if self._stop.is_set():
                    return
                if self._monotonic() >= next_tick:
                    self.tick(self._clock())
                    # A late tick is skipped, not made up for.
                    next_tick = max(next_tick + TICK_SECONDS, self._monotonic())
                self.act(self._clock())
                self._table.changed.wait(max(0.0, next_tick - self._monotonic()))
        finally:
            self._starts.shutdown(cancel_futures=True)
            self._sessions.close()
            self._endings.close()

    def stop(self) -> None:
        self._stop.set()
        self._table.changed.set()

    def problem(self) -> str:
        """Why this node is not well; empty while it is."""
        late = self._monotonic() - self._acted_at
        if late > STALLED_SECONDS:
            return f"the agent's loop has not turned for {late:.0f} s"
        return "; ".join(filter(None, [self._engine_problem, *self._pools.problems(), self.removal_problem()]))

    def removal_problem(self) -> str:
        """What has been in the way of removals for minutes; empty while nothing has."""
        return self._endings.problem()

    def tick(self, now: float) -> None:
        """Look at everything once, and judge it."""
        try:
            seen = self._observe()
            self._adopt(seen, now)
            self._mark_dead(seen)
            self._collect_garbage(seen)
            self._look_for({spec.image for spec in self._pools.specs() if spec.capacity})
        except (EngineError, HostError) as error:
            # Nobody is judged by what does not answer: sessions go on, and visitors get what is ready.
            self._say(str(error))
        else:
            self._say("")
        self._sessions.tick(now)

    def act(self, now: float) -> None:
        """End what is to end and start what is missing."""
        self._look_for_new_images()
        self._pools.scale_down()
        self._endings.turn(halted=bool(self._engine_problem))
        self._refill(now)
        self._begin_trial()
        self._acted_at = self._monotonic()

    # Observe

    def _observe(self) -> Observation:
        known = tuple(self._table.all())
        instances = {instance.name: instance for instance in self._runtime.instances()}
        return Observation(known, instances, self._table.directory_states())

    def _say(self, problem: str) -> None:
        if problem != self._engine_problem:
            log.log(logging.ERROR if problem else logging.INFO, "engine: %s", problem or "answers")
        self._engine_problem = problem
        self._pools.halt(bool(problem))

    def _adopt(self, seen: Observation, now: float) -> None:
        """Take in what a former agent left running."""
        known = {sandbox.name for sandbox in self._table.all()}
        for key, standing in seen.directory_states.items():
            instance = seen.instances.get(name_of(key))
            if instance is None or not instance.alive or instance.name in known:
                continue
            sandbox = adopted(key, instance, standing, self._limits(instance.pool), now)
            self._pools.adopt(sandbox)
            log.info("adopted sandbox=%s state=%s", sandbox.name, sandbox.state)
            self._adopted(sandbox)
            if sandbox.state == "starting":
                self._starting[sandbox.name] = self._starts.submit(self._starter.see_through, sandbox)
            elif sandbox.state == "ready":
                self._starts.submit(self._starter.observe_landing, sandbox)

    def _look_for(self, images: Iterable[str]) -> None:
        """Look whether images are there, and have those fetched that are not."""
        for image in images:
            self._pools.record_image(image, self._runtime.image_state(image))

    def _look_for_new_images(self) -> None:
        """A pool that was moved does not wait for the tick."""
        try:
            self._look_for(set(self._pools.images_to_look_at()))
        except EngineError as error:
            self._say(str(error))

    # Judge

    def _mark_dead(self, seen: Observation) -> None:
        """Take out of use what does not live any more."""
        for sandbox in seen.known:
            instance = seen.instances.get(sandbox.name)
            if sandbox.state == "starting":
                # Its start may not have reached the engine yet; only one that was there and ended has died.
                if instance is not None and not instance.alive:
                    self._starter.died(sandbox.name, instance.detail)
            elif sandbox.state == "trial":
                # Whoever tries it out sees that it does not answer, and ends it.
                continue
            elif instance is None or not instance.alive:
                self._sessions.end(sandbox, "dead", "" if instance is None else instance.detail)

    def _collect_garbage(self, seen: Observation) -> None:
        """Remove what belongs to no sandbox: directories without a process, processes without a directory."""
        known = {sandbox.name for sandbox in self._table.all()}
        for key in seen.directory_states:
            if name_of(key) not in known:
                log.info("removing the directory of a sandbox that is gone, sandbox=%s", name_of(key))
                self._table.discard(key)
        for name in seen.instances:
            if name not in known and self._endings.begin(name):
                log.info("ending a leftover, sandbox=%s", name)
        self._tidy(known)

    # Act

    def _refill(self, now: float) -> None:
        for name in settle(self._starting):
            self._starter.fail(name, "the agent failed over it; its log says how")
        for spec in self._pools.specs():
            for _ in range(self._pools.to_start(spec.name, self._workers - len(self._starting), now)):
                sandbox = self._starter.register(spec)
                task = self._starting[sandbox.name] = self._starts.submit(self._starter.start, sandbox)
                # A free worker starts the next one, and does not wait for the tick.
                task.add_done_callback(lambda _task: self._table.changed.set())

    def _begin_trial(self) -> None:
        if self._try_out is None or (self._trial is not None and self._trial.is_alive()):
            return
        pool = self._pools.due_trial(self._trial_seconds, self._monotonic())
        if pool is not None:
            # An agent that stops does not wait for it: the next one takes the sandbox for one that starts.
            self._trial = threading.Thread(target=self._try_out, args=[pool], name="trial", daemon=True)
            self._trial.start()
