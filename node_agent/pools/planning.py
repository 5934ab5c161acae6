"""How many sandboxes to start: plain numbers in and out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

UNLIMITED = 10**9

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 120.0
"""An image that was mended should serve again within two minutes without anybody's help."""


@dataclass(frozen=True, slots=True)
class Counts:
    """One pool's sandboxes by state."""

    ready: int = 0
    starting: int = 0
    claimed: int = 0
    ending: int = 0
    outdated: int = 0
    """Of the ready ones those of an image or a content that the pool has left."""

    @property
    def total(self) -> int:
        """All that take up the host's memory, those on their way out too."""
        return self.ready + self.starting + self.claimed + self.ending


@dataclass(frozen=True, slots=True)
class StartHealth:
    """How a pool's starts went lately."""

    failures: int = 0
    """In a row."""
    retry_at: float = 0.0

    @property
    def failing(self) -> bool:
        return self.failures > 0


def starts(
    counts: Counts,
    *,
    warm: int,
    capacity: int,
    free_workers: int,
    health: StartHealth,
    now: float,
    room: int = UNLIMITED,
) -> int:
    """How many sandboxes to start now, with `free_workers` free to do it and memory for `room` more.

    The capacity is exceeded by nothing but the successor of a `last_outdated` sandbox. An image that fails is tried one
    sandbox at a time, after a pause.
    """
    fresh = counts.ready - counts.outdated + counts.starting
    places = capacity - counts.total
    if places == 0 and last_outdated(counts):
        places = 1
    wanted = min(warm - fresh, places, free_workers, room)
    if health.failing:
        wanted = min(wanted, 1 - counts.starting) if now >= health.retry_at else 0
    return max(0, wanted)


def last_outdated(counts: Counts) -> bool:
    """Whether nothing but one ready sandbox of a former image stands between visitors and an empty pool.

    It may not end before its successor is ready, so that one starts beside it, even where the pool has no place left.
    What is `excess` then has to end before a visitor can have both.
    """
    return counts.ready == counts.outdated == 1 and counts.starting == 0


def startable(counts: Counts, *, capacity: int, health: StartHealth, room: int = UNLIMITED) -> int:
    """How many more could be started soon. None while the image fails: waiting for it would be in vain."""
    return 0 if health.failing else max(0, min(capacity - counts.total, room))


def excess(counts: Counts, *, warm: int, capacity: int) -> int:
    """How many ready sandboxes are beyond what is wanted. What is still starting crowds nothing out: it may fail."""
    return min(counts.ready, max(0, counts.ready - warm, counts.ready + counts.claimed - capacity))


def to_end(counts: Counts, *, warm: int, capacity: int, health: StartHealth, room: int = UNLIMITED) -> int:
    """How many ready sandboxes to end now: the excess, and those of a former image.

    The last ones of a former image go only as fresh ones come, a quarter of the pool at a time where there is no room
    beside them. So `available` never falls to 0 for the sake of another image.
    """
    if beyond := excess(counts, warm=warm, capacity=capacity):
        return beyond
    no_room = min(capacity - counts.total, room) <= 0
    if counts.outdated and no_room and not health.failing:
        few = max(1, warm // 4) - counts.starting - counts.ending
        return max(0, min(counts.outdated, few, counts.ready - 1))
    return 0


def room_for(in_use: Iterable[int], *, memory: int, reserve: int) -> int:
    """How many more sandboxes the memory that is theirs holds. Each is counted with its reserve at least."""
    committed = sum(max(used, reserve) for used in in_use)
    return max(0, (memory - committed) // reserve)


def after_failure(health: StartHealth, *, now: float, jitter: float) -> StartHealth:
    """Double the pause with every failure in a row. `jitter`, from 0 to 1, keeps nodes from trying in step."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(health.failures, 30), LONGEST_PAUSE_SECONDS)
    return StartHealth(failures=health.failures + 1, retry_at=now + pause * (1 + jitter / 4))
