"""What only holders of the node's token may do: decide on its intent, see and end sandboxes."""

from __future__ import annotations

import logging
from dataclasses import replace

from flask import Blueprint, Response

from node_agent.membership.announcement import LONGEST_SECONDS, Announcement
from node_agent.membership.intent import Intent
from node_agent.pools.culling import last_activity, next_end
from node_agent.sandboxes import Sandbox
from node_agent.web import answers, incoming
from node_agent.web.answers import BadRequest
from node_agent.web.node import NodeContext
from node_agent.web.requests import AbandonRequest, AnnouncementRequest, StateRequest
from node_agent.web.views import (
    DrainedView,
    IntentView,
    NodeSandboxesView,
    NodeSandboxView,
    ReleasedView,
    SandboxEndView,
)
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
        return answers.view(IntentView(intent.state, intent.generation))

    @routes.post("/abandon")
    def abandon() -> Response:
        incoming.require_token(node.identity)
        released = node.claims.abandon(incoming.read_body(AbandonRequest).attempts)
        if released:
            log.info("claims abandoned", extra=fields(released=released))
        return answers.view(ReleasedView(released))

    @routes.put("/say")
    def put_announcement() -> Response:
        incoming.require_token(node.identity)
        return answers.view(announce(node, incoming.read_body(AnnouncementRequest)))

    @routes.get("/sandboxes")
    def list_sandboxes() -> Response:
        incoming.require_token(node.identity)
        return answers.view(NodeSandboxesView([shown(node, each) for each in node.table.all() if is_shown(each)]))

    @routes.get("/sandboxes/<name>")
    def get_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        return answers.view(shown(node, node.table.get(name)))

    @routes.delete("/sandboxes/<name>")
    def end_sandbox(name: str) -> Response:
        incoming.require_token(node.identity)
        changed = node.table.end(name, "operator")
        return answers.view(SandboxEndView(name, changed))

    @routes.delete("/pool")
    def drain_pool() -> Response:
        incoming.require_token(node.identity)
        return answers.view(DrainedView(node.pools.drain_ready()))

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


def shown(node: NodeContext, sandbox: Sandbox) -> NodeSandboxView:
    """What operators see of a sandbox."""
    view = NodeSandboxView(
        sandbox.name,
        sandbox.pool,
        sandbox.state,
        sandbox.created_at,
        sandbox.claimed_at,
        sandbox.last_activity,
        sandbox.busy,
        sandbox.memory,
    )
    if sandbox.claimed_at is None:
        return view
    now = node.clock()
    ends_at, reason = now, "ending"
    if sandbox.state != "ending":
        ends_at, reason = next_end(sandbox, node.limits(sandbox.pool), now)
    return replace(
        view,
        age_seconds=max(0.0, now - sandbox.claimed_at),
        idle_seconds=0.0 if sandbox.busy else max(0.0, now - last_activity(sandbox)),
        ends_in_seconds=max(0.0, ends_at - now),
        ends_reason=reason,
    )
