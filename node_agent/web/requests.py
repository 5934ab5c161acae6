"""What comes with a request to the node, a dataclass a call: the fields are those of docs/http-api.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from node_agent.membership.announcement import TEXT_LIMIT
from tmpnb_common.claims import ATTEMPTS_AT_ONCE, TICKETS_AT_ONCE
from tmpnb_common.json_object import Count, InnerPath, MaybeDigest, MaybeTicket, Ticket
from tmpnb_common.wire import DEFAULT_POOL, NodeState

MOST_SANDBOXES = 10_000
"""Sandboxes in a pool, as for the settings."""

PoolName = Annotated[str, Meta(max_length=63, description="a pool's name of at most 63 characters")]
Reason = Annotated[str, Meta(max_length=1000, description="a text of at most 1000 characters")]
Operator = Annotated[str, Meta(max_length=100, description="a text of at most 100 characters")]
Notice = Annotated[str, Meta(max_length=TEXT_LIMIT, description=f"a text of at most {TEXT_LIMIT} characters")]
Image = Annotated[str, Meta(max_length=255, description="an image's name of at most 255 characters")]
Size = Annotated[int, Meta(ge=0, le=MOST_SANDBOXES, description=f"a whole number from 0 to {MOST_SANDBOXES}")]
Tickets = Annotated[
    tuple[Any, ...], Meta(min_length=1, max_length=TICKETS_AT_ONCE, description=f"a list of 1 to {TICKETS_AT_ONCE}")
]
Attempts = Annotated[
    tuple[Ticket, ...],
    Meta(min_length=1, max_length=ATTEMPTS_AT_ONCE, description=f"a list of 1 to {ATTEMPTS_AT_ONCE}"),
]


@dataclass(frozen=True, slots=True)
class NodeSpawnRequest:
    """A claim: for one visitor, or with `tickets` for several."""

    pool: PoolName = DEFAULT_POOL
    path: InnerPath = ""
    """The path and query inside the sandbox; empty for the pool's landing page."""
    ticket: Ticket | None = None
    attempt: Ticket | None = None
    tickets: Tickets | None = None
    """Each is a `ClaimRequest`. They are read one by one, so that an odd one spoils nothing for the others."""


@dataclass(frozen=True, slots=True)
class StateRequest:
    """A decision on the node's intent: the fleet's with a generation, its own operator's without one."""

    state: NodeState
    reason: Reason = ""
    by: Operator = ""
    generation: Count | None = None


@dataclass(frozen=True, slots=True)
class AbandonRequest:
    """Claims that their caller gives up."""

    attempts: Attempts


@dataclass(frozen=True, slots=True)
class AnnouncementRequest:
    """A line for the pages of all sandboxes."""

    text: Notice = ""
    """Empty: the line ends that is shown."""
    seconds: Count | None = None


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """What is to change in a pool; what is not named stays as it is."""

    image: Image = ""
    warm: Size | None = None
    capacity: Size | None = None
    content: MaybeDigest | None = None
    """The digest of the blob that each new home is made with; empty: none."""


@dataclass(frozen=True, slots=True)
class FillRequest:
    """A home that is to be filled with what its visitor's claim asked for."""

    ticket: MaybeTicket = ""
    """The one that got the sandbox; empty: whoever has it."""
    wait_seconds: Annotated[float, Meta(ge=0, le=10, description="a number from 0 to 10")] = 0.0
    """How long the answer may wait for the end."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """An image that is to be fetched."""

    image: Image


@dataclass(frozen=True, slots=True)
class SelftestRequest:
    """A pool that is to be tried."""

    pool: PoolName = DEFAULT_POOL
