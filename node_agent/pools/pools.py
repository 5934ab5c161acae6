"""The sandboxes of this node in their pools: claim one, count them, drain them."""

from __future__ import annotations

import copy
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from node_agent.errors import HostError, UnknownPool
from node_agent.pools.abandoned import Abandoned
from node_agent.pools.counters import Tally
from node_agent.pools.ledger import Ledger, Standing
from node_agent.pools.planning import (
    UNLIMITED,
    Counts,
    Health,
    after_failure,
    retired,
    room_for,
    startable,
    starts,
    surplus,
)
from node_agent.pools.table import Roster
from node_agent.pools.trials import ENDS_KEPT, End, Trial, trial_due, unfit
from node_agent.runtimes.contract import ImageState
from node_agent.sandboxes import Sandbox
from tmpnb_common.keys import name_of
from tmpnb_common.wire import PoolStats, Refusal

log = logging.getLogger("pools")


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One pool as its operator wants it."""

    name: str
    image: str
    warm: int
    capacity: int
    landing: str = ""
    """The page that visitors get who ask for none; empty: the node's own."""
    command: str = ""
    """The template that starts its servers; empty: the runtime's own."""
    cell: str = ""
    """The code that has to run in a trial sandbox; empty: any kernel that answers will do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What all sandboxes of this node may use together, in bytes, and what each is counted with at least."""

    total: int
    reserve: int


@dataclass(slots=True)
class _Pool:
    spec: PoolSpec
    health: Health
    problem: str = ""
    image: ImageState | None = None
    """As last observed; None: not looked at yet."""
    trial: Trial | None = None
    ends: deque[End] = field(default_factory=lambda: deque(maxlen=ENDS_KEPT))
    unfit: str = ""

    @property
    def has_image(self) -> bool:
        return self.image is not None and self.image.there


