"""Why to end a sandbox: plain values in, a reason or None out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from node_agent.sandboxes import Sandbox

CHECK_SECONDS = 30.0
"""How often to ask at most. A check costs two small requests on a socket."""

Reason = Literal["idle", "max_age", "unvisited", "dead"]


@dataclass(frozen=True, slots=True)
class Activity:
    """What Jupyter says of itself."""

    last_activity: float
    """Of its API and kernels, in seconds since 1970. An open tab at rest is none."""
    busy: bool
    """A kernel is computing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds, counted from the claim."""

    idle: float
    max_age: float
    unvisited: float


def why_cull(sandbox: Sandbox, limits: Limits, now: float) -> Reason | None:
    """Why a living sandbox should end now. Only claimed ones do: a ready one waits as long as it must.

    What a sandbox says of its own activity is believed only between its claim and now, so that lies buy at most the
    time until `max_age`. One that never answered counts as active at its claim.
    """
    if sandbox.state != "claimed" or sandbox.claimed_at is None:
        return None
    age = now - sandbox.claimed_at
    if age >= limits.max_age:
        return "max_age"
    if sandbox.busy:
        return None
    last = min(max(sandbox.last_activity or 0.0, sandbox.claimed_at), now)
    if last <= sandbox.claimed_at and sandbox.last_activity is not None and age >= limits.unvisited:
        return "unvisited"
    if now - last >= limits.idle:
        return "idle"
    return None


def next_end(sandbox: Sandbox, limits: Limits, now: float) -> tuple[float, Reason]:
    """When a claimed sandbox will be culled, and why, if nothing happens in it until then.

    `why_cull` gives a reason from this time on and none before, save for `unvisited`: whoever asks has come.
    """
    assert sandbox.claimed_at is not None
    oldest = sandbox.claimed_at + limits.max_age
    last = min(max(sandbox.last_activity or 0.0, sandbox.claimed_at), now)
    if sandbox.busy or oldest <= last + limits.idle:
        return oldest, "max_age"
    return last + limits.idle, "idle"


def check_pace(limits: Limits) -> float:
    """How often to ask a session for its activity, in seconds: often enough that none passes for idle unasked."""
    return min(CHECK_SECONDS, limits.idle / 4)


def check_due(sandbox: Sandbox, limits: Limits, checked_at: float, now: float, every: float) -> bool:
    """Whether to ask a claimed sandbox for its activity: at a steady pace, and before what was heard of it ends it."""
    if sandbox.state != "claimed" or sandbox.claimed_at is None:
        return False
    visit_due = sandbox.claimed_at + limits.unvisited
    end_due, _ = next_end(sandbox, limits, now)
    return now - checked_at >= every or any(checked_at < due <= now for due in (visit_due, end_due))
