"""`/api/join` and `/api/leave`: for nodes that come and go by themselves, with the join token."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from redirector.errors import BadRequestError
from redirector.operations.membership import Membership
from redirector.operations.node_changes import Addition
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import Body, read_body


def blueprint(membership: Membership, joiners: Keyholders) -> Blueprint:
    """The two calls."""
    routes = Blueprint("joining", __name__, url_prefix="/api")
    routes.before_request(joiners.check)

    @routes.post("/join")
    def join() -> tuple[Response, int]:
        body = read_body()
        asked = Addition(_url(body), control_url=body.text("control_url"), token=body.text("token"))
        node, new = membership.join(asked)
        return jsonify({"name": node.name}), 201 if new else 200

    @routes.post("/leave")
    def leave() -> Response:
        body = read_body()
        found = membership.leave(_url(body), body.text("token"))
        return jsonify({"name": found.name, "left": found.left, "claimed": found.claimed})

    return routes


def _url(body: Body) -> str:
    url = body.text("url")
    if not url:
        raise BadRequestError("url is missing: the node's public address")
    return url
