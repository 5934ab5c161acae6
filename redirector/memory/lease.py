"""Whether this worker is the one of all that polls the nodes, as far as it knows."""

from __future__ import annotations

from threading import Event as Flag


class Lease:
    """Safe to use from several threads: one renews it, the other finds out when it publishes that it is gone."""

    def __init__(self) -> None:
        self._held = Flag()

    @property
    def held(self) -> bool:
        """Whether this worker holds the lease."""
        return self._held.is_set()

    def taken(self) -> bool:
        """Note that the lease is this worker's; whether that is news."""
        news = not self.held
        self._held.set()
        return news

    def lost(self) -> bool:
        """Note that the lease is another's, or nobody's; whether that is news."""
        news = self.held
        self._held.clear()
        return news