class Pools:
    """Every sandbox that this node knows, and the ledger beneath; safe to call from any thread.

    One lock is held from the choice of a ready sandbox to its rename, so each is handed out at most once, and around
    every change of the ledger. Nothing slow happens under it: a claim costs a connect, a link and a rename. Whatever
    needs that lock stands here, which is why this class is longer than others.
    """

    def __init__(
        self,
        specs: Iterable[PoolSpec],
        ledger: Ledger,
        *,
        draining: Callable[[], bool],
        listens: Callable[[Path], bool],
        random_ticket: Callable[[], str],
        memory: Memory | None = None,
    ) -> None:
        """Pools whose sandboxes share `memory`; without it only their capacity bounds them."""
        self._pools = {spec.name: _Pool(spec, Health()) for spec in specs}
        self._ledger = ledger
        self._draining = draining
        self._listens = listens
        self._random_ticket = random_ticket
        self._roster = Roster()
        self._halted = False
        self._lock = threading.Lock()
        self._memory = memory
        self._abandoned = Abandoned()
        self.tally = Tally()
        self.changed = threading.Event()
        """Set by whatever may call for a start or an end, so that neither waits for the next beat."""

    # What visitors do.

    def claim(self, pool: str, ticket: str | None = None, attempt: str = "") -> Sandbox | Refusal:
        """Hand a ready sandbox to a visitor, oldest first; the same ticket gets the same one while it lives.

        A claim whose attempt was abandoned before it arrived gets nothing: nobody waits for it.
        """
        with self._lock:
            if attempt in self._abandoned:
                return self._refused(pool, Refusal("abandoned", "nobody waits for this claim any more"))
            wanted = self._pools.get(pool)
            if wanted is None:
                return Refusal("unknown_pool", f"this node has no pool {pool!r:.40}")
            if ticket is not None and (held := self._held_by(ticket)):
                return self._attempted(held, attempt)
            if self._draining():
                return self._refused(pool, Refusal("draining", "this node takes no new visitors"))
            for sandbox in self._roster.ready(pool):
                if self._listens(self.socket(sandbox)):
                    return self._attempted(self._hand_out(sandbox, ticket or self._random_ticket()), attempt)
                self._end(sandbox, "dead")
            return self._refused(pool, self._refusal(wanted))

    def _attempted(self, claimed: Sandbox, attempt: str) -> Sandbox:
        """A later attempt with the same ticket relies on the sandbox: abandoning an earlier one takes it no more."""
        attempted = replace(claimed, attempt=attempt)
        self._roster.put(attempted)
        return attempted

    def abandon(self, attempts: Iterable[str]) -> int:
        """Take back what these claims got, or will get when they arrive: nobody was told of it. How many it was.

        A sandbox that somebody has come into, or that a later claim with the same ticket got, stays theirs.
        """
        with self._lock:
            given_up = {attempt for attempt in attempts if attempt}
            self._abandoned.add(given_up)
            taken_back = [
                sandbox
                for sandbox in self._roster.all()
                if sandbox.state == "claimed" and sandbox.attempt in given_up and not self._ledger.visited(sandbox.key)
            ]
            for sandbox in taken_back:
                self._ledger.put_back(sandbox.key)
                self._roster.put(replace(sandbox, state="ready", claimed_at=None, last_activity=None, attempt=""))
            self.tally.abandoned += len(taken_back)
            self.changed.set()
            return len(taken_back)

    def _refused(self, pool: str, refusal: Refusal) -> Refusal:
        self.tally.refusals[pool, refusal.status] += 1
        return refusal

    def _hand_out(self, sandbox: Sandbox, ticket: str) -> Sandbox:
        claimed_at = self._ledger.claim(sandbox.key, ticket)
        claimed = replace(sandbox, state="claimed", claimed_at=claimed_at)
        self._roster.put(claimed)
        self.tally.claims[sandbox.pool] += 1
        self.changed.set()
        return claimed

    def _held_by(self, ticket: str) -> Sandbox | None:
        key = self._ledger.ticket_holder(ticket)
        if key is None:
            return None
        sandbox = self._roster.find(name_of(key), "claimed")
        if sandbox is None:
            return None
        if self._listens(self.socket(sandbox)):
            return sandbox
        self._end(sandbox, "dead")
        return None

    def _refusal(self, pool: _Pool) -> Refusal:
        if self._counts(pool).starting or self._startable(pool):
            return Refusal("starting", "a sandbox is being started; ask again in a moment")
        if pool.image is not None and pool.image.progress:
            return Refusal("full", "the image of this pool is still being fetched")
        if pool.problem or self._halted:
            return Refusal("full", "sandboxes do not start on this node at the moment")
        if self._counts(pool).total < pool.spec.capacity:
            return Refusal("full", "the memory of this node is in use")
        return Refusal("full", f"all {pool.spec.capacity} sandboxes are in use")

    # What operators do.

    def drain_ready(self) -> int:
        """End the ready sandboxes only; fresh ones take their place."""
        with self._lock:
            ready = self._roster.ready()
            for sandbox in ready:
                self._end(sandbox, "operator")
            return len(ready)

    def respec(self, spec: PoolSpec) -> None:
        """Want a pool differently from now on. What is there and no longer wanted goes by and by, sessions last.

        Raises:
            UnknownPool: there is none of this name.
        """
        with self._lock:
            pool = self._pools.get(spec.name)
            if pool is None:
                raise UnknownPool(spec.name)
            if spec.image != pool.spec.image:
                pool.health, pool.problem, pool.image = Health(), "", None
                for sandbox in self._roster.all():
                    if (sandbox.pool, sandbox.state) == (spec.name, "starting") and sandbox.image != spec.image:
                        self._end(sandbox, "rolled")
            pool.spec = spec
            self.changed.set()

    def end(self, name: str, reason: str) -> bool:
        """Take a sandbox out of use at once; whoever runs the beat ends its processes. False: it is ending already.

        Raises:
            UnknownSandbox: there is none of this name.
        """
        with self._lock:
            sandbox = self._roster.get(name)
            if sandbox.state == "ending":
                return False
            self._end(sandbox, reason)
            return True

    def _end(self, sandbox: Sandbox, reason: str) -> None:
        self._roster.put(replace(sandbox, state="ending"))
        self.tally.ends[reason] += 1
        self.changed.set()
        try:
            # First of all: from here on nginx says "gone".
            self._ledger.remove(sandbox.key)
        except HostError as error:
            # `forget` removes it again, and does not let go before that has worked.
            log.warning("sandbox=%s: %s", sandbox.name, error)

    # What is there.

    def sandboxes(self) -> list[Sandbox]:
        with self._lock:
            return self._roster.all()

    def get(self, name: str) -> Sandbox:
        """One sandbox.

        Raises:
            UnknownSandbox: there is none of this name.
        """
        with self._lock:
            return self._roster.get(name)

    def specs(self) -> list[PoolSpec]:
        return [pool.spec for pool in self._pools.values()]

    def spec(self, pool: str) -> PoolSpec | None:
        """How a pool is wanted; None: there is none of this name."""
        entry = self._pools.get(pool)
        return entry.spec if entry else None

    def socket(self, sandbox: Sandbox) -> Path:
        return self._ledger.socket(sandbox.key, claimed=sandbox.state == "claimed")

    def stats(self) -> dict[str, PoolStats]:
        with self._lock:
            draining = self._draining()
            room = self._room()
            found = {}
            for name, pool in self._pools.items():
                found[name] = self._stats(pool, draining, room)
                # What one pool could start takes the memory from the next one.
                room -= found[name].startable
            return found

    def totals(self) -> tuple[int, int]:
        """Claims and refusals since the agent's start."""
        with self._lock:
            return self.tally.claims.total(), self.tally.refusals.total()

    def memory_left(self) -> int | None:
        """Bytes that are in nobody's use and in nobody's reserve; None where nothing but the capacity bounds them."""
        with self._lock:
            if self._memory is None:
                return None
            return self._memory.total - sum(max(each.memory, self._memory.reserve) for each in self._roster.all())

    def problems(self) -> list[str]:
        """Why sandboxes do not start, a sentence for each pool in trouble."""
        return [f"pool {name}: {pool.problem}" for name, pool in self._pools.items() if pool.problem]

    def _stats(self, pool: _Pool, draining: bool, room: int) -> PoolStats:
        counts = self._counts(pool)
        return PoolStats(
            available=0 if draining else counts.ready,
            capacity=pool.spec.capacity,
            starting=counts.starting,
            startable=0 if draining else min(room, self._startable(pool)),
            claimed=counts.claimed,
            image=pool.spec.image,
            problem=pool.problem,
            unfit=pool.unfit,
            stale=counts.stale,
            ending=counts.ending,
            fetching=pool.image.progress if pool.image is not None else "",
        )

    def _counts(self, pool: _Pool) -> Counts:
        return self._roster.counts(pool.spec.name, pool.spec.image)

    def _startable(self, pool: _Pool) -> int:
        if self._halted or (pool.image is not None and not pool.image.there):
            return 0
        return startable(self._counts(pool), capacity=pool.spec.capacity, health=pool.health, room=self._room())

    def _room(self) -> int:
        if self._memory is None:
            return UNLIMITED
        used = [sandbox.memory for sandbox in self._roster.all()]
        return room_for(used, memory=self._memory.total, reserve=self._memory.reserve)

    # What the reconciler and the starter do.

    def wanted(self, pool: str, hands: int, now: float) -> int:
        """How many sandboxes of this pool to start now; 0 while the node drains or its engine is away."""
        with self._lock:
            if self._draining() or self._halted:
                return 0
            entry = self._pools[pool]
            if not entry.has_image:
                return 0
            return starts(
                self._counts(entry),
                warm=entry.spec.warm,
                capacity=entry.spec.capacity,
                hands=hands,
                health=entry.health,
                now=now,
                room=self._room(),
            )

    def retire(self) -> None:
        """End ready sandboxes that are beyond what their pool wants, or of an image that it has left."""
        with self._lock:
            if self._draining() or self._halted:
                return
            for pool in self._pools.values():
                warm, capacity, room = pool.spec.warm, pool.spec.capacity, self._room()
                # Nothing that is ready is given up for an image that may never come.
                gone = (
                    retired(self._counts(pool), warm=warm, capacity=capacity, health=pool.health, room=room)
                    if pool.has_image
                    else surplus(self._counts(pool), warm=warm, capacity=capacity)
                )
                self._end_ready(pool, gone)

    def _end_ready(self, pool: _Pool, count: int) -> None:
        """End ready sandboxes: those of a former image first, the oldest first among them."""
        ready = sorted(self._roster.ready(pool.spec.name), key=lambda each: each.image == pool.spec.image)
        for sandbox in ready[:count]:
            self._end(sandbox, "rolled" if sandbox.image != pool.spec.image else "surplus")

    def images_to_look_at(self) -> list[str]:
        """Images of pools that nobody has looked at since they were wanted."""
        with self._lock:
            return [pool.spec.image for pool in self._pools.values() if pool.image is None and pool.spec.capacity]

    def note_image(self, image: str, state: ImageState) -> None:
        """Note whether an image is there. To be fetched is no problem, but nothing starts before it is there."""
        with self._lock:
            for pool in self._pools.values():
                if pool.spec.image != image or pool.image == state:
                    continue
                came = state.there and not pool.has_image
                pool.image = state
                if came or not state.there:
                    pool.health, pool.problem = Health(), state.problem
                if came:
                    self.changed.set()

    def has_room(self) -> bool:
        """Whether the node's memory holds one more sandbox, whatever the capacities say."""
        with self._lock:
            return self._room() > 0

    def halt(self, halted: bool) -> None:
        """Start nothing, and promise nothing, while the engine is away; what is ready is handed out all the same."""
        self._halted = halted

    def enrol(self, sandbox: Sandbox) -> bool:
        """Note a sandbox that is about to start: from here on it takes up a slot, and its directory is not stray.

        False: another one bears its name.
        """
        with self._lock:
            if sandbox.name in self._roster:
                return False
            self._roster.put(sandbox)
            return True

    def is_starting(self, name: str) -> bool:
        """Whether it is still worth while to wait for this sandbox, or for this trial of one."""
        with self._lock:
            found = self._roster.find(name)
            return found is not None and found.state in ("starting", "trial")

    def make_directory(self, sandbox: Sandbox) -> Path:
        with self._lock:
            return self._ledger.create(sandbox.key)

    def ready(self, name: str, *, after: float = 0.0) -> bool:
        """Offer a sandbox that has proven itself; False when it was ended in the meantime."""
        with self._lock:
            sandbox = self._roster.find(name, "starting")
            if sandbox is None:
                return False
            self._ledger.seal(sandbox.key)
            self._roster.put(replace(sandbox, state="ready"))
            pool = self._pools[sandbox.pool]
            pool.health, pool.problem = Health(), ""
            self.tally.started(sandbox.pool, after)
            # In the same breath, or visitors could have both it and the one whose place it takes.
            self._end_ready(pool, surplus(self._counts(pool), warm=pool.spec.warm, capacity=pool.spec.capacity))
            return True

    def failed(self, name: str, reason: str, *, now: float, jitter: float) -> None:
        """Take a sandbox out that did not become ready, and let its pool pause before the next try."""
        with self._lock:
            sandbox = self._roster.find(name, "starting")
            if sandbox is None:
                return
            pool = self._pools[sandbox.pool]
            pool.health, pool.problem = after_failure(pool.health, now=now, jitter=jitter), reason
            self.tally.starts[sandbox.pool, "failed"] += 1
            self._end(sandbox, "failed")

    def adopt(self, sandbox: Sandbox) -> None:
        """Take in a sandbox that ran before this agent did, be it of a pool that the settings no longer have."""
        with self._lock:
            no_more = PoolSpec(sandbox.pool, sandbox.image, warm=0, capacity=0)
            self._pools.setdefault(sandbox.pool, _Pool(no_more, Health()))
            if sandbox.name not in self._roster:
                self._roster.put(sandbox)
            self.changed.set()

    def note_visits(self) -> None:
        """Notice which visitors have come for the first time."""
        with self._lock:
            for sandbox in self._roster.all():
                if sandbox.state == "claimed" and not sandbox.visited and self._ledger.visited(sandbox.key):
                    self._roster.put(replace(sandbox, visited=True))

    def note_visit(self, name: str) -> None:
        """The visitor of a session has come."""
        with self._lock:
            if sandbox := self._roster.find(name, "claimed"):
                self._roster.put(replace(sandbox, visited=True))

    def note_activity(self, name: str, at: float) -> None:
        """Somebody or something is at work in a session."""
        with self._lock:
            if sandbox := self._roster.find(name, "claimed"):
                self._roster.put(replace(sandbox, visited=True, last_activity=max(at, sandbox.last_activity or 0.0)))

    def note_busy(self, name: str, busy: bool) -> None:
        """A kernel of a session computes, or none does any more."""
        with self._lock:
            if sandbox := self._roster.find(name, "claimed"):
                self._roster.put(replace(sandbox, busy=busy))

    def weigh(self, name: str, used: int) -> None:
        """Note how much memory a sandbox uses."""
        with self._lock:
            if sandbox := self._roster.find(name):
                self._roster.put(replace(sandbox, memory=used))

    def due_trial(self, every: float, now: float) -> str | None:
        """The pool to try out now, by a clock that only runs forward; none while that would take from anybody."""
        with self._lock:
            if self._draining() or self._halted or self._room() < 1:
                return None
            for name, pool in self._pools.items():
                spec = pool.spec
                behind = starts(
                    self._counts(pool), warm=spec.warm, capacity=spec.capacity, hands=1, health=Health(), now=now
                )
                if pool.health.failing or behind:
                    continue
                if trial_due(self._counts(pool), pool.trial, image=spec.image, every=every, now=now):
                    return name
            return None

    def note_trial(self, pool: str, trial: Trial) -> None:
        """A sandbox of a pool was tried out."""
        with self._lock:
            self._pools[pool].trial = trial

    def note_end(self, pool: str, end: End) -> None:
        """A visitor's session ended."""
        with self._lock:
            self._pools[pool].ends.append(end)

    def judge(self, now: float) -> None:
        """Say of each pool whether it serves its visitors, by the same clock as trials and ends."""
        with self._lock:
            for name, pool in self._pools.items():
                reason = unfit(pool.trial, pool.ends, image=pool.spec.image, now=now)
                if bool(reason) != bool(pool.unfit):
                    log.log(logging.WARNING if reason else logging.INFO, "pool=%s: %s", name, reason or "serves again")
                pool.unfit = reason

    def forget(self, name: str) -> None:
        """A sandbox's processes are gone: so is its directory now, and its slot is free."""
        with self._lock:
            if sandbox := self._roster.find(name):
                self._ledger.remove(sandbox.key)
                self._roster.drop(name)
                self.changed.set()

    def tally_now(self) -> Tally:
        """What was counted since the agent's start, as of this moment."""
        with self._lock:
            return copy.deepcopy(self.tally)

    def standings(self) -> dict[str, Standing]:
        with self._lock:
            return self._ledger.standings()

    def discard(self, key: str) -> None:
        """Remove a directory that belongs to no sandbox."""
        with self._lock:
            if name_of(key) not in self._roster:
                self._ledger.remove(key)
