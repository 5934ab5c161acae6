"""`POST /api/spawn`: a sandbox for a program, at once or after a wait."""

from __future__ import annotations

import re

from flask import Response, jsonify, request

from redirector.errors import BadRequestError
from redirector.placing.admission import Admission
from redirector.placing.outcomes import AdmissionRequest, Refused, Waiting
from redirector.placing.placer import Placed
from redirector.web.bodies import Body
from redirector.web.failures import failure
from redirector.web.visitors.answers import refused_json, waiting_json
from redirector.web.visitors.landing import is_inner_path
from tmpnb_common.wire import DEFAULT_POOL

TICKET = re.compile(r"[A-Za-z0-9_-]{22,128}")


def spawn(admission: Admission, body: Body) -> Response:
    """Answer it. With `wait` it is 202 and a ticket where there is no room; with that `ticket`, how it stands."""
    path = body.text("path")
    if path and not is_inner_path(path):
        raise BadRequestError("path has to be a path and query inside the sandbox, such as /lab/tree/Welcome.ipynb")
    ticket = body.text("ticket")
    waits = body.flag("wait") or bool(ticket)
    visit = AdmissionRequest(path, body.text("pool") or DEFAULT_POOL, request.remote_addr or "", waits=waits)
    if ticket and not TICKET.fullmatch(ticket):
        raise BadRequestError("ticket has to be one that this API gave out")
    outcome = admission.poll_ticket(ticket, visit) if ticket else admission.arrive(visit)
    match outcome:
        case None:
            return failure(404, "unknown_ticket", "Nobody waits with this ticket (any more); ask without one.")
        case Placed():
            return ready(outcome)
        case Waiting():
            return waiting_json(outcome, f"{request.script_root}/wait/{outcome.ticket}{path or '/'}", keeps=False)
        case Refused():
            return refused_json(outcome)


def ready(placed: Placed) -> Response:
    """A sandbox, as tmpnb gave it."""
    return jsonify({"url": placed.url, "name": placed.name})
