"""What somebody wants at the door, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from redirector.model.waiting_room import Place
from redirector.placing.placer import Placed
from tmpnb_common.wire import DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """What somebody wants."""

    path: str = ""
    """Path and query inside the sandbox."""
    pool: str = DEFAULT_POOL
    address: str = ""
    """Of the client."""
    waits: bool = True
    """Whether they would rather wait than be refused."""
    interval: float = 0.0
    """They cannot ask more often than that, in seconds: a page without a script."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in the waiting room."""

    ticket: str = field(repr=False)
    place: Place
    ask_seconds: float
    """When to ask again; whoever lets two of these pass is taken to have left."""
    mood: Literal["full", "starting", "held", "trouble"]
    """Why they wait: all is in use; something starts that will be theirs; their address had more than its share; no
    node answers just now."""


Reason = Literal["full", "starting", "trouble", "unknown_pool", "bad_request", "crowded", "limited"]


@dataclass(frozen=True, slots=True)
class Refused:
    """The reason why somebody can neither have a sandbox nor wait: `crowded` is a waiting room at its limit, `limited`
    a client address beyond all bearable waiting, `bad_request` a path that no node can make sense of.
    """

    status: Reason


Outcome = Placed | Waiting | Refused
