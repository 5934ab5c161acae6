"""Why somebody in the waiting room waits, as their page says it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from redirector.memory.fleet_state import PoolState
from redirector.model.outcomes import DenialReason
from redirector.model.waiting_room import QueuePlace
from redirector.placing.outcomes import Refused


def wait_reason(pool: PoolState, place: QueuePlace, refused: Refused | None) -> DenialReason:
    """Why somebody at that place waits whose turn by their client's limits it is."""
    ranking = pool.ranking
    if (refused is not None and refused.reason is DenialReason.TROUBLE) or not (ranking.first or ranking.last):
        return DenialReason.TROUBLE
    soon = place.ahead < sum(ranking.coming.values()) + sum(_slots(pool))
    return DenialReason.STARTING if soon else DenialReason.FULL


def _slots(pool: PoolState) -> Iterator[int]:
    """Free slots, node by node."""
    return (pool.free_slots.free.get(name, 0) for name in chain(pool.ranking.first, pool.ranking.last))
