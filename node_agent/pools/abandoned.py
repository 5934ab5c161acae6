"""The claims for which nobody waits any more, remembered for those that arrive after they were given up."""

from __future__ import annotations

from collections.abc import Iterable

KEPT = 10_000
"""Attempts that are remembered: hours of a fleet with a hung node, in a megabyte. Beyond it the oldest go."""


class Abandoned:
    """A set that forgets its oldest members. It has no lock: `SandboxClaims` holds the table's around every call."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._attempts: dict[str, None] = {}

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._attempts

    def add(self, attempts: Iterable[str]) -> None:
        """Remember attempts that were given up."""
        self._attempts.update(dict.fromkeys(attempts))
        for oldest in list(self._attempts)[: -self._kept]:
            del self._attempts[oldest]
