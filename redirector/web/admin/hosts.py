"""tmpnb-redirector's own calls for its list of hosts, so that scripts written for it keep working, now with a token."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from redirector.errors import BadRequestError, UnknownNodeError
from redirector.model.nodes import normalised_url
from redirector.operations.node_changes import Addition, Control, Decision
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import read_body


def blueprint(control: Control, admins: Keyholders) -> Blueprint:
    """`POST` and `DELETE /hosts {"host": url}`."""
    hosts = Blueprint("hosts", __name__)
    hosts.before_request(admins.check)

    @hosts.post("/hosts")
    def add() -> Response:
        body = read_body()
        node, _ = control.add(
            Addition(_host(body.text("host")), token=body.text("token")), Decision(by=admins.operator("/hosts"))
        )
        return jsonify({"host": node.url, "name": node.name})

    @hosts.delete("/hosts")
    def remove() -> Response:
        url = _host(read_body().text("host"))
        nodes, _ = control.nodes()
        for node in nodes.values():
            if node.url == url:
                # It asked no questions there either: a host that is taken off the list keeps its sessions.
                control.remove(node.name, Decision(by=admins.operator("/hosts"), force=True))
                return jsonify({"host": url, "name": node.name})
        raise UnknownNodeError(url)

    return hosts


def _host(url: str) -> str:
    if not url:
        raise BadRequestError("host is missing: the node's address")
    return normalised_url(url)
