"""The admin API's sessions: list them, end one, say something to their pages."""

from __future__ import annotations

from flask import Blueprint, Response, request

from redirector.admin_api.answers import EndedView
from redirector.admin_api.requests import LONGEST_SECONDS, NOTICE_LIMIT, EndSessionRequest, SayRequest
from redirector.errors import BadRequestError
from redirector.operations.sessions import SessionControl
from redirector.web.admin.auth import Keyholders
from redirector.web.admin.nodes import decision_of
from redirector.web.bodies import answer, read_body


def blueprint(sessions: SessionControl, admins: Keyholders) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_sessions", __name__, url_prefix="/api")
    admin.before_request(admins.check)

    @admin.get("/sessions")
    def list_sessions() -> Response:
        return answer(sessions.sessions(request.args.getlist("node")))

    @admin.delete("/sessions/<name>")
    def end_session(name: str) -> Response:
        body = read_body(EndSessionRequest)
        node, changed = sessions.end(name, body.node, decision_of(body, admins))
        return answer(EndedView(name, node, changed))

    @admin.post("/say")
    def say() -> Response:
        body = read_body(SayRequest)
        text, seconds = announcement_of(body.text, body.seconds)
        nodes = list(dict.fromkeys(body.nodes))
        return answer(sessions.say(text, seconds, nodes, decision_of(body, admins)))

    return admin


def announcement_of(text: str, seconds: int) -> tuple[str, int]:
    """The line to say and for how many seconds; 0 for an empty line, which ends what was said before."""
    text = text.strip()
    if len(text) > NOTICE_LIMIT:
        raise BadRequestError(f"text has {len(text)} characters; at most {NOTICE_LIMIT} fit into a notice")
    if text and not seconds:
        raise BadRequestError(f"seconds has to say for how long: from 1 to {LONGEST_SECONDS}")
    return text, seconds if text else 0
