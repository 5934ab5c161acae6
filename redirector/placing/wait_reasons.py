"""What is told to somebody in the waiting room: why they wait, and when to ask again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from redirector.memory.fleet_state import PoolState
from redirector.model.outcomes import DenialReason
from redirector.model.waiting_room import FRONT, SLOWEST_SECONDS, QueuePlace, ask_again_seconds
from redirector.placing.outcomes import AdmissionRequest, Refused


def wait_reason(pool: PoolState, place: QueuePlace, refused: Refused | None) -> DenialReason:
    """Why somebody at that place waits whose turn by their client's limits it is."""
    ranking = pool.ranking
    if (refused is not None and refused.reason is DenialReason.TROUBLE) or not (ranking.first or ranking.last):
        return DenialReason.TROUBLE
    soon = place.ahead < sum(ranking.coming.values()) + sum(slots_in_order(pool))
    return DenialReason.STARTING if soon else DenialReason.FULL


def is_far_back(pool: PoolState, ahead: int) -> bool:
    """Whether somebody with so many before them is far enough from the front to be told so without the database."""
    return ahead >= sum(slots_in_order(pool)) + FRONT


def ask_seconds(request: AdmissionRequest, place: QueuePlace | None, *, throttled: bool = False) -> float:
    """In how many seconds somebody is to ask again. Of whom nothing was read yet that may be long."""
    seconds = SLOWEST_SECONDS if place is None or throttled else ask_again_seconds(place.ahead)
    return max(seconds, request.interval)


def slots_in_order(pool: PoolState) -> Iterator[int]:
    """Free slots, node by node."""
    return (pool.free_slots.free.get(name, 0) for name in chain(pool.ranking.first, pool.ranking.last))
