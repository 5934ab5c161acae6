"""What only holders of the node's token may do: decide on its intent, see and end sandboxes."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, jsonify

from node_agent.intent import Intent
from node_agent.log_lines import fields
from node_agent.sandboxes import Sandbox
from node_agent.web import incoming
from node_agent.web.answers import BadRequest
from node_agent.web.node import Node
from node_agent.wire import NodeState

log = logging.getLogger(__name__)

SHOWN = frozenset({"starting", "ready", "claimed"})
"""What ends or is tried out is nobody's business."""


def blueprint(node: Node) -> Blueprint:
    routes = Blueprint("control", __name__, url_prefix="/api")

    @routes.put("/state")
    def put_state() -> Response:
        incoming.require_token(node.identity)
        intent = decide(node, incoming.read_body())
        # A node that takes visitors again refills at once.
        node.pools.changed.set()
        return jsonify(state=intent.state, generation=intent.generation)

    @routes.post("/abandon")
    def abandon() -> Response:
        incoming.require_token(node.identity)
        released = node.pools.abandon(incoming.read_body().attempts())
        if released:
            log.info("claims abandoned", extra=fields(released=released))
        return jsonify(released=released)

    @routes.get("/sandboxes")
    def list_sandboxes() -> Response:
        incoming.require_token(node.identity)
        return jsonify(sandboxes=[shown(each) for each in node.pools.sandboxes() if each.state in SHOWN])

    @routes.get("/sandboxes/<name>")
    def get_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        return jsonify(shown(node.pools.get(name)))

    @routes.delete("/sandboxes/<name>")
    def end_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        node.pools.end(name, "operator")
        return jsonify(ended=name)

    @routes.delete("/pool")
    def drain_pool() -> Response:
        incoming.require_token(node.identity)
        return jsonify(drained=node.pools.drain_ready())

    return routes


def decide(node: Node, body: incoming.Body) -> Intent:
    """With a generation the fleet speaks, without one the node's own operator."""
    state: NodeState
    match body.text("state"):
        case "active":
            state = "active"
        case "draining":
            state = "draining"
        case _:
            raise BadRequest("state must be active or draining")
    reason, by = body.text("reason", ""), body.text("by", "", limit=100)
    generation = body.count("generation")
    if generation is None:
        return node.intent.decide_own(state, reason, by)
    return node.intent.decide_fleet(state, generation, reason, by)


def shown(sandbox: Sandbox) -> dict[str, Any]:
    """What operators see of a sandbox. Never its key."""
    return {
        "name": sandbox.name,
        "pool": sandbox.pool,
        "state": sandbox.state,
        "created_at": sandbox.created_at,
        "claimed_at": sandbox.claimed_at,
        "last_activity": sandbox.last_activity,
    }
