"""The leases under which a worker fetches and pushes, kept while it is at work, however long that takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from threading import Lock

from redirector.errors import DatabaseAwayError
from redirector.store.leases import LEASE_SECONDS, Leases

log = logging.getLogger("worker")

RENEWAL_SECONDS = LEASE_SECONDS / 3


class HeldLeases:
    """Takes leases, renews them from a thread of its own, and gives them back. Safe to use from several threads."""

    def __init__(self, leases: Leases, holder: str) -> None:
        self._leases = leases
        self._holder = holder
        self._names: set[str] = set()
        self._lock = Lock()

    @contextmanager
    def holding(self, name: str) -> Iterator[bool]:
        """Hold a lease within this context; False: another worker does.

        Raises:
            DatabaseAwayError: nobody can tell.
        """
        if not self._leases.hold(self._holder, name):
            yield False
            return
        with self._lock:
            self._names.add(name)
        try:
            yield True
        finally:
            with self._lock:
                self._names.discard(name)
            with suppress(DatabaseAwayError):  # it expires by itself
                self._leases.release(self._holder, name)

    def renew(self) -> None:
        """Renew what is held. What another worker took while this one was asleep is done twice, and harms nobody:
        blobs are named by their hashes.
        """
        with self._lock:
            names = sorted(self._names)
        for name in names:
            if not self._leases.hold(self._holder, name):
                log.warning("another worker has taken over lease=%s", name)

    def run(self, stop: Flag) -> None:
        """Renew until stopped."""
        while not stop.wait(RENEWAL_SECONDS):
            with suppress(DatabaseAwayError):
                self.renew()
