"""How many sandboxes, wrong tokens or places to wait one client may have: a token bucket for each address and each
IPv6 network, kept as its next due time in a table that the workers of a host share.

So the workers of one host hand out one allowance together, and no visitor costs a write. Each redirector host has a
table, and so an allowance, of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redirector.memory.bucket_table import BucketTable
from redirector.model.clients import ONE_WIDTH, Network, PlaceBound, Share, Width, shares_of

LONGEST_HOLD_SECONDS = 300.0
"""Who would have to wait longer than this for their turn is told to come back later."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one client address may have; wider IPv6 networks have a part of it that their width says."""

    burst: int
    """At once, after it has been quiet; 0: no limit."""
    per_minute: float
    """In the long run."""
    free: Sequence[Network] = ()
    """Addresses without limits."""
    widths: Sequence[Width] = ONE_WIDTH
    places: int = 0
    """In the waiting room; 0: no limit."""


class RateLimits:
    """Counts by client, for one purpose. Safe to use from several threads and processes."""

    def __init__(self, allowance: Allowance, table: BucketTable | None = None, purpose: str = "") -> None:
        """Limits of different purposes count apart, in one table."""
        self._allowance = allowance
        self._table = table or BucketTable()
        self._purpose = purpose

    def owed(self, address: str, now: float) -> float:
        """In how many seconds it would be its turn; counts nothing."""
        shares = self._shares(address)
        if not shares:
            return 0.0
        with self._table.locked():
            return max(self._turn(share, now)[0] for share in shares)

    def take(self, address: str, now: float) -> float | None:
        """Count one; in how many seconds it is its turn, 0 for at once, None for not in any bearable time.

        What is not to be had in bearable time is not counted.
        """
        shares = self._shares(address)
        if not shares:
            return 0.0
        with self._table.locked():
            turns = [(share, *self._turn(share, now)) for share in shares]
            turn = max(turn for _, turn, _ in turns)
            if turn > LONGEST_HOLD_SECONDS:
                return None
            for share, _, full_again in turns:
                self._table.put(self._key(share), full_again)
        return turn

    def give_back(self, address: str) -> None:
        """Count one less: what was taken came to nothing."""
        with self._table.locked():
            for share in self._shares(address):
                key = self._key(share)
                self._table.put(key, self._table.due(key) - self._apart(share))

    def places(self, address: str) -> list[PlaceBound]:
        """The bounds on places in the waiting room that this address comes under, the narrowest first."""
        most = self._allowance.places
        shares = shares_of(address, self._allowance.free, self._allowance.widths) if most else ()
        return [PlaceBound(share.key, _part(most, share)) for share in shares]

    def _shares(self, address: str) -> tuple[Share, ...]:
        return shares_of(address, self._allowance.free, self._allowance.widths) if self._allowance.burst else ()

    def _turn(self, share: Share, now: float) -> tuple[float, float]:
        """The seconds until then, and when its bucket would be full again afterwards."""
        apart = self._apart(share)
        full_again = max(now, self._table.due(self._key(share))) + apart
        return max(0.0, full_again - now - _part(self._allowance.burst, share) * apart), full_again

    def _apart(self, share: Share) -> float:
        return 6000.0 / (self._allowance.per_minute * share.percent)

    def _key(self, share: Share) -> str:
        return f"{self._purpose} {share.key}"


def _part(whole: int, share: Share) -> int:
    return max(1, whole * share.percent // 100)
