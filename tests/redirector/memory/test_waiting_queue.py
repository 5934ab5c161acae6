"""How often the waiting room is read: twice a second, and less often the longer it is."""

from __future__ import annotations

from typing import cast

import pytest

from redirector.memory.waiting_queue import WaitingQueue
from redirector.model.waiting_room import Queue, queue_of
from redirector.store.tickets import Tickets


class CountedTickets:
    """A queue of some length, and how often it was read."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.reads = 0
        self.saws: list[dict[str, float]] = []

    def queue(self) -> Queue:
        self.reads += 1
        return queue_of([("default", f"{number:030}") for number in range(self.length)], {})

    def saw(self, intervals: dict[str, float]) -> None:
        self.saws.append(intervals)

    def sweep(self) -> None: ...


@pytest.mark.parametrize(("length", "reads"), [(0, 24), (249, 24), (250, 12), (1000, 5), (100_000, 4)])
def test_a_long_queue_is_read_less_often(length: int, reads: int) -> None:
    tickets = CountedTickets(length)
    queue = WaitingQueue(cast("Tickets", tickets))
    for _ in range(24):
        queue.saw("t", 5.0)
        queue.sync()
    assert tickets.reads == reads
    assert len(tickets.saws) == 24  # who has asked lives on, however seldom the queue is read
    assert queue.queue.waiting("default") == length


def test_a_queue_that_was_forgotten_is_read_at_the_next_turn() -> None:
    tickets = CountedTickets(1000)
    queue = WaitingQueue(cast("Tickets", tickets))
    queue.sync()
    queue.forget()
    queue.sync()
    assert queue.queue.waiting("default") == 1000
