"""What anyone may ask: the fleet's numbers as tmpnb-redirector gave them, a sandbox for a program, and whether all is
well.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from redirector.memory.fleet_state import FleetState
from redirector.model.nodes import Node, Seen, eligibility
from redirector.model.slot_counts import is_current
from redirector.web.bodies import answer, read_body
from redirector.web.failures import failure
from redirector.web.parts import Collaborators
from redirector.web.visitors.content_door import ContentDoor
from redirector.web.visitors.spawn import SpawnRequest, spawn
from redirector.web.visitors.views import FleetNumbersView, HealthView
from tmpnb_common.version import VERSION


def blueprint(parts: Collaborators) -> Blueprint:
    """The public API."""
    admission, fleet_state = parts.admission, parts.fleet_state
    door = ContentDoor(parts.content_links, parts.cookies)
    public = Blueprint("public", __name__)

    @public.route("/stats", methods=["GET", "OPTIONS"])
    @public.route("/api/stats", methods=["GET", "OPTIONS"])
    def stats() -> Response:
        response = Response(status=204) if request.method == "OPTIONS" else answer(_numbers(fleet_state))
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Methods"] = "GET, OPTIONS"
        return response

    @public.route("/api/spawn", methods=["POST", "OPTIONS"])
    def claim() -> Response:
        if request.method == "OPTIONS":
            return Response(status=204)
        return spawn(admission, door, read_body(SpawnRequest))

    @public.get("/healthz")
    def healthz() -> Response:
        if not fleet_state.known:
            return failure(503, "unhealthy", "No node is known yet: the database has not been read. The log says why.")
        return answer(HealthView())

    return public


def _numbers(fleet_state: FleetState) -> FleetNumbersView:
    """The fleet's stats with tmpnb-redirector's names."""
    nodes, board = fleet_state.nodes, fleet_state.board
    hosts = {node.url: _host(node, board.of(name)) for name, node in nodes.items()}
    available, capacity = (sum(host[word] for host in hosts.values()) for word in ("available", "capacity"))
    return FleetNumbersView(available, capacity, hosts, VERSION)


def _host(node: Node, seen: Seen) -> dict[str, Any]:
    stats = seen.stats
    if stats is None or not is_current(seen):
        return {"available": 0, "capacity": 0, "down": True}
    return {
        "available": stats.available if eligibility(node, seen).order != "never" else 0,
        "capacity": stats.capacity,
        "version": stats.version,
        "container_image": stats.container_image,
        "state": "draining" if node.intent == "draining" else stats.state,
        "starting": stats.starting,
        "startable": stats.startable,
        "claimed": stats.claimed,
    }
