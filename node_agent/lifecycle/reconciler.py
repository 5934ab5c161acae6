"""Makes what runs on this host what should run: observe, adopt, cull, refill; until stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from node_agent.errors import EngineError, HostError
from node_agent.jupyter.client import Activity
from node_agent.lifecycle.removals import Removals
from node_agent.lifecycle.starter import Starter
from node_agent.pools.culling import Limits, Look, at_work, check_due, why_cull
from node_agent.pools.ledger import Standing
from node_agent.pools.pools import Pools
from node_agent.pools.trials import EARLY_SECONDS, End
from node_agent.runtimes.contract import Instance, Runtime
from node_agent.sandboxes import Sandbox, State
from tmpnb_common.keys import base_path, name_of, redact

log = logging.getLogger("lifecycle")

BEAT_SECONDS = 2.0
"""How often to look at the engine. Claims and ends do not wait for it."""

STALLED_SECONDS = 60.0
"""A loop that has not turned for so long is not well: no step of it takes half of that."""

ENDS = 4
CHECKS = 8
"""Threads that end and that check sandboxes."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What was there at one moment. `known` was noted first, so all of it has had its chance to show."""

    known: tuple[Sandbox, ...]
    instances: dict[str, Instance]
    standings: dict[str, Standing]


class Reconciler:
    """One thread that decides, and a few that start, check and end.

    Nothing here is remembered that cannot be read again from the engine and the ledger: a killed agent's successor
    carries on from those.
    """

    def __init__(
        self,
        runtime: Runtime,
        pools: Pools,
        starter: Starter,
        activity: Callable[[Path, str], Activity | None],
        *,
        limits: Callable[[str], Limits],
        hands: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        stop: threading.Event,
        tidy: Callable[[set[str]], None] = lambda _names: None,
        try_out: Callable[[str], object] | None = None,
        trial_seconds: float = 0.0,
    ) -> None:
        """A reconciler; `limits` are a pool's, `tidy` removes what sandboxes other than those of these names shared.

        `try_out` tries a pool with a sandbox of its own, which takes a while, and notes what came of it: at its first
        start and again after `trial_seconds`; 0: never.
        """
        self._runtime = runtime
        self._pools = pools
        self._starter = starter
        self._activity = activity
        self._limits = limits
        self._hands = hands
        self._clock = clock
        self._monotonic = monotonic
        self._stop = stop
        self._tidy = tidy
        self._try_out = try_out
        self._trial_seconds = trial_seconds
        self._trial: threading.Thread | None = None
        self._starts = ThreadPoolExecutor(hands, "start")
        self._ends = ThreadPoolExecutor(ENDS, "end")
        self._checks = ThreadPoolExecutor(CHECKS, "check")
        self._starting: dict[str, Future[None]] = {}
        self._ending: dict[str, Future[None]] = {}
        self._checking: dict[str, Future[None]] = {}
        self._looks: dict[str, Look] = {}
        """The last one at each session."""
        self._removals = Removals()
        self._engine_problem = "the engine has not been asked yet"
        self._turned_at = monotonic()

    def begin(self) -> None:
        """Take in what a former agent left, before anything is asked of this one."""
        self.beat(self._clock())

    def run(self) -> None:
        """Turn until stopped. What runs in sandboxes goes on."""
        next_beat = self._monotonic()
        try:
            while True:
                self._pools.changed.clear()
                # Looked at after the clearing: whoever stops sets it first and wakes us then.
                if self._stop.is_set():
                    return
                if self._monotonic() >= next_beat:
                    self.beat(self._clock())
                    # A late beat is skipped, not made up for.
                    next_beat = max(next_beat + BEAT_SECONDS, self._monotonic())
                self.act(self._clock())
                self._pools.changed.wait(max(0.0, next_beat - self._monotonic()))
        finally:
            for pool in (self._starts, self._checks, self._ends):
                pool.shutdown(cancel_futures=True)

    def stop(self) -> None:
        self._stop.set()
        self._pools.changed.set()

    def problem(self) -> str:
        """Why this node is not well; empty while it is."""
        late = self._monotonic() - self._turned_at
        if late > STALLED_SECONDS:
            return f"the agent's loop has not turned for {late:.0f} s"
        return "; ".join(filter(None, [self._engine_problem, *self._pools.problems(), self.removal_problem()]))

    def removal_problem(self) -> str:
        """What has been in the way of removals for minutes; empty while nothing has."""
        return self._removals.problem(self._monotonic())

    def beat(self, now: float) -> None:
        """Look at everything once, and judge it."""
        try:
            seen = self._observe()
            self._adopt(seen, now)
            self._bury(seen)
            self._sweep(seen)
            self._look_for({spec.image for spec in self._pools.specs() if spec.capacity})
        except (EngineError, HostError) as error:
            # Nobody is judged by what does not answer: sessions go on, and visitors get what is ready.
            self._say(str(error))
        else:
            self._say("")
        self._check(now)
        self._cull(now)
        self._pools.judge(self._monotonic())

    def act(self, now: float) -> None:
        """End what is to end and start what is missing."""
        self._look_for_new_images()
        self._pools.retire()
        self._finish_ending()
        self._refill(now)
        self._begin_trial()
        self._turned_at = self._monotonic()

    # Observe

    def _observe(self) -> Observation:
        known = tuple(self._pools.sandboxes())
        instances = {instance.name: instance for instance in self._runtime.instances()}
        return Observation(known, instances, self._pools.standings())

    def _say(self, problem: str) -> None:
        if problem != self._engine_problem:
            log.log(logging.ERROR if problem else logging.INFO, "engine: %s", problem or "answers")
        self._engine_problem = problem
        self._pools.halt(bool(problem))

    def _adopt(self, seen: Observation, now: float) -> None:
        """Take in what a former agent left running."""
        known = {sandbox.name for sandbox in self._pools.sandboxes()}
        for key, standing in seen.standings.items():
            instance = seen.instances.get(name_of(key))
            if instance is None or not instance.alive or instance.name in known:
                continue
            sandbox = adopted(key, instance, standing, self._limits(instance.pool), now)
            self._pools.adopt(sandbox)
            log.info("adopted sandbox=%s state=%s", sandbox.name, sandbox.state)
            if sandbox.state == "starting":
                self._starting[sandbox.name] = self._starts.submit(self._starter.see_through, sandbox)

    def _look_for(self, images: Iterable[str]) -> None:
        """Look whether images are there, and have those fetched that are not."""
        for image in images:
            self._pools.note_image(image, self._runtime.image_state(image))

    def _look_for_new_images(self) -> None:
        """A pool that was moved does not wait for the beat."""
        try:
            self._look_for(set(self._pools.images_to_look_at()))
        except EngineError as error:
            self._say(str(error))

    # Judge

    def _bury(self, seen: Observation) -> None:
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
                self._end(sandbox, "dead", "" if instance is None else instance.detail)

    def _sweep(self, seen: Observation) -> None:
        """Remove what belongs to no sandbox: directories without a process, processes without a directory."""
        known = {sandbox.name for sandbox in self._pools.sandboxes()}
        for key in seen.standings:
            if name_of(key) not in known:
                log.info("removing the directory of a sandbox that is gone, sandbox=%s", name_of(key))
                self._pools.discard(key)
        for name in seen.instances:
            if name not in known and name not in self._ending and self._removals.due(name, self._monotonic()):
                log.info("ending a leftover, sandbox=%s", name)
                self._ending[name] = self._ends.submit(self._end_instance, name)
        self._tidy(known)

    def _check(self, now: float) -> None:
        """Look at claimed sandboxes, each at its own pace."""
        self._pools.note_visits()
        living = set()
        for sandbox in self._pools.sandboxes():
            living.add(sandbox.name)
            before = self._looks.setdefault(sandbox.name, Look(sandbox.claimed_at or now))
            due = check_due(sandbox, self._limits(sandbox.pool), before.at, now)
            if due and sandbox.name not in self._checking:
                self._checking[sandbox.name] = self._checks.submit(self._look, sandbox, before)
        self._looks = {name: look for name, look in self._looks.items() if name in living}
        _settle(self._checking)

    def _look(self, sandbox: Sandbox, before: Look) -> None:
        """Look at one session, and note who or what was at work in it since the look before."""
        used = self._starter.weigh(sandbox)
        activity = self._activity(self._pools.socket(sandbox), base_path(sandbox.key)) or before.activity
        program = activity is not None and activity.terminals and self._starter.runs_program(sandbox)
        seconds = used.processor_seconds if used else before.processor_seconds
        look = Look(self._clock(), activity, seconds, program)
        self._looks[sandbox.name] = look
        if at_work(before, look):
            self._pools.note_activity(sandbox.name, look.at)
        self._pools.note_busy(sandbox.name, activity is not None and activity.busy)

    def _cull(self, now: float) -> None:
        for sandbox in self._pools.sandboxes():
            reason = why_cull(sandbox, self._limits(sandbox.pool), now)
            # Whoever is being asked what they do may have come back a moment ago.
            if reason and (reason == "max_age" or sandbox.name not in self._checking):
                self._end(sandbox, reason, "")

    def _end(self, sandbox: Sandbox, reason: str, detail: str) -> None:
        if sandbox.state != "ending" and self._pools.end(sandbox.name, reason):
            if sandbox.claimed_at is not None:
                early = reason == "dead" and self._clock() - sandbox.claimed_at < EARLY_SECONDS
                self._pools.note_end(sandbox.pool, End(self._monotonic(), early))
            log.info("ended sandbox=%s reason=%s detail=%r", sandbox.name, reason, redact(detail))

    # Act

    def _finish_ending(self) -> None:
        _settle(self._ending)
        if self._engine_problem:
            return
        now = self._monotonic()
        if line := self._removals.line(now):
            log.warning("%s", line)
        for sandbox in self._pools.sandboxes():
            name = sandbox.name
            if sandbox.state == "ending" and name not in self._ending and self._removals.due(name, now):
                self._ending[name] = self._ends.submit(self._end_instance, name)

    def _end_instance(self, name: str) -> None:
        try:
            self._runtime.end(name)
            self._pools.forget(name)
        except (EngineError, HostError) as error:
            self._removals.failed(name, str(error), self._monotonic())
        else:
            self._removals.done(name)

    def _refill(self, now: float) -> None:
        for name in _settle(self._starting):
            self._starter.fail(name, "the agent failed over it; its log says how")
        for spec in self._pools.specs():
            for _ in range(self._pools.wanted(spec.name, self._hands - len(self._starting), now)):
                sandbox = self._starter.enrol(spec)
                task = self._starting[sandbox.name] = self._starts.submit(self._starter.start, sandbox)
                # A free hand starts the next one, and does not wait for the beat.
                task.add_done_callback(lambda _task: self._pools.changed.set())

    def _begin_trial(self) -> None:
        if self._try_out is None or (self._trial is not None and self._trial.is_alive()):
            return
        pool = self._pools.due_trial(self._trial_seconds, self._monotonic())
        if pool is not None:
            # An agent that stops does not wait for it: the next one takes the sandbox for one that starts.
            self._trial = threading.Thread(target=self._try_out, args=[pool], name="trial", daemon=True)
            self._trial.start()


