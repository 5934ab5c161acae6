"""Polls one node: asks how it is, puts the fleet's intent to it, and ends the sessions that its drain was to end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from redirector.errors import DatabaseAwayError
from redirector.loops.public_check import PublicCheck, reaches_none
from redirector.loops.session_ends import OLDER_REGISTRY, end_sessions, is_due, why_void
from redirector.memory.outbox import Outbox
from redirector.model.board import partition_suspected
from redirector.model.events import Event
from redirector.model.health import after_bad_poll, after_good_poll, after_unreached
from redirector.model.nodes import Failure, Node, Seen
from redirector.node_client.client import AgentClient
from redirector.store.registry import Registry
from tmpnb_common.log_lines import fields
from tmpnb_common.wire import NodeStats

log = logging.getLogger("loops")


@dataclass(frozen=True, slots=True)
class Polled:
    """What asking one node brought."""

    asked_at: float
    answer: NodeStats | Failure
    intent_error: str = ""
    unreached: str = ""
    """Why visitors do not reach it, though the poll did."""


class NodePolls:
    """Polls of single nodes. Safe to use from several threads."""

    def __init__(
        self,
        client: AgentClient,
        registry: Registry,
        outbox: Outbox,
        public: PublicCheck,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._registry = registry
        self._outbox = outbox
        self._public = public
        self._clock = clock
        self.since = math.inf
        """Since when this fleet has been watched without a gap, in seconds since 1970."""

    def ask(self, node: Node) -> Polled:
        """Ask one node, and put the fleet's intent to it if it has not got that yet. Runs in a thread of its own."""
        asked_at = self._clock()
        answer = self._client.stats(node.address)
        intent_error = ""
        if isinstance(answer, NodeStats) and answer.protocol and answer.generation < node.generation:
            failed = self._client.put_state(node)
            intent_error = failed.reason if failed is not None else ""
        if isinstance(answer, NodeStats) and self._ends_now(node, answer, asked_at):
            ended = end_sessions(self._client, node)
            reason = f"{len(ended)} of {answer.claimed} sessions, as its drain was told to"
            self._outbox.event(Event(self._clock(), "sessions_ended", node.name, node.intent_by, reason))
        unreached = self._public.problem(node, answer) if isinstance(answer, NodeStats) else ""
        return Polled(asked_at, answer, intent_error, unreached)

    def _ends_now(self, node: Node, stats: NodeStats, now: float) -> bool:
        """Whether the node's sessions have to end. What is ended does not come back, so the registry is asked again: a
        worker that is cut off from it, or has just lost the lease, may not know that an operator thought better of it.
        """
        if not is_due(node, stats.claimed, now):
            return False
        try:
            current = self._registry.all().get(node.name)
            if current is None or not is_due(current, stats.claimed, now):
                return False
            reason = why_void(current, stats, since=self.since)
            if reason:
                self._drop_end(current, reason)
        except DatabaseAwayError:
            return False
        return not reason

    def _drop_end(self, node: Node, reason: str) -> None:
        """Let the sessions of a drain live on, and say so: an operator may set another hour."""
        with self._registry.changing() as change:
            current = change.all().get(node.name)
            if current is not None and current.version == node.version:
                change.put(replace(current, end_sessions_at=0.0))
                change.note(Event(self._clock(), "end_dropped", node.name, "poller", reason))
        log.warning("sessions live on", extra=fields(node=node.name, reason=reason))

    def overtake(self, node: Node, generation: int) -> None:
        """The node holds a newer intent than the registry, as after a backup was restored: number ours above it.

        What can be undone is put to the node again. An hour for the end of its sessions cannot, and is dropped.
        """
        try:
            with self._registry.changing() as change:
                current = change.all().get(node.name)
                # Not older where both agree: then it is this worker that has not read the registry since the order.
                if current is not None and current.generation < generation:
                    change.put(replace(current, generation=generation + 1, end_sessions_at=0.0))
                    if current.end_sessions_at:
                        change.note(Event(self._clock(), "end_dropped", node.name, "poller", OLDER_REGISTRY))
        except DatabaseAwayError:
            return  # the sync loop says so; the next poll tries again


def after_poll(
    node: Node, before: Seen, polled: Polled, nodes: Mapping[str, Node], seen: Mapping[str, Seen], *, now: float
) -> Seen:
    """What is known of a node after a poll.

    The whole fleet, `nodes` and what was `seen` of them, is looked at only where the poll failed: a fleet mostly
    silent says more of this redirector than of its nodes. `now` is in seconds since 1970.
    """
    if isinstance(polled.answer, Failure):
        return after_bad_poll(before, polled.answer, now=now, partition_suspected=partition_suspected(seen))
    at = polled.asked_at
    if polled.unreached:
        blind = reaches_none(nodes, seen)
        after = after_unreached(node, before, polled.answer, polled.unreached, blind=blind, at=at, now=now)
    else:
        after = after_good_poll(node, before, polled.answer, asked_at=at, now=now)
        after = replace(after, unreached="", presumed=False)
    return replace(after, intent_error=polled.intent_error)
