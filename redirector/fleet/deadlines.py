"""Drains that end the sessions that are left at an hour that an operator set: the only thing that ever ends any."""

from __future__ import annotations

from redirector.agent_client import AgentClient
from redirector.nodes import Failure, Node


def is_due(node: Node, sessions: int, now: float) -> bool:
    """Whether the node's sessions have to end now."""
    return node.intent == "draining" and sessions > 0 and 0 < node.end_sessions_at <= now


def end_sessions(client: AgentClient, node: Node) -> list[str]:
    """End every session of a node; the names of those that it took care of. What failed is tried at the next poll."""
    names = client.sessions(node)
    if isinstance(names, Failure):
        return []
    return [name for name in names if client.end_sandbox(node, name) is None]
