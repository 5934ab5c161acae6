"""What workers collect for the others, and that none of it is lost while the database is away."""

from __future__ import annotations

from redirector.memory.outbox import KEPT, Reports
from redirector.model.events import Event, Sighting


def test_a_batch_is_taken_once() -> None:
    reports = Reports()
    assert not reports.take()
    reports.event(Event(1.0, "drain", "n1"))
    reports.count(placed=1)
    reports.count(placed=1, tries=2)
    batch = reports.take()
    assert batch
    assert batch.counts == {"placed": 2, "tries": 2}
    assert not reports.take()


def test_a_hundred_visitors_who_met_the_same_are_one_sighting() -> None:
    reports = Reports()
    for _ in range(100):
        reports.sighting(Sighting("n1", proved=False, reason="late"))
    reports.sighting(Sighting("n1", proved=True))
    assert len(reports.take().sightings) == 2


def test_what_could_not_be_written_comes_before_what_happened_since() -> None:
    reports = Reports()
    reports.event(Event(1.0, "first"))
    reports.count(placed=1)
    reports.sighting(Sighting("n1", proved=False))
    batch = reports.take()
    reports.event(Event(2.0, "second"))
    reports.count(placed=1)
    reports.put_back(batch)
    again = reports.take()
    assert [event.kind for event in again.events] == ["first", "second"]
    assert again.counts == {"placed": 2}
    assert again.sightings == [], "they are stale by then"


def test_memory_is_bounded_while_the_database_is_away() -> None:
    reports = Reports()
    for number in range(2 * KEPT):
        reports.event(Event(float(number), "drain"))
    assert len(reports.take().events) == KEPT
