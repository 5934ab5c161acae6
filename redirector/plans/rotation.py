"""Replacing one node by another: what to do next. Pure.

Each step follows from what is there, not from what was done before, so that a rotation that was interrupted goes on
from where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from redirector.admin_api.views import NodeView

Step = Literal["unknown", "add", "confirm", "warm", "selftest", "drain", "empty", "remove", "done"]
"""`unknown`: there is and was no node of the old one's name. `confirm`: the new node is in the fleet for its own sake
already, so that an operator has to say that it is to replace the old one: they may have named a wrong address."""


class HistoryLine(Protocol):
    """One event, as the store or the API has it."""

    @property
    def kind(self) -> str: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Situation:
    """Both nodes as the fleet has them now; None for one that it does not have."""

    old: NodeView | None
    new: NodeView | None
    tested: bool = False
    """Whether the new node's selftest has passed in this run."""
    removed: bool = False
    """Whether the old node was a member once and was taken out."""
    agreed: bool = False
    """Whether the new node was added for this rotation, or an operator has agreed to take it."""


def next_step(situation: Situation) -> Step:
    """What brings the rotation on."""
    old, new = situation.old, situation.new
    if old is None:
        return "done" if new is not None and situation.removed else "unknown"
    if new is None:
        return "add"
    if not situation.agreed:
        return "confirm"
    on: Step
    if old.intent == "active":
        ready, proven, on = warm(new), situation.tested, "drain"
    else:
        # Somebody may have drained the old one by hand. Visitors on the new one prove as much as a selftest does.
        ready, proven, on = new.eligible, situation.tested or new.claimed > 0, "remove" if old.drained else "empty"
    if not ready:
        return "warm"
    return on if proven else "selftest"


def addition_reason(old_name: str) -> str:
    """The reason that the history keeps of a node that a rotation adds; `was_added_for` reads it there."""
    return f"replaces {old_name}"


def was_added_for(old_name: str, history: Iterable[HistoryLine]) -> bool:
    """Whether a rotation added a node to replace the old one, by that node's history, oldest line first."""
    reasons = [line.reason for line in history if line.kind == "node_added"]
    return bool(reasons) and reasons[-1] == addition_reason(old_name)


def was_removed(history: Iterable[HistoryLine]) -> bool:
    """Whether a node that is not there now was taken out of the fleet, by its history."""
    return any(line.kind == "node_removed" for line in history)


def warm(node: NodeView) -> bool:
    """Whether the node takes visitors and has its sandboxes ready."""
    return node.eligible and node.available > 0 and node.starting == 0


def stuck(node: NodeView) -> str:
    """Why the new node will not become warm by waiting; empty while it may."""
    if node.intent == "draining":
        return "it is draining; resume it first"
    problems = [f"pool {name}: {pool.problem}" for name, pool in node.pools.items() if pool.problem]
    return "; ".join(problems)
