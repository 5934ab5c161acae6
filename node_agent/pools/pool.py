"""One pool: what is wanted of it and how it fares. Counts come from the caller, who holds the table's lock."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from node_agent.pools import planning, trials
from node_agent.pools.planning import Counts, StartHealth
from node_agent.pools.specs import PoolSpec
from node_agent.pools.trials import ENDS_KEPT, End, PoolTrial
from node_agent.runtimes.contract import ImageState
from tmpnb_common.claims import Refusal
from tmpnb_common.wire import PoolStats

log = logging.getLogger("pools")


@dataclass(slots=True)
class Pool:
    """A pool's specification, and what was observed of its image, its starts and its sessions."""

    spec: PoolSpec
    health: StartHealth = field(default_factory=StartHealth)
    problem: str = ""
    """Why its sandboxes do not start; empty: nothing is known to be wrong."""
    image: ImageState | None = None
    """As last observed; None: not looked at yet."""
    trial: PoolTrial | None = None
    ends: deque[End] = field(default_factory=lambda: deque(maxlen=ENDS_KEPT))
    unfit: str = ""
    """Why visitors should rather go elsewhere; empty: nothing speaks against this pool."""

    @property
    def has_image(self) -> bool:
        return self.image is not None and self.image.there

    # What is learned of it

    def forget_image(self) -> None:
        """Start afresh with another image, of which nothing is known."""
        self.health, self.problem, self.image = StartHealth(), "", None

    def record_image(self, state: ImageState) -> bool:
        """Note whether the image is there; True when it has come. Its fetching is no problem of the pool."""
        if self.image == state:
            return False
        came = state.there and not self.has_image
        self.image = state
        if came or not state.there:
            self.health, self.problem = StartHealth(), state.problem
        return came

    def record_success(self) -> None:
        """Note that a sandbox has become ready."""
        self.health, self.problem = StartHealth(), ""

    def record_failure(self, reason: str, *, now: float, jitter: float) -> None:
        """Note that a sandbox did not become ready; the next try waits."""
        self.health, self.problem = planning.after_failure(self.health, now=now, jitter=jitter), reason

    def judge(self, now: float) -> None:
        """Find out whether the pool serves its visitors, by the same clock as trials and ends."""
        reason = trials.unfit(self.trial, self.ends, image=self.spec.image, now=now)
        if bool(reason) != bool(self.unfit):
            level = logging.WARNING if reason else logging.INFO
            log.log(level, "pool=%s: %s", self.spec.name, reason or "serves again")
        self.unfit = reason

    # What follows

    def missing(self, counts: Counts, *, free_workers: int, now: float, room: int) -> int:
        """How many sandboxes to start now."""
        if not self.has_image:
            return 0
        return planning.starts(
            counts,
            warm=self.spec.warm,
            capacity=self.spec.capacity,
            free_workers=free_workers,
            health=self.health,
            now=now,
            room=room,
        )

    def startable(self, counts: Counts, room: int) -> int:
        """How many sandboxes more could be started soon."""
        if self.image is not None and not self.image.there:
            return 0
        return planning.startable(counts, capacity=self.spec.capacity, health=self.health, room=room)

    def excess(self, counts: Counts) -> int:
        """How many ready sandboxes are beyond what is wanted."""
        return planning.excess(counts, warm=self.spec.warm, capacity=self.spec.capacity)

    def to_end(self, counts: Counts, room: int) -> int:
        """How many ready sandboxes to end. None is given up for an image that may never come."""
        if not self.has_image:
            return self.excess(counts)
        spec = self.spec
        return planning.to_end(counts, warm=spec.warm, capacity=spec.capacity, health=self.health, room=room)

    def trial_due(self, counts: Counts, *, every: float, now: float) -> bool:
        """Whether to try a sandbox now: not while one is missing, for visitors come first."""
        spec = self.spec
        if self.health.failing or planning.starts(
            counts, warm=spec.warm, capacity=spec.capacity, free_workers=1, health=self.health, now=now
        ):
            return False
        return trials.trial_due(counts, self.trial, image=spec.image, every=every, now=now)

    def refusal(self, counts: Counts, *, startable: int, halted: bool) -> Refusal:
        """Why a visitor gets nothing, when nothing is ready."""
        if counts.starting or startable:
            return Refusal("starting", "a sandbox is being started; ask again in a moment")
        if self.image is not None and self.image.progress:
            return Refusal("full", "the image of this pool is still being fetched")
        if self.problem or halted:
            return Refusal("full", "sandboxes do not start on this node at the moment")
        if counts.total < self.spec.capacity:
            return Refusal("full", "the memory of this node is in use")
        return Refusal("full", f"all {self.spec.capacity} sandboxes are in use")

    def stats(self, counts: Counts, *, startable: int, draining: bool) -> PoolStats:
        """What nodes tell of a pool; a draining one offers nothing."""
        return PoolStats(
            available=0 if draining else counts.ready,
            capacity=self.spec.capacity,
            starting=counts.starting,
            startable=0 if draining else startable,
            claimed=counts.claimed,
            image=self.spec.image,
            content=self.spec.content,
            problem=self.problem,
            unfit=self.unfit,
            stale=counts.outdated,
            ending=counts.ending,
            fetching=self.image.progress if self.image is not None else "",
        )
