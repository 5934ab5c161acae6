"""`/api/join` and `/api/leave`: for nodes that come and go by themselves, with the join token."""

from __future__ import annotations

from flask import Blueprint, Response

from redirector.admin_api.answers import JoinedView
from redirector.admin_api.requests import JoinRequest, LeaveRequest
from redirector.operations.membership import SelfRegistration
from redirector.operations.node_rules import Addition
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import answer, read_body


def blueprint(membership: SelfRegistration, joiners: Keyholders) -> Blueprint:
    """The two calls."""
    routes = Blueprint("joining", __name__, url_prefix="/api")
    routes.before_request(joiners.check)

    @routes.post("/join")
    def join() -> Response:
        body = read_body(JoinRequest)
        node, new = membership.join(Addition(body.url, control_url=body.control_url, token=body.token))
        return answer(JoinedView(node.name), 201 if new else 200)

    @routes.post("/leave")
    def leave() -> Response:
        body = read_body(LeaveRequest)
        return answer(membership.leave(body.url, body.token))

    return routes
