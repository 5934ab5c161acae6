"""What one fetch may take: seconds, bytes on the disk, and the worker's own life."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag

from redirector.worker.errors import FetchError, NoRoomError, StoppedError

LEAST_FREE_BYTES = 2**30
LEAST_FREE_PART = 10
"""Of the disk that holds database and blobs: below 1 GiB or a tenth of it nothing is fetched, so that the database, and
whatever else lives there, goes on."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The limits of one fetch, which begins when this is made."""

    seconds: float
    disk_bytes: int
    stop: Flag = field(default_factory=Flag)
    began: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        """The seconds that are left.

        Raises:
            FetchError: none are.
            StoppedError: the worker ends.
        """
        if self.stop.is_set():
            raise StoppedError
        left = self.began + self.seconds - time.monotonic()
        if left <= 0:
            raise FetchError(f"it was not fetched within {self.seconds:g} s")
        return left

    def check_disk(self, directory: Path) -> None:
        """See that a directory has not outgrown its bound.

        Raises:
            FetchError: it has.
            NoRoomError: the disk below it is nearly full.
        """
        if disk_use(directory) > self.disk_bytes:
            raise FetchError(f"fetching it takes more than {self.disk_bytes} bytes of disk")
        check_free(directory)


def disk_use(directory: Path) -> int:
    """The bytes of all files below a directory. Those that vanish meanwhile do not count."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def check_free(directory: Path, size: int = 0) -> None:
    """See that a disk stays free enough once so many bytes more are on it.

    Raises:
        NoRoomError: it does not.
    """
    usage = shutil.disk_usage(directory)
    least = max(LEAST_FREE_BYTES, usage.total // LEAST_FREE_PART)
    if usage.free - size < least:
        raise NoRoomError(
            f"the redirector's disk has {usage.free >> 20} MiB free, and blobs leave {least >> 20} MiB of it alone"
        )
