"""Ask every node how it is, at a steady tick, and publish the board. Only the holder of the lease does this."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from random import Random
from threading import Event as Flag

from redirector.errors import DatabaseAwayError
from redirector.loops.node_polls import NodePolls, Polled, after_poll
from redirector.loops.pace import interval_of, portion_of
from redirector.loops.public_check import PublicCheck
from redirector.loops.rechecks import Rechecks
from redirector.loops.session_ends import watched_since
from redirector.memory.fleet_state import FleetState
from redirector.memory.lease import Lease
from redirector.memory.outbox import Outbox
from redirector.model.board import Board
from redirector.model.events import Event
from redirector.model.health import (
    after_passive_check,
)
from redirector.model.nodes import Failure, FailureKind, Health, Node, Seen, pending
from redirector.node_client.client import AgentClient
from redirector.store.boards import Boards
from redirector.store.journal import Journal
from redirector.store.registry import Registry
from tmpnb_common.log_lines import fields
from tmpnb_common.wire import NodeStats

log = logging.getLogger("loops")

PARALLEL = 32
"""Nodes that are asked at the same time: with all of them hung, the rest still has its turn within a tick or two."""

PUBLISH_SECONDS = 0.25
"""What has been answered is published after this, without waiting for nodes that are slow."""

DOWN_TICKS = 2
"""A node that is down is asked at every second tick: seldom enough to cost little, often enough to be back in 5 s."""

FORGET_TICKS = 1000
"""So often old events are deleted: about twice an hour."""

LISTEN_SECONDS = 0.2
"""How soon is heard, between ticks, what visitors met, and that a node is back."""

JITTER = 0.1
"""Part of the tick by which each one varies, so that several fleets do not knock at one node in step."""

IDLE_SECONDS = 0.2
"""How soon a worker that has just got the lease begins."""


class Poller:
    """Keeps the board. Only its own thread calls it."""

    def __init__(
        self,
        *,
        holder: str,
        fleet_state: FleetState,
        outbox: Outbox,
        client: AgentClient,
        registry: Registry,
        boards: Boards,
        journal: Journal,
        lease: Lease,
        clock: Callable[[], float],
        rng: Random,
        seconds: float,
        anyone_waits: Callable[[], bool] = lambda: False,
        checks_public_urls: bool = True,
    ) -> None:
        self._holder = holder
        self._fleet_state = fleet_state
        self._outbox = outbox
        self._boards = boards
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._rng = rng
        self._seconds = seconds
        self._anyone_waits = anyone_waits
        self._seen: dict[str, Seen] = {}
        self._ticks = 0
        self._asked: dict[str, Future[Polled]] = {}
        self._asked_at: dict[str, float] = {}
        """When each node was last asked by a tick."""
        self._began = 0.0
        public = PublicCheck(client, clock=time.monotonic, on=checks_public_urls)
        self._polls = NodePolls(client, registry, outbox, public, clock)
        self._rechecks = Rechecks(self._polls.ask, clock=time.monotonic)

    def run(self, stop: Flag) -> None:
        """Tick while this worker holds the lease, until stopped. A late tick is skipped, not replayed."""
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="poll") as executor:
            while not stop.is_set():
                if not self._lease.held:
                    self._ticks = 0
                    stop.wait(IDLE_SECONDS)
                    continue
                began, jitter = time.monotonic(), self._rng.uniform(1 - JITTER, 1 + JITTER)
                self.tick(executor, stop)
                while (left := began + self.interval() * jitter - time.monotonic()) > 0 and self._lease.held:
                    if stop.wait(min(left, LISTEN_SECONDS)):
                        break
                    self.listen(executor)

    def interval(self) -> float:
        """Seconds from one tick to the next."""
        return interval_of(self._seconds, len(self._fleet_state.nodes), hurried=self._anyone_waits())

    def listen(self, executor: Executor) -> None:
        """Take in what visitors met, and who is back, and let everyone know at once if that changes anything."""
        heard, back = self._hear_passive_checks(), self._learn_returns()
        self._rechecks.begin(executor, self._fleet_state.nodes, self._seen)
        if heard or back:
            self._publish()

    def _learn_returns(self) -> bool:
        before = dict(self._seen)
        for name, polled in self._rechecks.answers().items():
            node = self._fleet_state.nodes.get(name)
            # What was asked before the last tick may be older than what that found.
            fresh = name in self._seen and polled.asked_at >= self._began
            well = isinstance(polled.answer, NodeStats) and not polled.unreached
            if node is not None and fresh and well:
                self._learn(node, polled)
        return any(self._seen[name].health is not one.health for name, one in before.items())

    def tick(self, executor: ThreadPoolExecutor, stop: Flag) -> None:
        """Ask all nodes once, and publish as they answer."""
        if self._ticks == 0:
            self._continue_board()
        if self._ticks % FORGET_TICKS == 0:
            with suppress(DatabaseAwayError):  # the sync loop says so; there is time
                self._journal.forget()
        self._ticks += 1
        nodes = self._fleet_state.nodes  # one registry for the whole tick, whatever is read meanwhile
        self._seen = {name: self._seen.get(name, Seen()) for name in nodes}
        self._asked_at = {name: at for name, at in self._asked_at.items() if name in nodes}
        self._hear_passive_checks()
        self._began, interval = (
            self._clock(),
            self.interval(),
        )
        due = self._due(nodes, hurried=interval < self._seconds)
        portion = portion_of(len(due), PUBLISH_SECONDS / interval)
        ends_at, published = time.monotonic() + interval, False
        while (due or self._asked) and time.monotonic() < ends_at and self._lease.held:
            now, due = due[:portion], due[portion:]
            for node in now:
                self._asked[node.name] = executor.submit(self._polls.ask, node)
                self._asked_at[node.name] = time.monotonic()
            began = time.monotonic()
            wait(self._asked.values(), timeout=PUBLISH_SECONDS)
            if self._learn_answers():
                self._publish()
                published = True
            self.listen(executor)
            if due:
                stop.wait(max(0.0, PUBLISH_SECONDS - (time.monotonic() - began)))
        if not published:
            # Nobody answered, or there is nobody: that, too, is news of this tick.
            self._publish()

    def _continue_board(self) -> None:
        """Go on from what the last holder published, so that health and its history outlive whoever polls."""
        try:
            board = self._boards.latest()
        except DatabaseAwayError:
            board = self._fleet_state.board
        self._seen = dict(board.seen)
        self._polls.since = watched_since(board, self._clock())

    def _due(self, nodes: Mapping[str, Node], *, hurried: bool) -> list[Node]:
        due = []
        for name, node in nodes.items():
            early = hurried and time.monotonic() - self._asked_at.get(name, -math.inf) < self._seconds
            if name in self._asked and not early:
                # Not even the time-out came back, as when a name server hangs: one more poll without an answer.
                self._learn(node, Polled(self._clock(), Failure(FailureKind.TIMEOUT, "no answer at all")))
                self._asked_at[name] = time.monotonic()
            elif name in self._asked or (early and self._seen[name].health is not Health.UP):
                # However quick the tick: nobody is judged sooner for not answering.
                continue
            elif self._seen[name].health is not Health.DOWN or self._ticks % DOWN_TICKS == 0:
                due.append(node)
        return due

    def _learn_answers(self) -> bool:
        answered = {name: future for name, future in self._asked.items() if future.done()}
        for name, future in answered.items():
            del self._asked[name]
            node = self._fleet_state.nodes.get(name)
            if node is not None and name in self._seen:
                self._learn(node, self._outcome(name, future))
        return bool(answered)

    def _outcome(self, name: str, future: Future[Polled]) -> Polled:
        """What a poll brought. Invariant: no node's poll ends the tick, be it one that stumbled over its answer."""
        error = future.exception()
        if error is None:
            return future.result()
        log.error("a poll failed in an unforeseen way", extra=fields(node=name), exc_info=error)
        return Polled(self._clock(), Failure(FailureKind.PROTOCOL_ERROR, "its answer was too much for this redirector"))

    def _learn(self, node: Node, polled: Polled) -> None:
        before = self._seen[node.name]
        after = after_poll(node, before, polled, self._fleet_state.nodes, self._seen, now=self._clock())
        newer = polled.answer.generation if isinstance(polled.answer, NodeStats) else 0
        if newer > node.generation and pending(node, after):
            self._polls.overtake(node, newer)
        self._put(node.name, before, after)

    def _put(self, name: str, before: Seen, after: Seen) -> None:
        self._seen[name] = after
        if after.health is not before.health:
            log.info("health", extra=fields(node=name, health=after.health.value, reason=after.reason))
            self._outbox.event(Event(self._clock(), f"node_{after.health}", name, "poller", after.reason))

    def _hear_passive_checks(self) -> bool:
        """Take in what visitors met at nodes, which is often sooner than a poll would tell; whether it was anything."""
        try:
            passive_checks = self._journal.take_passive_checks()
        except DatabaseAwayError:
            return False  # the sync loop says so
        now = self._clock()
        for passive_check in passive_checks:
            before = self._seen.get(passive_check.node)
            if before is not None:
                self._put(passive_check.node, before, after_passive_check(before, passive_check, now))
        return bool(passive_checks)

    def _publish(self) -> None:
        """Let everyone know: this worker at once, the others through the database if it is there."""
        board = Board(self._clock(), self._holder, dict(self._seen))
        self._fleet_state.take(board=board)
        try:
            if not self._boards.publish(board):
                self._lease.lost()
        except DatabaseAwayError:
            return  # the sync loop says so; this worker goes on by what it knows
