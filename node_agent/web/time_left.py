"""How much time a sandbox has left, and that somebody is at work in it, for the script in its own pages.

Its key is all that a caller needs.
"""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, jsonify

from node_agent.errors import UnknownSandbox
from node_agent.pools.culling import check_pace, next_end_for_visitor
from node_agent.sandboxes import Sandbox
from node_agent.web import answers
from node_agent.web.node import NodeContext
from tmpnb_common.keys import name_of

WARNING_FRACTION = 0.25
"""A warning takes up at most this part of the limit that it is about: one that is always there warns of nothing."""


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("left", __name__)

    @routes.get("/-/left/<key>")
    def look(key: str) -> Response:
        """From memory: neither the engine nor the sandbox is asked, so looking on is no activity."""
        sandbox = claimed(node, key)
        if sandbox is None:
            return gone()
        node.table.record_visit(sandbox.name)
        node.table.record_page(sandbox.name, node.clock())
        return time_left(node, sandbox)

    @routes.post("/-/left/<key>")
    def report(key: str) -> Response:
        """A page was opened, or somebody used a key or a pointer in it."""
        sandbox = claimed(node, key)
        if sandbox is None:
            return gone()
        node.table.record_activity(sandbox.name, node.clock())
        node.table.record_page(sandbox.name, node.clock())
        return time_left(node, claimed(node, key) or sandbox)

    return routes


def claimed(node: NodeContext, key: str) -> Sandbox | None:
    """The claimed sandbox of this very key."""
    try:
        sandbox = node.table.get(name_of(key))
    except UnknownSandbox:
        return None
    ours = sandbox.state == "claimed" and hmac.compare_digest(sandbox.key.encode(), key.encode())
    return sandbox if ours else None


def gone() -> Response:
    return answers.answer(410, "gone", "this sandbox has ended")


def time_left(node: NodeContext, sandbox: Sandbox) -> Response:
    now, limits = node.clock(), node.limits(sandbox.pool)
    ends_at, reason = next_end_for_visitor(sandbox, limits, now)
    text = node.announcement.current.text
    limit = limits.idle if reason == "idle" else limits.max_age
    return jsonify(
        seconds_left=max(0, int(ends_at - now)),
        most_seconds_left=max(0, int(sandbox.claimed_at + limits.max_age - now)) if sandbox.claimed_at else 0,
        idle_seconds=int(limits.idle),
        reason=reason,
        warn_seconds=min(node.warn_seconds, int(limit * WARNING_FRACTION)),
        report_seconds=check_pace(limits),
        **({"say": text} if text else {}),
    )
