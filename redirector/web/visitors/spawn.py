"""`POST /api/spawn`: a sandbox for a program, at once or after a wait."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from redirector.errors import BadRequestError
from redirector.model.content_links import FILE_MARK, PREFIX
from redirector.placing.admission import Admission
from redirector.placing.outcomes import AdmissionRequest, Placed, Refused, Waiting
from redirector.web.bodies import answer
from redirector.web.failures import failure
from redirector.web.visitors.answers import refused_json, waiting_json
from redirector.web.visitors.content_door import ContentDoor
from redirector.web.visitors.landing import is_inner_path
from redirector.web.visitors.views import SandboxView
from tmpnb_common.json_object import Line, MaybeTicket
from tmpnb_common.wire import DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """What a program wants of the fleet: a sandbox, or to hear how a wait stands."""

    path: Line = ""
    pool: Line = DEFAULT_POOL
    wait: bool = False
    ticket: MaybeTicket = ""
    """Of a wait that goes on; empty: a visitor who has just come."""
    content: Line = ""
    """The name of a content, or a source that links may ask for, to be put into the home; `path` is then a file."""
    embedded: bool = False
    """For live code in a page: the sandbox ends soon after its page has gone."""


def spawn(admission: Admission, door: ContentDoor, body: SpawnRequest) -> Response:
    """Answer it. With `wait` it is 202 and a ticket where there is no room; with that `ticket`, how it stands."""
    path, ticket = body.path, body.ticket
    if body.content:
        return _spawn_with_content(admission, door, body)
    if path and not is_inner_path(path):
        raise BadRequestError("path has to be a path and query inside the sandbox, such as /lab/tree/Welcome.ipynb")
    pool = body.pool or DEFAULT_POOL
    waits = body.wait or bool(ticket)
    visit = AdmissionRequest(path, pool, request.remote_addr or "", waits=waits, embedded=body.embedded)
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


def _spawn_with_content(admission: Admission, door: ContentDoor, body: SpawnRequest) -> Response:
    """The same for a program that wants files, too. A sandbox is told of once they are there, or on their way."""
    separator = FILE_MARK if ":" in body.content else "/"
    wanted = door.read(f"{PREFIX}/{body.content}{separator}{body.path.lstrip('/')}".rstrip("/-"), interval=0.0)
    if response := door.not_yet(wanted):
        return response
    visit = replace(wanted.visit, waits=body.wait or bool(body.ticket), embedded=body.embedded)
    if visit.path and not is_inner_path(visit.path):
        raise BadRequestError("path has to be the path of a file in the content, such as lesson1.ipynb")
    outcome = admission.poll_ticket(body.ticket, visit) if body.ticket else admission.arrive(visit)
    match outcome:
        case None:
            return failure(404, "unknown_ticket", "Nobody waits with this ticket (any more); ask without one.")
        case Placed():
            filling = door.filled(outcome.node, outcome.name, outcome.ticket, wanted)
            return answer(SandboxView(outcome.url, outcome.name, filling.state, filling.message))
        case Waiting():
            return waiting_json(outcome, f"{request.script_root}/wait/{outcome.ticket}{wanted.suffix}", keeps=False)
        case Refused():
            return refused_json(outcome)


def ready(placed: Placed) -> Response:
    """A sandbox, as tmpnb gave it."""
    return answer(SandboxView(placed.url, placed.name))
