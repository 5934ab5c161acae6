"""What only holders of the node's token may do: decide on its intent, see and end sandboxes."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, jsonify

from node_agent.membership.announcement import LONGEST_SECONDS, Announcement
from node_agent.membership.intent import Intent
from node_agent.pools.culling import last_activity, next_end
from node_agent.sandboxes import Sandbox
from node_agent.web import incoming
from node_agent.web.answers import BadRequest
from node_agent.web.node import NodeContext
from node_agent.web.requests import AbandonRequest, AnnouncementRequest, StateRequest
from tmpnb_common.keys import redact
from tmpnb_common.log_lines import fields

log = logging.getLogger("web")

SHOWN = frozenset({"starting", "ready", "claimed"})
"""And sessions that are ending. What is tried out is nobody's business."""


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("control", __name__, url_prefix="/api")

    @routes.put("/state")
    def put_state() -> Response:
        incoming.require_token(node.identity)
        intent = decide(node, incoming.read_body(StateRequest))
        # A node that takes visitors again refills at once.
        node.table.changed.set()
        return jsonify(state=intent.state, generation=intent.generation)

    @routes.post("/abandon")
    def abandon() -> Response:
        incoming.require_token(node.identity)
        released = node.claims.abandon(incoming.read_body(AbandonRequest).attempts)
        if released:
            log.info("claims abandoned", extra=fields(released=released))
        return jsonify(released=released)

    @routes.put("/say")
    def put_announcement() -> Response:
        incoming.require_token(node.identity)
        announcement = announce(node, incoming.read_body(AnnouncementRequest))
        return jsonify(text=announcement.text, until=announcement.until)

    @routes.get("/sandboxes")
    def list_sandboxes() -> Response:
        incoming.require_token(node.identity)
        return jsonify(sandboxes=[shown(node, each) for each in node.table.all() if is_shown(each)])

    @routes.get("/sandboxes/<name>")
    def get_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        return jsonify(shown(node, node.table.get(name)))

    @routes.delete("/sandboxes/<name>")
    def end_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        changed = node.table.end(name, "operator")
        return jsonify(ended=name, changed=changed)

    @routes.delete("/pool")
    def drain_pool() -> Response:
        incoming.require_token(node.identity)
        return jsonify(drained=node.pools.drain_ready())

    return routes


def decide(node: NodeContext, body: StateRequest) -> Intent:
    """With a generation the fleet speaks, without one the node's own operator."""
    if body.generation is None:
        return node.intent.decide_own(body.state, body.reason, body.by)
    return node.intent.decide_fleet(body.state, body.generation, body.reason, body.by)


def announce(node: NodeContext, body: AnnouncementRequest) -> Announcement:
    """Say one line of text to all sandboxes' pages; an empty one ends what was said before."""
    text, seconds = redact(body.text).strip(), body.seconds
    if not text.isprintable():
        raise BadRequest("text must be one line of printable characters")
    if text and not (seconds and seconds <= LONGEST_SECONDS):
        raise BadRequest(f"seconds must be a whole number from 1 to {LONGEST_SECONDS}")
    return node.announcement.put(text, seconds or 0)


def is_shown(sandbox: Sandbox) -> bool:
    return sandbox.state in SHOWN or (sandbox.state == "ending" and sandbox.claimed_at is not None)


def shown(node: NodeContext, sandbox: Sandbox) -> dict[str, Any]:
    """What operators see of a sandbox. Never its key.

    Spans of time beside the times, so that nobody needs this host's clock to read them.
    """
    return {
        "name": sandbox.name,
        "pool": sandbox.pool,
        "state": sandbox.state,
        "created_at": sandbox.created_at,
        "claimed_at": sandbox.claimed_at,
        "last_activity": sandbox.last_activity,
        "busy": sandbox.busy,
        "memory_bytes": sandbox.memory,
        **session_spans(node, sandbox),
    }


def session_spans(node: NodeContext, sandbox: Sandbox) -> dict[str, Any]:
    """How long a session has lasted and rested, and in how many seconds it ends for what reason."""
    if sandbox.claimed_at is None:
        return {}
    now = node.clock()
    spans = {
        "age_seconds": max(0.0, now - sandbox.claimed_at),
        "idle_seconds": 0.0 if sandbox.busy else max(0.0, now - last_activity(sandbox)),
    }
    if sandbox.state == "ending":
        return {**spans, "ends_in_seconds": 0.0, "ends_reason": "ending"}
    ends_at, reason = next_end(sandbox, node.limits(sandbox.pool), now)
    return {**spans, "ends_in_seconds": max(0.0, ends_at - now), "ends_reason": reason}
