"""The admin API's nodes: list, add, show, remove, drain, resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, Response, request

from redirector.admin_api.answers import ChangeView, NodesView, RemovedView
from redirector.admin_api.node_view import view_of_node
from redirector.admin_api.requests import AddNodeRequest, DecisionRequest, DrainRequest
from redirector.admin_api.views import NodeView
from redirector.errors import BadRequestError, UnknownNodeError
from redirector.operations.images import Upkeep
from redirector.operations.live_stats import LiveStats
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import answer, read_body

DIGITS = 19
"""Of the greatest whole number that a database's row may hold."""


def blueprint(
    control: Control, upkeep: Upkeep, live: LiveStats, admins: Keyholders, clock: Callable[[], float]
) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_nodes", __name__, url_prefix="/api/nodes")
    admin.before_request(admins.check)

    @admin.get("")
    def list_nodes() -> Response:
        nodes, board = control.nodes()
        board = live.all(nodes, board)
        orders = upkeep.orders()
        now = clock()
        views = [view_of_node(node, board.of(name), now, orders.get(name, {})) for name, node in nodes.items()]
        return answer(NodesView(views))

    @admin.post("")
    def add_node() -> Response:
        body = read_body(AddNodeRequest)
        addition = Addition(body.url, body.name, body.control_url, body.token)
        node, new = control.add(addition, decision_of(body, admins))
        return answer(_one(node.name), 201 if new else 200)

    @admin.get("/<name>")
    def show_node(name: str) -> Response:
        return answer(_one(name))

    @admin.delete("/<name>")
    def remove_node(name: str) -> Response:
        control.remove(name, decision_of(read_body(DecisionRequest), admins))
        return answer(RemovedView(name))

    @admin.post("/<name>/drain")
    def drain(name: str) -> Response:
        body = read_body(DrainRequest)
        decision = replace(decision_of(body, admins), end_sessions_at=body.end_sessions_at)
        _, changed = control.intend(name, "draining", decision)
        return answer(ChangeView(changed, _one(name)))

    @admin.post("/<name>/resume")
    def resume(name: str) -> Response:
        _, changed = control.intend(name, "active", decision_of(read_body(DecisionRequest), admins))
        return answer(ChangeView(changed, _one(name)))

    def _one(name: str) -> NodeView:
        """As the node says itself: what an operator just did, or is about to do, hangs on it."""
        nodes, board = control.nodes()
        if name not in nodes:
            raise UnknownNodeError(name)
        answered = live.one(nodes[name], board.of(name))
        orders = upkeep.orders().get(name, {})
        return view_of_node(nodes[name], answered.seen, clock(), orders, unanswered=answered.unanswered)

    return admin


def decision_of(body: DecisionRequest, admins: Keyholders) -> OperatorDecision:
    """Who decided what, as the token proves or else the request says."""
    return OperatorDecision(admins.operator(body.by), body.reason, _version_seen(), body.force)


def _version_seen() -> int | None:
    """The version in If-Match, as `"7"`."""
    given = request.headers.get("If-Match", "").strip()
    if given in ("", "*"):
        return None
    bare = given.removeprefix("W/").strip('"')
    if not (bare.isascii() and bare.isdigit() and len(bare) <= DIGITS):
        raise BadRequestError('If-Match has to hold the version of the node that was shown, such as "7"')
    return int(bare)
