"""What a worker has to tell the others, collected in memory so that no visitor waits for the database."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Lock

from redirector.model.events import Event, Sighting

KEPT = 1000
"""Events and sightings that wait while the database is away; beyond it the oldest go."""


@dataclass(slots=True)
class Batch:
    """What is written together."""

    events: list[Event] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sightings: list[Sighting] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.counts or self.sightings)


class Reports:
    """Collects from any thread; one thread takes and writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._sightings: dict[tuple[str, bool], Sighting] = {}
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

    def sighting(self, sighting: Sighting, *, urgent: bool = False) -> None:
        """What a claim met at a node. A hundred visitors who met the same are one sighting."""
        with self._lock:
            self._sightings[sighting.node, sighting.proved] = sighting
            if urgent:
                self.urgent.set()

    def take(self) -> Batch:
        """Everything collected so far; it is no longer here then."""
        with self._lock:
            batch = Batch(list(self._events), self._counts, list(self._sightings.values()))
            self._events.clear()
            self._counts = Counter()
            self._sightings.clear()
            self.urgent.clear()
            return batch

    def put_back(self, batch: Batch) -> None:
        """A batch that could not be written. Its sightings are dropped: they would be stale."""
        with self._lock:
            self._events = deque([*batch.events, *self._events], maxlen=KEPT)
            self._counts.update(batch.counts)
