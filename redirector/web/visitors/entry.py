"""The front door: one redirect to a sandbox, or a place in the waiting room, or a page that says why neither."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from flask import Blueprint, Response, abort, current_app, request

from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.model.content import ContentNotAllowedError, UnknownContentError
from redirector.model.content_links import PREFIX as CONTENT_PREFIX
from redirector.model.foreign_links import OwnLink, UnreadableLinkError, page_of
from redirector.model.visitor_cookie import KnownSandbox, Visitor, base_of
from redirector.node_client.client import AgentClient
from redirector.placing.admission import Admission
from redirector.placing.outcomes import Outcome, Placed, Refused, Waiting
from redirector.placing.returning import own_sandbox
from redirector.web.failures import SENTENCES, failure
from redirector.web.pages import ALONE, page, page_with_way_in
from redirector.web.parts import Collaborators
from redirector.web.visitors import foreign_doors
from redirector.web.visitors.addresses import RULES, FleetPrefixes, Wanted, is_program, read_address
from redirector.web.visitors.answers import PLAIN_SECONDS, refused_json, refused_page, waiting_json, waiting_page
from redirector.web.visitors.bots import is_bot
from redirector.web.visitors.content_door import ContentDoor, ContentVisit
from redirector.web.visitors.cookies import Cookies
from redirector.web.visitors.spawn import ready
from tmpnb_common.fetch_metadata import PURPOSES, prefetches, purpose
from tmpnb_common.json_object import TICKET
from tmpnb_common.paths import PATH_LIMIT, path_problem

METHODS = ["GET", "POST"]
PURPOSE_KEYS = tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in PURPOSES)
"""As WSGI names them: a miss costs nothing there, unlike in `request.headers`, and every visitor misses all of them."""

FETCH_METADATA = ("HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST", "HTTP_SEC_FETCH_SITE")
BUTTON = "person"
"""In what the button sends that people have who look like a program."""

PULL = "git-pull"
"""What nodes name among their landing paths where sandboxes have nbgitpuller themselves."""

ROBOTS = "User-agent: *\nDisallow: /\n"


@dataclass(frozen=True, slots=True)
class Front:
    """Receives visitors."""

    admission: Admission
    fleet_state: FleetState
    client: AgentClient
    outbox: Outbox
    cookies: Cookies
    prefixes: Container[str]
    door: ContentDoor

    def wanted(self, path: str) -> Wanted:
        """Read a path and the request's query; whatever is no visitor's is answered here."""
        if not path.startswith(f"{CONTENT_PREFIX}/"):
            return read_address(path, self.prefixes)
        return self._with_content(OwnLink(path, page_of(request.args.get("urlpath", ""))))

    def enter_elsewhere(self, read: Callable[[], OwnLink]) -> Response:
        """Answer somebody who opens an address that was made for another service."""
        return self.only_looking() or self.enter(self._wanted_elsewhere(read))

    def _wanted_elsewhere(self, read: Callable[[], OwnLink]) -> Wanted:
        """Read it.

        One of nbgitpuller's that nobody allowed is left to the sandbox on fleets whose nodes say that they have it.
        """
        try:
            return self._with_content(read())
        except (UnreadableLinkError, UnknownContentError, ContentNotAllowedError):
            if request.path.endswith(f"/{PULL}") and PULL in self.prefixes:
                return read_address(request.path, self.prefixes)
            raise

    def _with_content(self, link: OwnLink) -> Wanted:
        content = self.door.read(link.path, link.page, interval=0.0 if is_program() else PLAIN_SECONDS)
        inner = content.visit.path
        if inner and path_problem(inner):
            abort(414 if len(inner) > PATH_LIMIT else 404)
        return Wanted(content.visit, content.suffix, "fresh" in request.args, content)

    def enter(self, wanted: Wanted) -> Response:
        """Answer somebody who opens the entry or a landing path."""
        if wanted.content is not None and (response := self.door.not_yet(wanted.content)):
            return response
        visitor, visit = self.cookies.read(), wanted.visit
        sandbox = None if wanted.fresh else visitor.sandboxes.get(wanted.key)
        url = own_sandbox(self.fleet_state, self.client, sandbox, visit.path) if sandbox is not None else None
        if url is None or sandbox is None:
            return self.receive(wanted, visitor, visitor.ticket)
        if wanted.content is not None and "anyway" not in request.args:
            filling = self.door.filled(sandbox.node, sandbox.name, "", wanted.content)
            if filling.state != "done":
                return self.door.filling(filling, wanted.content, f"{request.script_root}{wanted.suffix}")
        self.outbox.count(returned=1)
        return _go(url)

    def fill(self, wanted: Wanted, content: ContentVisit, sealed: str) -> Response:
        """Answer the page of somebody without cookies that waits for files."""
        filled = self.cookies.read_filling(sealed)
        if filled is None:
            return _go(f"{request.script_root}{wanted.suffix}")
        filling = self.door.filled(filled.node, filled.name, filled.ticket, content)
        if filling.state != "done" and "anyway" not in request.args:
            return self.door.filling(filling, content, f"{request.script_root}/wait/{sealed}{wanted.suffix}")
        placed = self.admission.again(filled.node, filled.ticket, wanted.visit)
        # It has ended meanwhile: the link leads to another one.
        return _go(f"{request.script_root}{wanted.suffix}") if placed is None else _told(placed, wanted, keeps=False)

    def only_looking(self) -> Response | None:
        """What those get who would not use a notebook if they were given one."""
        if request.method == "HEAD":
            return Response(status=200)
        if prefetches(request.environ.get(name, "") for name in PURPOSE_KEYS):
            return failure(503, "prefetch", "A sandbox is for someone who comes, not for a prefetch.")
        elsewhere = self._not_in_a_window()
        if elsewhere is not None:
            return elsewhere
        if request.method == "POST":
            # Only the button of the page below sends that, which no program presses.
            return None if BUTTON in request.form else failure(405, "method_not_allowed", SENTENCES[405])
        if is_bot(request.headers.get("User-Agent", "")) and self.cookies.read() == Visitor():
            return page_with_way_in("preview.html", 200)
        return None

    def _not_in_a_window(self) -> Response | None:
        match purpose(*(request.environ.get(name, "") for name in FETCH_METADATA)):
            case "part" if not _is_waiting_pages_own():
                return failure(403, "no_visit", "A sandbox is for someone who comes, not for a part of a page.")
            case "frame":
                # Browsers judge who may frame this page before it can lead on, and before anything is taken.
                return self.cookies.note_frame(page("frame.html", 200))
            case _:
                return None

    def receive(self, wanted: Wanted, visitor: Visitor, ticket: str) -> Response:
        """Somebody comes, or asks how their ticket stands. A ticket that nobody knows any more is as good as none."""
        outcome = (self.admission.poll_ticket(ticket, wanted.visit) if ticket else None) or self.admission.arrive(
            wanted.visit
        )
        keeps = isinstance(outcome, Waiting) and visitor.ticket == outcome.ticket
        response = self.told(outcome, wanted, keeps=keeps)
        if isinstance(outcome, Placed) and outcome.name:
            sandbox = KnownSandbox(outcome.node, outcome.name, base_of(outcome.url))
            self.cookies.write(response, visitor.with_sandbox(wanted.key, sandbox))
        elif isinstance(outcome, Waiting) and not keeps:
            self.cookies.write(response, visitor.with_ticket(outcome.ticket))
        return response

    def told(self, outcome: Outcome, wanted: Wanted, *, keeps: bool = False) -> Response:
        """What somebody is told of what came of their visit; whoever comes for files is let in once they are there."""
        if isinstance(outcome, Placed) and wanted.content is not None:
            return self.door.lead_in(outcome, wanted.content) or _told(outcome, wanted, keeps=keeps)
        return _told(outcome, wanted, keeps=keeps)


def blueprint(parts: Collaborators) -> Blueprint:
    """The visitor's way in."""
    prefixes = FleetPrefixes(parts.fleet_state)
    door = ContentDoor(parts.content_links, parts.cookies)
    front = Front(parts.admission, parts.fleet_state, parts.client, parts.outbox, parts.cookies, prefixes, door)
    routes = Blueprint("entry", __name__)

    def enter(**_parts: str) -> Response:
        wanted = front.wanted(request.path)
        return front.only_looking() or front.enter(wanted)

    @routes.route(f"{CONTENT_PREFIX}/<path:_link>", methods=METHODS)
    def follow(_link: str) -> Response:
        # Whoever only looks has nothing fetched.
        return front.only_looking() or front.enter(front.wanted(request.path))

    foreign_doors.add_links(routes, front.enter_elsewhere)

    for rule in RULES:
        routes.add_url_rule(rule, view_func=enter, endpoint="enter", methods=METHODS)

    @routes.route("/wait/<ticket>", methods=METHODS)
    @routes.route("/wait/<ticket>/<path:_rest>", methods=METHODS)
    def wait(ticket: str, _rest: str = "") -> Response:
        if looking := front.only_looking():
            return looking
        wanted = front.wanted(request.path.removeprefix(f"/wait/{ticket}") or "/")
        if "." in ticket and wanted.content is not None:
            return front.fill(wanted, wanted.content, ticket)
        if not TICKET.fullmatch(ticket):
            abort(404)
        return front.receive(wanted, front.cookies.read(), ticket)

    @routes.get("/badge_logo.svg")
    def badge() -> Response:
        response = current_app.send_static_file("badge_logo.svg")
        response.headers["Cache-Control"] = "public, max-age=86400"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    @routes.get("/robots.txt")
    def robots() -> Response:
        return Response(ROBOTS, mimetype="text/plain")

    return routes


def _told(outcome: Outcome, wanted: Wanted, *, keeps: bool) -> Response:
    program = is_program()
    match outcome:
        case Placed():
            # Whoever polls for a place as a program wants to know where it is, not to be taken there.
            polls = program and request.endpoint == "entry.wait"
            return ready(outcome) if polls else _go(outcome.url)
        case Waiting():
            following = f"{request.script_root}/wait/{outcome.ticket}{wanted.suffix}"
            return waiting_json(outcome, following, keeps=keeps) if program else waiting_page(outcome, following)
        case Refused():
            return refused_json(outcome) if program else refused_page(outcome)


def _is_waiting_pages_own() -> bool:
    """The waiting room's script asks how its ticket stands."""
    return request.endpoint == "entry.wait" and request.headers.get("Sec-Fetch-Site") == "same-origin"


def _go(url: str) -> Response:
    headers = {"Location": url, "Referrer-Policy": "no-referrer", **ALONE}
    return Response(status=303 if request.method == "POST" else 302, headers=headers)
