"""Drains that end the sessions that are left at an hour that an operator set: the only thing that ever ends any."""

from __future__ import annotations

from redirector.model.board import Board
from redirector.model.nodes import Failure, Node
from redirector.node_client.client import AgentClient
from tmpnb_common.wire import NodeStats

HANDOVER_SECONDS = 15.0
"""A pause in polling that is no gap: the lease goes to another worker in 3 s, a redirector restarts in 5."""


def is_due(node: Node, sessions: int, now: float) -> bool:
    """Whether the node's sessions have to end now."""
    return node.intent == "draining" and sessions > 0 and 0 < node.end_sessions_at <= now


def watched_since(last: Board, now: float) -> float:
    """Since when nodes are polled without a gap, as whoever begins now finds it: times before that passed unseen."""
    return last.published_at if 0 <= now - last.published_at <= HANDOVER_SECONDS else now


def why_void(node: Node, stats: NodeStats, *, since: float) -> str:
    """Why a node's order to end sessions no longer counts; empty while it does.

    Invariant: what cannot be undone never follows from a registry that is older than what the node was told last, nor
    from a time that passed while nobody polled, unless the order itself was given afterwards.
    """
    if stats.generation > node.generation:
        return OLDER_REGISTRY
    if max(node.end_sessions_at, node.intent_since) < since:
        return "its hour passed while no redirector polled"
    return ""


OLDER_REGISTRY = "the registry is older than what the node was told last, as after a backup was put back"


def end_sessions(client: AgentClient, node: Node) -> list[str]:
    """End every session of a node; the names of those that it took care of. What failed is tried at the next poll."""
    names = client.sessions(node)
    if isinstance(names, Failure):
        return []
    return [name for name in names if client.end_sandbox(node, name) is None]
