"""What workers collect for the others, and that none of it is lost while the database is away."""

from __future__ import annotations

from redirector.memory.outbox import KEPT, Outbox
from redirector.model.events import Event, PassiveCheck


def test_a_batch_is_taken_once() -> None:
    outbox = Outbox()
    assert not outbox.take()
    outbox.event(Event(1.0, "drain", "n1"))
    outbox.count(placed=1)
    outbox.count(placed=1, tries=2)
    batch = outbox.take()
    assert batch
    assert batch.counts == {"placed": 2, "tries": 2}
    assert not outbox.take()


def test_a_hundred_visitors_who_met_the_same_are_one_passive_check() -> None:
    outbox = Outbox()
    for _ in range(100):
        outbox.passive_check(PassiveCheck("n1", passed=False, reason="late"))
    outbox.passive_check(PassiveCheck("n1", passed=True))
    assert len(outbox.take().passive_checks) == 2


def test_what_could_not_be_written_comes_before_what_happened_since() -> None:
    outbox = Outbox()
    outbox.event(Event(1.0, "first"))
    outbox.count(placed=1)
    outbox.passive_check(PassiveCheck("n1", passed=False))
    batch = outbox.take()
    outbox.event(Event(2.0, "second"))
    outbox.count(placed=1)
    outbox.put_back(batch)
    again = outbox.take()
    assert [event.kind for event in again.events] == ["first", "second"]
    assert again.counts == {"placed": 2}
    assert again.passive_checks == [], "they are stale by then"


def test_memory_is_bounded_while_the_database_is_away() -> None:
    outbox = Outbox()
    for number in range(2 * KEPT):
        outbox.event(Event(float(number), "drain"))
    assert len(outbox.take().events) == KEPT
