"""What takes minutes, one step a request: the page asks for the next one until all is done, and may stop at any.

Which step is next follows from what is there, by the same rules as for `tmpnb node rotate` and `tmpnb roll`, so that a
page that was closed in between goes on from where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from redirector.admin_api.node_view import view_of_node
from redirector.admin_api.views import NodeView
from redirector.errors import AlreadyMemberError, BadRequestError, NodeFailedError, UnknownNodeError, UnknownPoolError
from redirector.model.events import Event
from redirector.model.node_names import normalised_url
from redirector.operations.images import Upkeep
from redirector.operations.live_stats import LiveStats
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.plans import rolling
from redirector.plans.rotation import Situation, addition_reason, next_step, stuck, was_added_for, was_removed
from redirector.store.journal import Journal

HISTORY_LINES = 1000
"""So many of a node's newest events are searched for what was done to it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, or is waited for."""

    message: str
    done: bool = False
    tested: bool = False
    """The selftest has passed; the page brings that along with the next request."""


class Steps:
    """Rotates and rolls for the dashboard."""

    def __init__(
        self, control: Control, upkeep: Upkeep, live: LiveStats, journal: Journal, clock: Callable[[], float]
    ) -> None:
        self._control = control
        self._upkeep = upkeep
        self._live = live
        self._journal = journal
        self._clock = clock

    def rotate(
        self, old_name: str, addition: Addition, decision: OperatorDecision, *, tested: bool, agreed: bool
    ) -> Step:
        """Bring the replacement of a node by the one at `addition.url` on by a step.

        Raises:
            AlreadyMemberError: that one does its own work in the fleet, and nobody `agreed` that it is to replace it.
            FleetError: it cannot go on. Until the new node has proven itself, the old one is as it was.
        """
        url = normalised_url(addition.url)
        nodes = self._nodes()
        old, new = nodes.get(old_name), next((node for node in nodes.values() if node.url == url), None)
        if old is not None and old.url == url:
            raise BadRequestError(f"{old_name} is the node at {url}: name another address")
        removed = old is None and was_removed(self._history(old_name))
        agreed = agreed or (new is not None and was_added_for(old_name, self._history(new.name)))
        match next_step(Situation(old, new, tested, removed, agreed)):
            case "unknown":
                raise UnknownNodeError(old_name)
            case "confirm":
                assert new is not None, "next_step adds it first"
                raise AlreadyMemberError(new.name, old_name)
            case "done":
                return Step(f"{old_name} is out of the fleet, {url} is in", done=True)
            case "add":
                added, _ = self._control.add(addition, replace(decision, reason=addition_reason(old_name)))
                return Step(f"{added.name} was added")
            case "warm" | "selftest" as step:
                assert new is not None, "next_step adds it first"
                return self._prove(new, old_name) if step == "selftest" else _wait_until_warm(new, old_name)
            case "drain":
                self._control.intend(old_name, "draining", decision)
                message = f"{old_name} drains"
            case "empty":
                left = old.claimed if old is not None else 0
                message = f"waiting until the sessions of {old_name} have ended: {left} left"
            case "remove":
                self._control.remove(old_name, decision)
                message = f"{old_name} was removed"
        return Step(message, tested=tested)

    def roll(self, name: str, pool: str, image: str, decision: OperatorDecision, *, tested: bool) -> Step:
        """Bring the move of a node's pool to an image on by a step.

        Raises:
            FleetError: it cannot go on.
        """
        node = self._nodes().get(name)
        if node is None:
            raise UnknownNodeError(name)
        if pool not in node.pools:
            raise UnknownPoolError(name, pool)
        if node.pools[pool].image != image:
            before = self._upkeep.roll(name, pool, image, decision)
            return Step(f"{name} moves from {before} to {image}")
        if problem := rolling.stuck(node, pool, image):
            raise NodeFailedError(name, problem)
        if not rolling.arrived(node, pool, image):
            return Step(f"waiting until {name} has {image} ready")
        if not tested:
            return self._selftest(name, pool)
        if not rolling.replaced(node, pool):
            return Step(f"waiting until {name} has replaced what was ready before", tested=True)
        return Step(f"{name} runs {image}", done=True, tested=True)

    def _prove(self, new: NodeView, old_name: str) -> Step:
        try:
            return self._selftest(new.name, "")
        except NodeFailedError as failed:
            raise NodeFailedError(new.name, f"{failed.reason}; {old_name} is as it was") from failed

    def _selftest(self, name: str, pool: str) -> Step:
        outcome = self._upkeep.selftest(name, pool)
        if not outcome.passed:
            raise NodeFailedError(name, f"its selftest failed: {outcome.message}")
        return Step(f"{name}: its selftest passed", tested=True)

    def _history(self, name: str) -> list[Event]:
        return self._journal.events(limit=HISTORY_LINES, node=name)

    def _nodes(self) -> dict[str, NodeView]:
        nodes, board = self._control.nodes()
        board, now = self._live.all(nodes, board), self._clock()
        return {name: view_of_node(node, board.of(name), now) for name, node in nodes.items()}


def _wait_until_warm(new: NodeView, old_name: str) -> Step:
    if problem := stuck(new):
        raise NodeFailedError(new.name, f"does not become warm: {problem}; {old_name} is as it was")
    return Step(f"waiting until {new.name} is warm: {new.available} of {new.capacity} ready")
