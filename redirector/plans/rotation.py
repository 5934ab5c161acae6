"""Replacing one node by another: what to do next. Pure.

Each step follows from what is there, not from what was done before, so that a rotation that was interrupted goes on
from where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from redirector.admin_api.views import NodeView

Step = Literal["add", "warm", "selftest", "drain", "empty", "remove", "done"]


@dataclass(frozen=True, slots=True)
class Situation:
    """Both nodes as the fleet has them now; None for one that it does not have."""

    old: NodeView | None
    new: NodeView | None
    tested: bool = False
    """Whether the new node's selftest has passed in this run."""


def next_step(situation: Situation) -> Step:
    """What brings the rotation on."""
    old, new = situation.old, situation.new
    if new is None:
        return "add"
    if old is None:
        return "done"
    on: Step
    if old.intent == "active":
        ready, proven, on = warm(new), situation.tested, "drain"
    else:
        # Somebody may have drained the old one by hand. Visitors on the new one prove as much as a selftest does.
        ready, proven, on = new.eligible, situation.tested or new.claimed > 0, "remove" if old.drained else "empty"
    if not ready:
        return "warm"
    return on if proven else "selftest"


def warm(node: NodeView) -> bool:
    """Whether the node takes visitors and has its sandboxes ready."""
    return node.eligible and node.available > 0 and node.starting == 0


def stuck(node: NodeView) -> str:
    """Why the new node will not become warm by waiting; empty while it may."""
    if node.intent == "draining":
        return "it is draining; resume it first"
    problems = [f"pool {name}: {pool.problem}" for name, pool in node.pools.items() if pool.problem]
    return "; ".join(problems)