def adopted(key: str, instance: Instance, standing: Standing, limits: Limits, now: float) -> Sandbox:
    """What a sandbox that was found running is: a claimed one lies there, a sealed one has proven itself.

    Nobody knows what went on in a session while no agent was there, so its idle time begins anew. A former agent has
    seen the visitor of one that is older than any unvisited one gets.
    """
    claimed_at = standing.claimed_at
    state: State = "claimed" if claimed_at is not None else "ready" if standing.sealed else "starting"
    visited = claimed_at is not None and (standing.visited or now - claimed_at >= limits.unvisited)
    last = now if visited else None
    return Sandbox(key, instance.pool, instance.image, state, instance.created_at, claimed_at, visited, last)


def _settle(tasks: dict[str, Future[None]]) -> list[str]:
    """Forget what is done; the names of those whose task failed in a way that nobody foresaw, which is logged.

    Invariant: no sandbox's task ends the loop, since what it stumbled over may be that sandbox's own doing.
    """
    done = {name: tasks.pop(name).exception() for name in [name for name, task in tasks.items() if task.done()]}
    failed = {name: error for name, error in done.items() if error is not None}
    for name, error in failed.items():
        log.error("a task failed in an unforeseen way, sandbox=%s", name, exc_info=error)
    return list(failed)
