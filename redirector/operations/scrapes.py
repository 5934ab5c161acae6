"""All nodes' own metrics, asked for once for everybody who scrapes at about the same time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from redirector.memory.fleet_state import FleetState
from redirector.node_client.client import AgentClient
from redirector.node_client.fan_out import FanOut
from redirector.node_client.node_metrics import exposition

SECONDS = 5.0
"""For all nodes together: Prometheus gives up after 10 as it comes."""
KEPT_SECONDS = 5.0
"""So long every scrape gets the same text, which tells less often than Prometheus asks."""


class NodeScrapes:
    """Safe to use from several threads."""

    def __init__(
        self, fleet_state: FleetState, client: AgentClient, fan_out: FanOut, clock: Callable[[], float]
    ) -> None:
        """Ask with a `clock` that only runs forward."""
        self._fleet_state = fleet_state
        self._client = client
        self._fan_out = fan_out
        self._clock = clock
        self._lock = Lock()
        self._text = b""
        self._made_at = float("-inf")

    def exposition(self) -> bytes:
        """The text for Prometheus, at most a few seconds old."""
        with self._lock:
            if self._clock() - self._made_at >= KEPT_SECONDS:
                nodes = self._fleet_state.nodes
                self._text = exposition(self._fan_out.ask(nodes.values(), self._client.metrics, SECONDS))
                self._made_at = self._clock()
            return self._text
