"""Lead a visitor back to their own living sandbox."""

from __future__ import annotations

from redirector.memory.fleet_state import FleetState
from redirector.model.nodes import Health
from redirector.model.visitor_cookie import KnownSandbox
from redirector.node_client.client import AgentClient
from redirector.node_client.urls import sandbox_url
from tmpnb_common.json_object import JsonError


def own_sandbox(fleet_state: FleetState, client: AgentClient, sandbox: KnownSandbox, path: str) -> str | None:
    """Return the URL of a path and query inside a visitor's sandbox; None if it is gone, or nobody can tell.

    The node is asked, since only that knows what lives. In doubt a fresh sandbox beats a page that may not answer.
    """
    node = fleet_state.nodes.get(sandbox.node)
    if node is None or not sandbox.name or fleet_state.board.of(sandbox.node).health is Health.DOWN:
        return None
    try:
        base = sandbox_url(node, sandbox.base)
    except JsonError:
        return None
    if client.lives(node, sandbox.name) is not True:
        return None
    return f"{base}{path if path.startswith('/') else f'/{path}'}"
