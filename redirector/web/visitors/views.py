"""What the public API answers. The field names are those of the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType


@dataclass(frozen=True, slots=True)
class SandboxView:
    """A sandbox that was handed out, as tmpnb gave it. `url` is absolute."""

    url: str
    name: str
    files: Literal["done", "running", "missing", "failed"] | UnsetType = UNSET
    """How far the files are that were wanted, too: `running` and `missing` come by themselves in a moment."""
    message: str | UnsetType = UNSET
    """Why they do not come."""


@dataclass(frozen=True, slots=True)
class WaitingView:
    """A place in the waiting room, or files that are on their way; a wait for those has no place and no ticket."""

    status: Literal["waiting", "fetching", "filling"]
    message: str
    mood: Annotated[str, Meta(extra_json_schema={"enum": ["full", "starting", "held", "trouble"]})]
    ticket: str
    position: int
    waiting: int
    """How many wait for the same pool."""
    expected_seconds: float | None
    """How long it will about take; None while nobody can tell."""
    retry_after: float
    """In how many seconds to ask again."""
    next: Annotated[str, Meta(description="the path at which to ask again")]
    keeps: bool
    """Whether the client's cookie holds the ticket."""


@dataclass(frozen=True, slots=True)
class FleetNumbersView:
    """The fleet's numbers as tmpnb-redirector gave them, with each node's under its URL."""

    available: int
    capacity: int
    hosts: Mapping[str, Mapping[str, Any]]
    version: str


@dataclass(frozen=True, slots=True)
class HealthView:
    """The program is well."""

    status: Literal["ok"] = "ok"
