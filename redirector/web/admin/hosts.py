"""tmpnb-redirector's own calls for its list of hosts, so that scripts written for it keep working, now with a token."""

from __future__ import annotations

from flask import Blueprint, Response

from redirector.admin_api.answers import HostView
from redirector.admin_api.requests import HostRequest
from redirector.errors import UnknownNodeError
from redirector.model.node_names import normalised_url
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.web.admin.auth import Keyholders
from redirector.web.bodies import answer, read_body


def blueprint(control: Control, admins: Keyholders) -> Blueprint:
    """`POST` and `DELETE /hosts {"host": url}`."""
    hosts = Blueprint("hosts", __name__)
    hosts.before_request(admins.check)

    @hosts.post("/hosts")
    def add() -> Response:
        body = read_body(HostRequest)
        addition = Addition(normalised_url(body.host), token=body.token)
        node, _ = control.add(addition, OperatorDecision(by=admins.operator("/hosts")))
        return answer(HostView(node.url, node.name))

    @hosts.delete("/hosts")
    def remove() -> Response:
        url = normalised_url(read_body(HostRequest).host)
        nodes, _ = control.nodes()
        for node in nodes.values():
            if node.url == url:
                # It asked no questions there either: a host that is taken off the list keeps its sessions.
                control.remove(node.name, OperatorDecision(by=admins.operator("/hosts"), force=True))
                return answer(HostView(url, node.name))
        raise UnknownNodeError(url)

    return hosts
