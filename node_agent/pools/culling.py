"""Why to end a sandbox: plain values in, a reason or None out.

A session lives while somebody or something is at work in it. At work is

- a person: a page of the sandbox was opened, or a key, a pointer or a finger was used in one, which the node's script
  in the page reports;
- a kernel that computes, and a kernel or a terminal that exchanges messages, as Jupyter says of them;
- a program that somebody has started in a terminal, until it is done, as a cell in a kernel is;
- whatever uses the processor.

Requests by themselves are no work, whoever sends them: pages and their extensions ask many things every few seconds as
long as a tab is open, and no list of those would ever be complete.

A session for live code in a page of somebody else's also ends when that page has gone for a while: no kernel has a
connection, none computes, and nobody asked for the time left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from node_agent.jupyter.client import Activity
from node_agent.sandboxes import Sandbox

CHECK_SECONDS = 30.0
"""How often to look at most. A look costs two small requests on a socket, and one to the engine."""

WORKING_SHARE = 0.1
"""Of one processor, from which on a sandbox is at work. A JupyterLab whose tab is open and at rest uses 0.003, with
extensions that ask eight times a second 0.018 (`python -m tests.bench.resting_tab`, two cores).
"""

SHORTEST_MEASURE_SECONDS = 5.0
"""The processor time of less is taken for that of so long: one burst of requests is no work."""

Reason = Literal["idle", "max_age", "unvisited", "closed", "dead"]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a session showed."""

    at: float
    """Seconds, on a clock that only runs forward."""
    activity: Activity | None = None
    """None: its server said nothing that makes sense."""
    processor_seconds: float | None = None
    """That it has used since its start; None: unknown."""
    program: bool = False
    """A program runs in the foreground of a terminal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds, counted from the claim."""

    idle: float
    max_age: float
    unvisited: float
    closed: float = 0.0
    """After the page of live code has gone; 0: never."""


def at_work(before: Look, look: Look) -> bool:
    """Whether something was at work in a session between two looks.

    Jupyter's times are those of a clock that may be set, and of a program that may lie: that they changed counts, not
    what they say. Lies buy at most the time until `max_age`.
    """
    if look.program:
        return True
    if look.activity is not None:
        known = before.activity or Activity("", busy=False)
        if look.activity.busy or look.activity.newest != known.newest:
            return True
    if look.processor_seconds is None or before.processor_seconds is None:
        return False
    measured = max(look.at - before.at, SHORTEST_MEASURE_SECONDS)
    return look.processor_seconds - before.processor_seconds >= WORKING_SHARE * measured


def why_cull(sandbox: Sandbox, limits: Limits, now: float) -> Reason | None:
    """Why a living sandbox should end now. Only claimed ones do: a ready one waits as long as it must."""
    if sandbox.state != "claimed" or sandbox.claimed_at is None:
        return None
    age = now - sandbox.claimed_at
    if age >= limits.max_age:
        return "max_age"
    if sandbox.busy:
        return None
    if not sandbox.visited and age >= limits.unvisited:
        return "unvisited"
    if now >= closed_end(sandbox, limits):
        return "closed"
    return "idle" if now - last_activity(sandbox) >= limits.idle else None


def last_activity(sandbox: Sandbox) -> float:
    """When somebody was last at work in a claimed sandbox: at its claim at the earliest."""
    assert sandbox.claimed_at is not None
    return max(sandbox.last_activity or 0.0, sandbox.claimed_at)


def closed_end(sandbox: Sandbox, limits: Limits) -> float:
    """When a claimed sandbox ends unless a page of it is seen until then; infinite: it does not end by that."""
    if not (sandbox.embedded and limits.closed) or sandbox.busy:
        return math.inf
    return max(sandbox.page_seen or 0.0, sandbox.claimed_at or 0.0) + limits.closed


def next_end(sandbox: Sandbox, limits: Limits, now: float) -> tuple[float, Reason]:
    """When a claimed sandbox will be culled, and why, if nothing happens in it until then.

    `why_cull` gives a reason from this time on and none before.
    """
    end, reason = next_end_for_visitor(sandbox, limits, now)
    closed = closed_end(sandbox, limits)
    if closed < end:
        end, reason = closed, "closed"
    unvisited = (sandbox.claimed_at or 0.0) + limits.unvisited
    if sandbox.visited or sandbox.busy or end <= unvisited:
        return end, reason
    return unvisited, "unvisited"


def next_end_for_visitor(sandbox: Sandbox, limits: Limits, now: float) -> tuple[float, Reason]:
    """The same for whoever has come: the page of a visitor asks before their visit may have been noticed."""
    assert sandbox.claimed_at is not None
    oldest = sandbox.claimed_at + limits.max_age
    last = min(last_activity(sandbox), now)
    if sandbox.busy or oldest <= last + limits.idle:
        return oldest, "max_age"
    return last + limits.idle, "idle"


def check_pace(limits: Limits, *, embedded: bool = False) -> float:
    """How often to look at a session, in seconds: often enough that none passes for idle or closed unseen."""
    closed = limits.closed if embedded and limits.closed else math.inf
    return min(CHECK_SECONDS, limits.idle / 4, closed / 4)


def check_due(sandbox: Sandbox, limits: Limits, checked_at: float, now: float) -> bool:
    """Whether to look at a claimed sandbox: at a steady pace, and before what was seen of it ends it."""
    if sandbox.state != "claimed" or sandbox.claimed_at is None:
        return False
    end_due, _ = next_end_for_visitor(sandbox, limits, now)
    end_due = min(end_due, closed_end(sandbox, limits))
    return now - checked_at >= check_pace(limits, embedded=sandbox.embedded) or checked_at < end_due <= now
