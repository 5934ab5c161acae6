"""`POST /api/launch` and `/api/places`: launches step by step, for the process that tells them as event streams.

A step is what the launch has come to, in the words of BinderHub's stream. Whoever asks again with the step's `id` keeps
their place in the waiting room, or their sandbox.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated

from flask import Blueprint, Response, request
from msgspec import Meta

from redirector.errors import FleetError
from redirector.memory.fleet_state import FleetState
from redirector.model.content import Content
from redirector.model.content_links import PREFIX
from redirector.model.foreign_links import BINDER, binder_source, binder_spec, forge_page
from redirector.model.launch_events import (
    FailedEvent,
    FetchingEvent,
    LaunchEvent,
    LaunchingEvent,
    ReadyEvent,
    WaitingEvent,
)
from redirector.model.outcomes import DenialReason
from redirector.model.sources import Source
from redirector.model.visitor_cookie import base_of
from redirector.model.waiting_room import QueuePlace
from redirector.placing.admission import Admission
from redirector.placing.back_of_queue import BackOfQueue
from redirector.placing.outcomes import Outcome, Placed, Refused, Waiting
from redirector.web.bodies import answer, read_body
from redirector.web.failures import STATUS, sentence
from redirector.web.parts import Collaborators
from redirector.web.visitors.content_door import FETCHING, ContentDoor, ContentVisit
from redirector.web.visitors.cookies import Cookies, Filled
from tmpnb_common.json_object import TICKET, Line, Ticket

FETCH_SECONDS = 1.0
FILL_SECONDS = 0.2
"""When to ask again while files are fetched, and while they are put into the home: that waits a second by itself."""

TICKETS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """A launch, or how one goes on."""

    spec: Line
    """`<provider>/<repository>/<ref>` as a client sent it, encoded as it was."""
    id: Line = ""
    """Of the last step; empty: somebody new."""


@dataclass(frozen=True, slots=True)
class LaunchView:
    """A step of a launch: what is to be said of it, the last event last."""

    events: list[LaunchEvent]
    id: str = field(default="", repr=False)
    """What keeps the place in the waiting room, or the sandbox; empty: there is neither."""
    ask_seconds: float | None = None
    """In how many seconds to ask again; None: this is the end."""
    far_back: bool = False
    """Whether `id` is a ticket far from the front, of which `/api/places` tells from now on."""


@dataclass(frozen=True, slots=True)
class PlacesRequest:
    """Tickets of the waiting room."""

    tickets: Annotated[list[Ticket], Meta(max_length=TICKETS_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class PlacesView:
    """By ticket what is to be said of those who stand far from the front."""

    places: dict[str, WaitingEvent]
    """Of the others, unknown ones too, there is nothing: they are asked for one by one."""


@dataclass(frozen=True, slots=True)
class _Launches:
    admission: Admission
    back_of_queue: BackOfQueue
    fleet_state: FleetState
    cookies: Cookies
    door: ContentDoor
    entry_url: str

    def step(self, body: LaunchRequest) -> LaunchView:
        """What a launch has come to. What is wrong with it is an event, too."""
        try:
            source = binder_source(body.spec)
            wanted = self.door.read(f"{PREFIX}/{source.text}", interval=0.0)
        except FleetError as error:
            return _failed(sentence(error), STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR))
        if view := self._not_yet(wanted.content, body.id):
            return view
        # No page of ours shows these sandboxes, and their paths are the client's own business.
        wanted = replace(wanted, visit=replace(wanted.visit, path="", embedded=True))
        outcome = self._again(body.id, wanted) or self.admission.arrive(wanted.visit)
        match outcome:
            case Placed():
                return self._placed(outcome, wanted, source)
            case Waiting():
                far_back = self.back_of_queue.keeps(outcome.ticket, wanted.content.pool, outcome.place)
                event = WaitingEvent(_place(outcome.place, outcome.reason))
                return LaunchView([event], outcome.ticket, outcome.ask_seconds, far_back)
            case Refused(reason):
                unavailable = reason.fleets_fault and reason is not DenialReason.LIMITED
                status = 503 if unavailable else 429 if reason.retry_seconds else 404
                return _failed(reason.refusal, status)

    def _not_yet(self, content: Content, identity: str) -> LaunchView | None:
        """What those hear who cannot come in now, before a sandbox is taken for them; None: they can."""
        if not content.digest and not content.problem:
            return LaunchView([FetchingEvent(f"{FETCHING}\n")], identity, FETCH_SECONDS)
        if not content.digest:
            return _failed(f"The files of {content.source} cannot be fetched: {content.problem}", 503)
        problem = self.door.no_way_in(content)
        return _failed(problem, 503) if problem else None

    def _again(self, identity: str, wanted: ContentVisit) -> Outcome | None:
        """What came of a step that the client knows already; None: nobody knows of it any more."""
        if TICKET.fullmatch(identity):
            return self.admission.poll_ticket(identity, wanted.visit)
        filled = self.cookies.read_filling(identity) if identity else None
        return self.admission.again(filled.node, filled.ticket, wanted.visit) if filled is not None else None

    def _placed(self, placed: Placed, wanted: ContentVisit, source: Source) -> LaunchView:
        content = wanted.content
        identity = self.cookies.seal_filling(Filled(placed.node, placed.name, placed.ticket))
        launching = LaunchingEvent(f"{_preparing(content)}\n")
        filling = self.door.filled(placed.node, placed.name, placed.ticket, wanted)
        match filling.state:
            case "done":
                return LaunchView([launching, self._ready(placed, content, source)], identity)
            case "failed":
                return _failed(f"The files could not be put into the notebook's home: {filling.message}", 502)
            case "running" | "missing":
                return LaunchView([launching], identity, FILL_SECONDS)

    def _ready(self, placed: Placed, content: Content, source: Source) -> ReadyEvent:
        stats = self.fleet_state.board.of(placed.node).stats
        pool = stats.pools.get(content.pool) if stats is not None else None
        ref = content.commit or source.ref
        return ReadyEvent(
            "The notebook is ready.\n",
            url=f"{base_of(placed.url)}/",
            image=pool.image if pool is not None else "",
            repo_url=source.url.removesuffix(".git"),
            binder_ref_url=forge_page(source, ref),
            binder_launch_host=f"{(self.entry_url or request.url_root).rstrip('/')}/",
            binder_request=f"{BINDER[1:]}{binder_spec(source, source.ref)}",
            binder_persistent_request=f"{BINDER[1:]}{binder_spec(source, ref)}",
        )


def blueprint(parts: Collaborators) -> Blueprint:
    """The two calls."""
    door = ContentDoor(parts.content_links, parts.cookies)
    launches = _Launches(
        parts.admission, parts.back_of_queue, parts.fleet_state, parts.cookies, door, parts.settings.entry_url
    )
    routes = Blueprint("launches", __name__)

    @routes.post("/api/launch")
    def launch() -> Response:
        return answer(launches.step(read_body(LaunchRequest)))

    @routes.post("/api/places")
    def places() -> Response:
        found = parts.back_of_queue.places(read_body(PlacesRequest).tickets)
        return answer(PlacesView({ticket: WaitingEvent(_place(place)) for ticket, place in found.items()}))

    return routes


def _failed(message: str, status: int) -> LaunchView:
    return LaunchView([FailedEvent(f"{message}\n", status)])


def _place(place: QueuePlace, reason: DenialReason = DenialReason.FULL) -> str:
    text = f"place {place.position} of {place.waiting}"
    if place.expected_seconds is not None:
        minutes = math.ceil(place.expected_seconds / 60)
        text += f", about {minutes} minute{'s' * (minutes != 1)}"
    # That all are in use is what a place in a queue says by itself.
    return f"{text}\n" if reason is DenialReason.FULL else f"{reason.fact}: {text}\n"


def _preparing(content: Content) -> str:
    if not content.needs:
        return "The notebook is being prepared."
    return f"The notebook is being prepared. What its repository asks for may be missing in it: {content.needs}."
