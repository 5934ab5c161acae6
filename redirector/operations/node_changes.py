"""What operators may do to the fleet: add, drain, resume, remove."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace

from redirector.errors import (
    BadRequestError,
    CopiedNodeError,
    DuplicateUrlError,
    HasSessionsError,
    ProbeError,
    UnknownNodeError,
)
from redirector.model.board import Board
from redirector.model.events import Event
from redirector.model.guards import refuse_unless_spared
from redirector.model.node_names import checked_name, normalised_url
from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.client import AgentClient
from redirector.operations.live_stats import LiveStats
from redirector.operations.node_rules import (
    Addition,
    OperatorDecision,
    already_there,
    found_node,
    free_name,
    reason_with_hour,
    refuse_second_address,
    refuse_stale,
)
from redirector.store.boards import Boards
from redirector.store.registry import Change, Registry
from tmpnb_common.wire import NodeState, NodeStats

GRACE_SECONDS = 60
"""The end of a drain may be past by so much: clocks differ, and whoever says the present minute means now."""


class Control:
    """Acts on the registry. Every change goes with its event, in one transaction."""

    def __init__(
        self,
        *,
        registry: Registry,
        boards: Boards,
        client: AgentClient,
        live: LiveStats,
        clock: Callable[[], float],
        changed: Callable[[], None],
        min_free_percent: int = 0,
    ) -> None:
        self._registry = registry
        self._boards = boards
        self._client = client
        self._live = live
        self._clock = clock
        self._changed = changed
        self._min_free_percent = min_free_percent

    def nodes(self) -> tuple[dict[str, Node], Board]:
        """The registry and the board, as the database has them now."""
        return self._registry.all(), self._boards.latest()

    def add(self, asked: Addition, decision: OperatorDecision) -> tuple[Node, bool]:
        """Add a node that proves to be one, or change the token or control address of one that is here.

        Returns:
            The node, and whether it is new.
        """
        url = normalised_url(asked.url)
        control_url = normalised_url(asked.control_url) if asked.control_url else ""
        name = checked_name(asked.name) if asked.name else ""
        known = already_there(self._registry.all(), url, name)
        if known is not None and asked.token in ("", known.token) and control_url in ("", known.control_url):
            return known, False
        token = asked.token or (known.token if known is not None else "")
        stats = self._prove(control_url or (known.control_url if known is not None else "") or url, token)
        with self._registry.changing() as change:
            nodes = change.all()
            known = already_there(nodes, url, name)
            if known is not None:
                node = change.put(
                    replace(known, token=token, control_url=control_url or known.control_url, node_id=stats.node_id)
                )
            else:
                refuse_second_address(nodes, url, stats)
                now = self._clock()
                node = Node(
                    name=name or free_name(nodes, url, stats.name),
                    url=url,
                    control_url=control_url,
                    token=token,
                    node_id=stats.node_id,
                    intent_reason=decision.reason,
                    intent_by=decision.by,
                    intent_since=now,
                    # Above whatever an earlier fleet told it, which it would rightly hold on to.
                    generation=stats.generation + 1,
                    added_at=now,
                )
                change.add(node)
            kind = "node_added" if known is None else "node_changed"
            change.note(Event(self._clock(), kind, node.name, decision.by, decision.reason))
        self._tell(node, stats.protocol)
        return node, known is None

    def move(self, name: str, asked: Addition, decision: OperatorDecision) -> Node:
        """Take over the new addresses of a node that proves to be the same one: by its id, its token and its answers.

        Raises:
            DuplicateUrlError: it is another one.
            CopiedNodeError: the same one still runs where it was, as after a host was copied.
        """
        url = normalised_url(asked.url)
        control_url = normalised_url(asked.control_url) if asked.control_url else ""
        known = self._registry.all().get(name)
        if known is None:
            raise UnknownNodeError(name)
        stats = self._prove(control_url or url, asked.token)
        if stats.node_id != known.node_id or not hmac.compare_digest(known.token.encode(), asked.token.encode()):
            raise DuplicateUrlError(url, name)
        there = self.asked(known)
        if isinstance(there, NodeStats) and there.node_id == stats.node_id and there.boot_id != stats.boot_id:
            raise CopiedNodeError(name, known.url)
        with self._registry.changing() as change:
            refuse_stale(found_node(change, name), replace(decision, version=known.version))
            node = change.put(replace(known, url=url, control_url=control_url))
            change.note(Event(self._clock(), "node_moved", name, decision.by, f"from {known.url} to {url}"))
        self._tell(node, stats.protocol)
        return node

    def intend(self, name: str, intent: NodeState, decision: OperatorDecision) -> tuple[Node, bool]:
        """Drain a node or resume it.

        Returns:
            The node, and whether that changed anything.

        Raises:
            BadRequestError: the end for its sessions is a time that is past; nothing was changed then.
        """
        # Asked before the transaction: nobody else's change waits for nodes that are slow.
        board = self._board_for(intent == "draining" and not decision.force)
        with self._registry.changing() as change:
            node = found_node(change, name)
            refuse_stale(node, decision)
            ends = decision.end_sessions_at if intent == "draining" else 0.0
            if node.intent == intent and ends in (0.0, node.end_sessions_at):
                return node, False
            if ends and ends < self._clock() - GRACE_SECONDS:
                # Taken as "now", a mistyped year would end everybody's work at once.
                raise BadRequestError("end_sessions_at is over already: name a time to come")
            if node.intent != intent == "draining" and not decision.force:
                self._refuse_unless_spared(name, change, board)
            node = change.put(
                replace(
                    node,
                    intent=intent,
                    intent_reason=decision.reason,
                    intent_by=decision.by,
                    intent_since=self._clock(),
                    generation=node.generation + 1,
                    end_sessions_at=ends,
                )
            )
            kind = "resume" if intent == "active" else "drain_with_end" if ends else "drain"
            change.note(Event(self._clock(), kind, name, decision.by, reason_with_hour(decision.reason, ends)))
        stats = board.of(name).stats
        self._tell(node, stats.protocol if stats is not None else 0)
        return node, True

    def remove(self, name: str, decision: OperatorDecision) -> None:
        """Take a node out of the fleet. Its sessions, if any, live on; the fleet no longer knows of them."""
        nodes, board = self.nodes()
        if name not in nodes:
            raise UnknownNodeError(name)
        if not decision.force:
            self._refuse_with_sessions(nodes[name], board)
            board = self._live.all(nodes, board)
        with self._registry.changing() as change:
            refuse_stale(found_node(change, name), decision)
            if not decision.force:
                self._refuse_unless_spared(name, change, board)
            change.remove(name)
            change.note(Event(self._clock(), "node_removed", name, decision.by, decision.reason))
        self._changed()

    def _board_for(self, guarded: bool) -> Board:
        """The board to decide by: where a guard counts on it, with the nodes' own numbers of this moment."""
        nodes, board = self.nodes()
        return self._live.all(nodes, board) if guarded else board

    def _refuse_unless_spared(self, name: str, change: Change, board: Board) -> None:
        refuse_unless_spared(name, change.all(), board, self._min_free_percent, now=self._clock())

    def _prove(self, address: str, token: str) -> NodeStats:
        stats = self._client.stats(address)
        if isinstance(stats, Failure):
            if stats.kind is FailureKind.PROTOCOL_ERROR:
                raise ProbeError("not_a_node", f"{address} answers, but not as a node does: {stats.reason}")
            raise ProbeError("unreachable", f"{address} cannot be reached: {stats.reason}")
        if stats.protocol:
            works = self._client.token_works(address, token)
            if isinstance(works, Failure):
                raise ProbeError("not_a_node", f"{address} has stats but no control API: {works.reason}")
            if not works:
                problem = "does not accept this token" if token else "wants its token, and none was given"
                raise ProbeError("bad_token", f"{address} {problem}")
        return stats

    def _tell(self, node: Node, protocol: int) -> None:
        """Let the node know at once; if that fails the poller goes on trying."""
        if protocol:
            self._client.put_state(node)
        self._changed()

    def asked(self, node: Node) -> NodeStats | Failure:
        """How the node itself says that it is, at this moment."""
        return self._client.stats(node.address)

    def _refuse_with_sessions(self, node: Node, board: Board) -> None:
        """Refuse to forget a node that has sessions: as it says now, else as it last said.

        Raises:
            HasSessionsError: it has.
        """
        now, seen = self.asked(node), board.of(node.name)
        if isinstance(now, NodeStats):
            if now.claimed:
                raise HasSessionsError(node.name, now.claimed)
        elif seen.stats is not None and seen.stats.claimed:
            raise HasSessionsError(node.name, seen.stats.claimed, max(0.0, self._clock() - seen.asked_at))
