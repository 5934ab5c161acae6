"""A table of due times in memory that all workers of one host share: made before they are forked, locked by the kernel.

Invariant: a process that dies while it holds the lock leaves it to the others, and the table as it was but for one
entry. What is due already is forgotten without loss, since it says nothing any more; the table never grows.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from threading import Lock

SETS = 8192
WAYS = 16
"""Entries, in sets of so many: 131,072 of 24 bytes, 3 MB where all are in use. An entry is in use until it is due,
which is a second after a single visitor, so that a thousand visitors a second use one in a hundred."""

TAG_BYTES = 16
ENTRY = Struct(f"={TAG_BYTES}sd")
DUE = Struct("=d")


class BucketTable:
    """Due times by key. All are moments of `time.monotonic`, which is one clock for all processes of a host."""

    def __init__(self, sets: int = SETS, ways: int = WAYS) -> None:
        self._sets, self._bytes = sets, ways * ENTRY.size
        self._secret = secrets.token_bytes(16)
        """So that nobody can choose addresses that fall into the same set."""
        self._fd = os.memfd_create("tmpnb-buckets")
        weakref.finalize(self, os.close, self._fd)
        os.ftruncate(self._fd, sets * self._bytes)
        self._memory = mmap.mmap(self._fd, sets * self._bytes)
        self._threads = Lock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other threads and processes out."""
        with self._threads:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def due(self, key: str) -> float:
        """The due time of a key; 0 if it has none."""
        tag, start = self._place(key)
        at = self._find(tag, start)
        return 0.0 if at is None else float(DUE.unpack_from(self._memory, at + TAG_BYTES)[0])

    def put(self, key: str, due: float) -> None:
        """Set the due time of a key, in place of the earliest one where its set is full."""
        tag, start = self._place(key)
        at = self._find(tag, start)
        if at is None:
            dues = [due for _, due in ENTRY.iter_unpack(self._memory[start : start + self._bytes])]
            at = start + dues.index(min(dues)) * ENTRY.size
        ENTRY.pack_into(self._memory, at, tag, due)

    def _find(self, tag: bytes, start: int) -> int | None:
        """Where the entry with a tag is."""
        at = self._memory.find(tag, start, start + self._bytes)
        while at >= 0 and (at - start) % ENTRY.size:
            at = self._memory.find(tag, at + 1, start + self._bytes)
        return at if at >= 0 else None

    def _place(self, key: str) -> tuple[bytes, int]:
        """The tag of a key's entry, and where the set begins that it belongs to."""
        tag = hashlib.blake2b(key.encode(), digest_size=TAG_BYTES, key=self._secret).digest()
        return tag, int.from_bytes(tag[:4]) % self._sets * self._bytes
