"""The clock by which ages count: it reads like the host's when the agent starts, and from then on only runs forward.

A host's clock may be set at any time, by hours too; whatever is `idle` or `max_age` by it would end every session at
once, without a warning, or none at all. This one counts the time that the host has been running, sleep not included, as
all its processes do. What is kept in that count therefore means the same to the next agent.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """Calling it gives seconds since 1970, as the host's clock had them when this one was made."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at_boot = wall() - monotonic()

    def __call__(self) -> float:
        return self._at_boot + self._monotonic()

    def since_boot(self) -> float:
        """Seconds that the host has been running."""
        return self._monotonic()

    def read(self, since_boot: float) -> float:
        """What this clock read, or would have, that long after the boot.

        What lies after now is not from this count but a time since 1970: it was kept by someone else.
        """
        return self._at_boot + since_boot if since_boot <= self._monotonic() else min(since_boot, self())
