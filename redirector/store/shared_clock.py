"""The time as all redirector hosts count it, whatever their own clocks say: the database's."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import select

from redirector.store.database import Database

SLOWEST_SECONDS = 0.5
"""An answer that took longer tells too little about when it was given."""


class SharedClock:
    """Seconds since 1970, by the database's clock as it was last read.

    In between, and while the database is away, it goes on by a clock that only runs forward: a host whose own clock is
    minutes off, or is set, neither takes the others' news for old nor its own for new.
    """

    def __init__(
        self,
        database: Database,
        *,
        own: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own` counts until the database's has been read once."""
        self._database = database
        self._ticks = ticks
        self._ahead = own() - ticks()

    def __call__(self) -> float:
        """The time now."""
        return self._ticks() + self._ahead

    def adjust(self) -> None:
        """Read the database's clock.

        Raises:
            DatabaseAwayError: it cannot be read.
        """
        before = self._ticks()
        with self._database.reading() as connection:
            # SQLite takes one time for a whole statement, and so would we.
            now = float(connection.execute(select(self._database.clock)).scalar_one())
        after = self._ticks()
        if after - before <= SLOWEST_SECONDS:
            self._ahead = now - (before + after) / 2
