"""Lead a visitor back to their own living sandbox."""

from __future__ import annotations

from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.model.nodes import Health
from redirector.model.visitor_cookie import KnownSandbox
from redirector.node_client.client import AgentClient, sandbox_url
from tmpnb_common.json_object import JsonError


class Homecoming:
    """Asks the node, since only that knows what lives. In doubt a fresh sandbox ticks a page that may not answer."""

    def __init__(self, *, fleet_state: FleetState, client: AgentClient, outbox: Outbox) -> None:
        self._fleet_state = fleet_state
        self._client = client
        self._outbox = outbox

    def url(self, home: KnownSandbox, path: str) -> str | None:
        """Where to send them for a path and query inside their sandbox; None if it is gone, or nobody can tell."""
        node = self._fleet_state.nodes.get(home.node)
        if node is None or not home.name or self._fleet_state.board.of(home.node).health is Health.DOWN:
            return None
        try:
            base = sandbox_url(node, home.base)
        except JsonError:
            return None
        if self._client.lives(node, home.name) is not True:
            return None
        self._outbox.count(returned=1)
        return f"{base}{path if path.startswith('/') else f'/{path}'}"
