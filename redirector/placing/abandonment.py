"""Tell nodes of the claims for which nobody waits any more, so that no slot is held for them.

A claim that timed out here may still be carried out there, long after the visitor got a sandbox elsewhere. The node
takes that back, or refuses the claim if it arrives after this news.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition
from threading import Event as Flag
from typing import Protocol

from redirector.memory.fleet_state import FleetState
from redirector.model.nodes import Failure, Node
from tmpnb_common.claims import ATTEMPTS_AT_ONCE

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 8.0
"""A node that does not answer is told again after this, doubled each time up to the longer one."""

KEPT_SECONDS = 300.0
"""By then the node has ended by itself what nobody came into."""

KEPT_ATTEMPTS = 1000
"""Of one node. Beyond it the oldest go."""


class AbandonClient(Protocol):
    """Who speaks to nodes."""

    def abandon(self, node: Node, attempts: Sequence[str]) -> Failure | None:
        """Give up at most `ATTEMPTS_AT_ONCE` claims at one node."""
        ...


@dataclass(slots=True)
class _Untold:
    """What one node has not heard yet."""

    attempts: dict[str, float] = field(default_factory=dict)
    """When each was given up."""
    due_at: float = 0.0
    pause: float = FIRST_RETRY_SECONDS


class Abandonment:
    """Collects from any thread; one thread tells the nodes. Nothing of it outlives the worker."""

    def __init__(self, *, fleet_state: FleetState, client: AbandonClient, clock: Callable[[], float]) -> None:
        """`clock` only runs forward."""
        self._fleet_state = fleet_state
        self._client = client
        self._clock = clock
        self._news = Condition()
        self._untold: dict[str, _Untold] = {}

    def give_up(self, node: str, attempt: str) -> None:
        """Nobody waits any more for what this attempt may get at that node."""
        with self._news:
            untold = self._untold.setdefault(node, _Untold())
            untold.attempts[attempt] = self._clock()
            for oldest in list(untold.attempts)[:-KEPT_ATTEMPTS]:
                del untold.attempts[oldest]
            self._news.notify()

    def run(self, stop: Flag) -> None:
        """Tell nodes until stopped."""
        while not stop.is_set():
            self.tick()
            with self._news:
                self._news.wait(min(self._wait_seconds(), FIRST_RETRY_SECONDS))

    def tick(self) -> None:
        """Tell each node that is due, once."""
        now = self._clock()
        with self._news:
            due = [name for name, untold in self._untold.items() if untold.due_at <= now]
        for name in due:
            self._tell(name)

    def _tell(self, name: str) -> None:
        node = self._fleet_state.nodes.get(name)
        with self._news:
            untold = self._untold[name]
            oldest = self._clock() - KEPT_SECONDS
            untold.attempts = {attempt: at for attempt, at in untold.attempts.items() if at > oldest}
            attempts = list(untold.attempts)[:ATTEMPTS_AT_ONCE]
        failed = node is not None and attempts and self._client.abandon(node, attempts) is not None
        with self._news:
            if failed:
                untold.due_at = self._clock() + untold.pause
                untold.pause = min(2 * untold.pause, LONGEST_RETRY_SECONDS)
                return
            untold.due_at, untold.pause = 0.0, FIRST_RETRY_SECONDS
            for attempt in attempts if node is not None else list(untold.attempts):
                untold.attempts.pop(attempt, None)
            if not untold.attempts:
                del self._untold[name]

    def _wait_seconds(self) -> float:
        """How long nobody is due; without anybody, for ever."""
        now = self._clock()
        return min((max(0.0, untold.due_at - now) for untold in self._untold.values()), default=float("inf"))
