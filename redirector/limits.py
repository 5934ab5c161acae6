"""How many sandboxes, or wrong tokens, one client may have: a token bucket for each address, kept as its next due time.

Each worker counts for itself and hands out its part of the allowance, so that no visitor costs a write. The operator's
own networks are not counted, nor is a proxy in front that was not told of, as long as its address is private.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Lock

Network = IPv4Network | IPv6Network

LONGEST_HOLD_SECONDS = 300.0
"""Who would have to wait longer than this for their turn is told to come back later."""

IPV6_PREFIX_BITS = 64
"""One home or classroom has at least that much: counting single addresses would count nothing."""

KEPT = 50_000
"""Addresses, before those with nothing against them are forgotten: a few MB."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one client address may have."""

    burst: int
    """At once, after it has been quiet; 0: no limit."""
    per_minute: float
    """In the long run."""
    free: Sequence[Network] = ()
    """Addresses without limits."""

    def part(self, workers: int) -> Allowance:
        """What each of so many workers may hand out of it."""
        return Allowance(-(-self.burst // workers), self.per_minute / workers, self.free)


class Limits:
    """Counts by address. Safe to use from several threads."""

    def __init__(self, allowance: Allowance, kept: int = KEPT) -> None:
        self._allowance = allowance
        self._sweep_at = self._kept = kept
        self._lock = Lock()
        self._due: dict[str, float] = {}
        """By client, the moment at which its bucket is full again."""

    def owed(self, address: str, now: float) -> float:
        """In how many seconds it would be its turn; counts nothing."""
        client = client_of(address, self._allowance.free) if self._allowance.burst else None
        return 0.0 if client is None else self._turn(client, now)[0]

    def take(self, address: str, now: float) -> float | None:
        """Count one; in how many seconds it is its turn, 0 for at once, None for not in any bearable time.

        What is not to be had in bearable time is not counted.
        """
        client = client_of(address, self._allowance.free) if self._allowance.burst else None
        if client is None:
            return 0.0
        with self._lock:
            if len(self._due) >= self._sweep_at:
                self._due = {known: due for known, due in self._due.items() if due > now}
                # Where few could be forgotten, not at every visitor again.
                self._sweep_at = max(self._kept, 2 * len(self._due))
            turn, full_again = self._turn(client, now)
            if turn > LONGEST_HOLD_SECONDS:
                return None
            self._due[client] = full_again
            return turn

    def _turn(self, client: str, now: float) -> tuple[float, float]:
        """The seconds until then, and when its bucket would be full again afterwards."""
        apart = 60.0 / self._allowance.per_minute
        full_again = max(now, self._due.get(client, now)) + apart
        return max(0.0, full_again - now - self._allowance.burst * apart), full_again


def client_of(address: str, free: Sequence[Network]) -> str | None:
    """What an address is counted under; None if it is not counted, as one that is no IP address: a socket's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    ip: IPv4Address | IPv6Address = mapped or parsed
    if any(ip in network for network in free):
        return None
    if isinstance(ip, IPv6Address):
        return str(IPv6Network((ip, IPV6_PREFIX_BITS), strict=False))
    return str(ip)
