"""A database that hung once is tried by one caller at a time, so that nobody else waits for it in vain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from redirector.errors import DatabaseAwayError

HUNG_SECONDS = 1.0
"""A failure that took longer than this was waited for: a database that is merely stopped fails at once."""


class HangGuard:
    """Remembers whether the last failure was a hang. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hung = False
        self._words = ""
        self._trying = Lock()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """For one use of the database, whose errors are translated within.

        Raises:
            DatabaseAwayError: the database hangs, and another caller finds out at this moment whether it still does.
        """
        hung = self._hung
        if hung and not self._trying.acquire(blocking=False):
            raise DatabaseAwayError(self._words)
        began = self._clock()
        try:
            yield
            self._hung = False
        except DatabaseAwayError as error:
            self._words = str(error)
            self._hung = self._clock() - began >= HUNG_SECONDS
            raise
        finally:
            if hung:
                self._trying.release()
