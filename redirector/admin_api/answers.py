"""What the admin API answers beside nodes and the fleet: objects that the server writes and the client reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from msgspec import Meta

from redirector.admin_api.views import NodeView
from redirector.model.events import Event
from redirector.model.sessions import VisitorSession

Order = Annotated[str, Meta(extra_json_schema={"enum": ["first", "last", "never"]})]
PlaceVerdict = Annotated[
    str, Meta(extra_json_schema={"enum": ["placed", "starting", "full", "trouble", "unknown_pool"]})
]


@dataclass(frozen=True, slots=True)
class NodesView:
    """All nodes."""

    nodes: Sequence[NodeView]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A node, and whether the call changed anything."""

    changed: bool
    node: NodeView


@dataclass(frozen=True, slots=True)
class RemovedView:
    """The name of the node that was removed."""

    removed: str


@dataclass(frozen=True, slots=True)
class PoolChangeView:
    """Whether a pool was moved to another image or resized, and what it had before."""

    changed: bool
    image_before: str | None = None
    """Null if the pool had the requested image already, or was resized."""
    capacity_before: int | None = None
    """In sandboxes; null if the pool was moved."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of the fleet's history. `at` is in seconds since 1970."""

    id: int
    at: float = 0.0
    kind: str = ""
    node: str = ""
    by: str = ""
    reason: str = ""

    @classmethod
    def of(cls, event: Event) -> Self:
        """The view of an event that the database has numbered."""
        return cls(event.id or 0, event.at, event.kind, event.node, event.by, event.reason)


@dataclass(frozen=True, slots=True)
class EventsView:
    """Events, oldest first."""

    events: Sequence[EventView]


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One node, as the next visitor meets it."""

    name: str
    order: Order
    available: int
    coming: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlaceView:
    """Where the next visitor would go; `next` is None when nowhere."""

    pool: str
    next: str | None
    verdict: PlaceVerdict
    nodes: Sequence[CandidateView]


@dataclass(frozen=True, slots=True)
class NodeReason:
    """A node, and why it did not do or say what it was asked for."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionsView:
    """The sessions of all nodes that answered, and why each other node did not."""

    sessions: Sequence[VisitorSession]
    unanswered: Sequence[NodeReason]


@dataclass(frozen=True, slots=True)
class EndedView:
    """The session that was to end, its node, and whether that changed anything: it may have ended meanwhile."""

    ended: str
    node: str
    changed: bool


@dataclass(frozen=True, slots=True)
class AnnouncedView:
    """The nodes whose pages show the announcement, and why each other node's do not."""

    nodes: Sequence[str]
    failed: Sequence[NodeReason]


@dataclass(frozen=True, slots=True)
class HostView:
    """A node as tmpnb-redirector's list of hosts has it."""

    host: str
    name: str


@dataclass(frozen=True, slots=True)
class JoinedView:
    """The name under which a node is in the fleet."""

    name: str
