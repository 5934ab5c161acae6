"""What a visitor asks of the admission, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from redirector.model.outcomes import DenialReason
from redirector.model.waiting_room import QueuePlace
from tmpnb_common.wire import DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """The sandbox that a visitor would like, and how they can wait for it."""

    path: str = ""
    """Path and query inside the sandbox."""
    pool: str = DEFAULT_POOL
    address: str = ""
    """Of the client."""
    waits: bool = True
    """Whether they would rather wait than be refused."""
    interval: float = 0.0
    """They cannot ask more often than that, in seconds: a page without a script."""
    content: str = ""
    """The digest of the blob that their home is to be filled with; empty: none."""
    phone: bool = False
    """They have little room: a notebook is better shown alone."""
    embedded: bool = False
    """For live code in a page of somebody else's: the sandbox ends soon after that page has gone."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A sandbox was handed out."""

    url: str = field(repr=False)
    """Absolute. Whoever knows it is in, so it belongs into no log."""
    node: str
    name: str
    tries: int
    ticket: str = field(default="", repr=False)
    """By which the node knows their claim."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No sandbox was handed out: why, in a word and, for each node that was asked, in a sentence."""

    reason: DenialReason
    reasons: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A visitor has a place in the waiting room."""

    ticket: str = field(repr=False)
    place: QueuePlace
    ask_seconds: float
    """When to ask again; whoever lets two of these pass is taken to have left."""
    reason: DenialReason


Result = Placed | Refused
Outcome = Placed | Waiting | Refused
