"""What a worker has to tell the others, collected in memory so that no visitor waits for the database."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Lock

from redirector.model.events import Event, PassiveCheck

KEPT = 1000
"""Events and passive checks that wait while the database is away; beyond it the oldest go."""


@dataclass(slots=True)
class OutboxBatch:
    """What is written together."""

    events: list[Event] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    passive_checks: list[PassiveCheck] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.counts or self.passive_checks)


class Outbox:
    """Collects from any thread; one thread takes and writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._passive_checks: dict[tuple[str, bool], PassiveCheck] = {}
        self.urgent = Flag()
        """Set while something is here that should not wait for the next turn."""

    def event(self, event: Event) -> None:
        """Something people may want to read about."""
        with self._lock:
            self._events.append(event)

    def count(self, **counts: int) -> None:
        """Something to be counted."""
        with self._lock:
            self._counts.update(counts)

    def passive_check(self, passive_check: PassiveCheck, *, urgent: bool = False) -> None:
        """What a claim met at a node. A hundred visitors who met the same are one passive check."""
        with self._lock:
            self._passive_checks[passive_check.node, passive_check.passed] = passive_check
            if urgent:
                self.urgent.set()

    def take(self) -> OutboxBatch:
        """Everything collected so far; it is no longer here then."""
        with self._lock:
            batch = OutboxBatch(list(self._events), self._counts, list(self._passive_checks.values()))
            self._events.clear()
            self._counts = Counter()
            self._passive_checks.clear()
            self.urgent.clear()
            return batch

    def put_back(self, batch: OutboxBatch) -> None:
        """A batch that could not be written. Its passive checks are dropped: they would be stale."""
        with self._lock:
            self._events = deque([*batch.events, *self._events], maxlen=KEPT)
            self._counts.update(batch.counts)
