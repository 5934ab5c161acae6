"""What the admin API answers beside nodes and the fleet: history, placement, selftests. Parsed once, as those are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redirector.admin_api.fields import Fields, ViewError


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of the fleet's history."""

    id: int
    at: float
    kind: str
    node: str
    by: str
    reason: str

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One node, as the next visitor meets it."""

    name: str
    order: str
    available: int
    coming: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlaceView:
    """Where the next visitor would go; `next` is empty when nowhere."""

    pool: str
    next: str
    verdict: str
    nodes: tuple[CandidateView, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values, shaped as the API has them."""
        return asdict(self) | {"next": self.next or None}


@dataclass(frozen=True, slots=True)
class SelftestView:
    """What a node's trial sandbox came to."""

    passed: bool
    message: str
    measured: Mapping[str, Any]

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SessionView:
    """One visitor's session. What its node does not say is None."""

    node: str
    name: str
    pool: str
    age_seconds: float | None
    idle_seconds: float | None
    busy: bool
    memory_bytes: float | None
    ends_in_seconds: float | None
    ends_reason: str

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SessionsView:
    """The sessions of all nodes that answered, and why each other node did not, by its name."""

    sessions: tuple[SessionView, ...]
    unanswered: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AnnouncedView:
    """The nodes whose pages show what was said, and why each other node's do not, by its name."""

    nodes: tuple[str, ...]
    failed: Mapping[str, str]

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def parse_sessions(raw: object) -> SessionsView:
    """Read what `GET /api/sessions` says.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "sessions")
    sessions = (Fields(one, "session").into(SessionView, "node", "name") for one in fields.objects("sessions"))
    return SessionsView(tuple(sessions), _reasons(fields, "unanswered"))


def parse_session_end(raw: object) -> tuple[str, bool]:
    """Read `{"node", "changed"}`: where it was, and whether it was still there.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "session")
    return fields.text("node", required=True), fields.flag("changed")


def parse_announced(raw: object) -> AnnouncedView:
    """Read what `POST /api/say` came to.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "say")
    return AnnouncedView(fields.texts("nodes"), _reasons(fields, "failed"))


def _reasons(fields: Fields, name: str) -> dict[str, str]:
    nodes = [Fields(each, name) for each in fields.objects(name)]
    return {each.text("node", required=True): each.text("reason") for each in nodes}


@dataclass(frozen=True, slots=True)
class FetchView:
    """How far a node is with an image."""

    there: bool
    progress: str
    problem: str


def parse_fetch(raw: object) -> FetchView:
    """Read how far a node is with an image.

    Raises:
        ViewError: it is something else.
    """
    return Fields(raw, "fetch").into(FetchView)


def parse_events(raw: object) -> list[EventView]:
    """Read `{"events": [EVENT]}`.

    Raises:
        ViewError: it is something else.
    """
    events = raw.get("events") if isinstance(raw, dict) else None
    if not isinstance(events, list):
        raise ViewError("events: not a list")
    return [Fields(event, "event").into(EventView, "id") for event in events]


def parse_place(raw: object) -> PlaceView:
    """Read what `GET /api/place` says.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "place")
    candidates = raw.get("nodes") if isinstance(raw, dict) else None
    if not isinstance(candidates, list):
        raise ViewError("place: nodes is not a list")
    nodes = tuple(Fields(candidate, "place: node").into(CandidateView, "name") for candidate in candidates)
    return fields.into(PlaceView, "verdict", nodes=nodes)


def parse_selftest(raw: object) -> SelftestView:
    """Read what a selftest came to.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "selftest")
    return fields.into(SelftestView, measured=fields.mapping("measured"))


def parse_roll(raw: object) -> str | None:
    """Read `{"changed", "image_before"}`: the image before, None if nothing changed.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "roll")
    return fields.text("image_before") if fields.flag("changed") else None
