"""What operators decided about this node: whether it takes visitors. Durable; the node never decides it by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from node_agent import files
from node_agent.errors import HostError, StaleGeneration
from tmpnb_common.wire import NodeState

STATES: tuple[NodeState, ...] = ("active", "draining")


@dataclass(frozen=True, slots=True)
class Decision:
    """One side's last word."""

    state: NodeState = "active"
    reason: str = ""
    by: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Intent:
    """The host's own operator and the fleet each have a say; the node drains if either says so."""

    own: Decision = field(default_factory=Decision)
    fleet: Decision = field(default_factory=Decision)
    generation: int = 0
    """Of the fleet's decision. A lower one never replaces it."""

    @property
    def state(self) -> NodeState:
        return "draining" if "draining" in (self.own.state, self.fleet.state) else "active"


class IntentStore:
    """Keeps the intent in a file: written before it counts, so that what was acknowledged survives a power cut."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read the intent that the file holds.

        Raises:
            HostError: the file is damaged. A node that forgot that it was drained would take visitors again.
        """
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._intent = _parse(path, files.read_json(path))

    @property
    def current(self) -> Intent:
        return self._intent

    @property
    def draining(self) -> bool:
        return self._intent.state == "draining"

    def decide_own(self, state: NodeState, reason: str, by: str) -> Intent:
        with self._lock:
            decision = Decision(state, reason, by, self._clock())
            return self._keep(Intent(decision, self._intent.fleet, self._intent.generation))

    def decide_fleet(self, state: NodeState, generation: int, reason: str, by: str) -> Intent:
        """Take the fleet's decision, unless a newer one is held.

        Raises:
            StaleGeneration: it is.
        """
        with self._lock:
            if generation < self._intent.generation:
                raise StaleGeneration(self._intent.generation)
            decision = Decision(state, reason, by, self._clock())
            return self._keep(Intent(self._intent.own, decision, generation))

    def _keep(self, intent: Intent) -> Intent:
        files.write_json(self._path, asdict(intent))
        self._intent = intent
        return intent


def _parse(path: Path, raw: dict[str, Any] | None) -> Intent:
    if raw is None:
        return Intent()
    try:
        own, fleet = (_decision(raw[side]) for side in ("own", "fleet"))
        return Intent(own, fleet, int(raw["generation"]))
    except (KeyError, TypeError, ValueError) as error:
        raise HostError(f"{path} does not hold an intent ({error!r}). Mend or remove it.") from error


def _decision(raw: dict[str, Any]) -> Decision:
    if raw["state"] not in STATES:
        raise ValueError(f"state {raw['state']!r:.40}")
    return Decision(raw["state"], str(raw["reason"]), str(raw["by"]), float(raw["at"]))
