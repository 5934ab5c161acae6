"""What is wanted: the pools of this node, and what to start and to end for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from node_agent.errors import UnknownPool
from node_agent.pools.counters import Counters
from node_agent.pools.planning import UNLIMITED, Counts, room_for
from node_agent.pools.pool import Pool
from node_agent.pools.specs import Memory, PoolSpec
from node_agent.pools.table import SandboxTable
from node_agent.pools.trials import End, PoolTrial
from node_agent.runtimes.contract import ImageState
from node_agent.sandboxes import Sandbox
from tmpnb_common.claims import Refusal
from tmpnb_common.wire import PoolStats


class Pools:
    """The pools above a table of sandboxes; safe to call from any thread.

    The table's lock is held around whatever decides by counts and then acts.
    """

    def __init__(
        self,
        specs: Iterable[PoolSpec],
        table: SandboxTable,
        counters: Counters,
        *,
        draining: Callable[[], bool],
        memory: Memory | None = None,
    ) -> None:
        """Pools whose sandboxes share `memory`; without it only their capacity bounds them."""
        self.draining = draining
        self._pools = {spec.name: Pool(spec) for spec in specs}
        self._table = table
        self._counters = counters
        self._lock = table.lock
        self._memory = memory
        self._halted = False

    def specs(self) -> list[PoolSpec]:
        """Every pool as it is wanted now."""
        return [pool.spec for pool in self._pools.values()]

    def spec(self, pool: str) -> PoolSpec | None:
        """How a pool is wanted; None: there is none of this name."""
        entry = self._pools.get(pool)
        return entry.spec if entry else None

    def update_spec(self, spec: PoolSpec) -> None:
        """Want a pool differently from now on. The reconciler ends what is no longer wanted, sessions last.

        Raises:
            UnknownPool: there is none of this name.
        """
        with self._lock:
            pool = self._pools.get(spec.name)
            if pool is None:
                raise UnknownPool(spec.name)
            if spec.image != pool.spec.image:
                pool.forget_image()
            for sandbox in self._table.all():
                if (sandbox.pool, sandbox.state) == (spec.name, "starting") and not spec.is_met_by(sandbox):
                    self._table.end(sandbox.name, "rolled")
            pool.spec = spec
            self._table.changed.set()

    def adopt(self, sandbox: Sandbox) -> None:
        """Take in a sandbox that ran before this agent did, be it of a pool that the settings no longer have."""
        with self._lock:
            default = next(iter(self._pools.values())).spec
            no_more = replace(default, name=sandbox.pool, image=sandbox.image, warm=0, capacity=0)
            self._pools.setdefault(sandbox.pool, Pool(no_more))
            self._table.register(sandbox)

    # Telling

    def content_uses(self, digest: str) -> int:
        """How many pools want a blob in each new home."""
        return sum(pool.spec.content == digest for pool in self._pools.values())

    def stats(self) -> dict[str, PoolStats]:
        """What each pool has and could have, by name."""
        with self._lock:
            room = self._room()
            by_name = {}
            for name, pool in self._pools.items():
                startable = min(room, self._startable(pool))
                by_name[name] = pool.stats(self._counts(pool), startable=startable, draining=self.draining())
                # What one pool could start takes the memory from the next one.
                room -= by_name[name].startable
            return by_name

    def refusal(self, name: str) -> Refusal:
        """Why a pool that has nothing ready has nothing, for the visitor who asked."""
        with self._lock:
            pool = self._pools[name]
            return pool.refusal(self._counts(pool), startable=self._startable(pool), halted=self._halted)

    def problems(self) -> list[str]:
        """Why sandboxes do not start, a sentence for each pool in trouble."""
        return [f"pool {name}: {pool.problem}" for name, pool in self._pools.items() if pool.problem]

    def memory_left(self) -> int | None:
        """Bytes that are in nobody's use and in nobody's reserve; None where nothing but the capacity bounds them."""
        if self._memory is None:
            return None
        return self._memory.total - sum(max(each.memory, self._memory.reserve) for each in self._table.all())

    def has_room(self) -> bool:
        """Whether the node's memory holds one more sandbox, whatever the capacities say."""
        return self._room() > 0

    def _counts(self, pool: Pool) -> Counts:
        return self._table.counts(pool.spec.name, pool.spec.image, pool.spec.content)

    def _startable(self, pool: Pool) -> int:
        return 0 if self._halted else pool.startable(self._counts(pool), self._room())

    def _room(self) -> int:
        if self._memory is None:
            return UNLIMITED
        used = [sandbox.memory for sandbox in self._table.all()]
        return room_for(used, memory=self._memory.total, reserve=self._memory.reserve)

    # Deciding

    def halt(self, halted: bool) -> None:
        """Start nothing, and promise nothing, while the engine is away; what is ready is handed out all the same."""
        self._halted = halted

    def to_start(self, pool: str, free_workers: int, now: float) -> int:
        """How many sandboxes of this pool to start now; 0 while the node drains or its engine is away."""
        with self._lock:
            if self.draining() or self._halted:
                return 0
            entry = self._pools[pool]
            return entry.missing(self._counts(entry), free_workers=free_workers, now=now, room=self._room())

    def scale_down(self) -> None:
        """End ready sandboxes that are beyond what their pool wants, or of an image or a content that it has left."""
        with self._lock:
            if self.draining() or self._halted:
                return
            for pool in self._pools.values():
                self._end_ready(pool, pool.to_end(self._counts(pool), self._room()))

    def drain_ready(self) -> int:
        """End the ready sandboxes only, for an operator; fresh ones take their place. How many it was."""
        with self._lock:
            return sum(self._table.end(sandbox.name, "operator") for sandbox in self._table.ready())

    def _end_ready(self, pool: Pool, count: int) -> None:
        """End ready sandboxes: those of a former image or content first, the oldest first among them."""
        ready = sorted(self._table.ready(pool.spec.name), key=pool.spec.is_met_by)
        for sandbox in ready[:count]:
            self._table.end(sandbox.name, "surplus" if pool.spec.is_met_by(sandbox) else "rolled")

    # Starts and images

    def ready(self, name: str, *, after: float = 0.0) -> bool:
        """Offer a sandbox that has proven itself `after` so many seconds; False when it was ended in the meantime."""
        with self._lock:
            sandbox = self._table.mark_ready(name)
            if sandbox is None:
                return False
            pool = self._pools[sandbox.pool]
            pool.record_success()
            self._counters.started(sandbox.pool, after)
            # Under the same lock, or visitors could have both it and the one whose place it takes.
            self._end_ready(pool, pool.excess(self._counts(pool)))
            return True

    def failed(self, name: str, reason: str, *, now: float, jitter: float) -> None:
        """Take a sandbox out that did not become ready, and let its pool pause before the next try."""
        with self._lock:
            sandbox = self._table.find(name, "starting")
            if sandbox is None:
                return
            self._pools[sandbox.pool].record_failure(reason, now=now, jitter=jitter)
            self._counters.starts.labels(sandbox.pool, "failed").inc()
            self._table.end(name, "failed")

    def images_to_look_at(self) -> list[str]:
        """Images of pools that nobody has looked at since they were wanted."""
        with self._lock:
            return [pool.spec.image for pool in self._pools.values() if pool.image is None and pool.spec.capacity]

    def record_image(self, image: str, state: ImageState) -> None:
        """Note whether an image is there; nothing starts before it is."""
        with self._lock:
            for pool in self._pools.values():
                if pool.spec.image == image and pool.record_image(state):
                    self._table.changed.set()

    # Fitness

    def due_trial(self, every: float, now: float) -> str | None:
        """The pool to try out now, by a clock that only runs forward; none while that would take from anybody."""
        with self._lock:
            if self.draining() or self._halted or not self.has_room():
                return None
            for name, pool in self._pools.items():
                if pool.trial_due(self._counts(pool), every=every, now=now):
                    return name
            return None

    def record_trial(self, pool: str, trial: PoolTrial) -> None:
        """Note that a sandbox of a pool was tried out."""
        with self._lock:
            self._pools[pool].trial = trial

    def record_end(self, pool: str, end: End) -> None:
        """Note that a visitor's session ended."""
        with self._lock:
            self._pools[pool].ends.append(end)

    def judge(self, now: float) -> None:
        """Find out of each pool whether it serves its visitors, by the same clock as trials and ends."""
        with self._lock:
            for pool in self._pools.values():
                pool.judge(now)
