"""One `tmpnb up` per state directory, by a lock that ends with its process however that ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

from redirector.local_fleet.errors import NotStartedError
from redirector.local_fleet.stop_request import StopRequest
from tmpnb_common.file_lock import try_lock

BEAT_SECONDS = 0.1
STOPPING_SOON_BEATS = 15
"""The other one may be about to notice that it shall stop."""
STOPPING_BEATS = 900


class StateLock:
    """Held from `take` until the process ends. The file stays: removing it could part two holders."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self, stop: StopRequest) -> None:
        """Become the only one; wait for another one only if it is stopping.

        Raises:
            NotStartedError: another one runs from this state directory.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for beat in range(STOPPING_BEATS):
            if try_lock(descriptor):
                self._descriptor = descriptor
                self._note(stopping=False)
                return
            if beat >= STOPPING_SOON_BEATS and not self._other_is_stopping():
                break
            stop.pause(BEAT_SECONDS)
        os.close(descriptor)
        raise NotStartedError(
            f"a fleet runs from {self._path.parent} already{self._other()}; stop it, or name another place with --state"
        )

    def say_stopping(self) -> None:
        """Tell whoever waits for the lock that it is worth it."""
        self._note(stopping=True)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _note(self, *, stopping: bool) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "stopping": stopping}).encode(), 0)

    def _other_note(self) -> dict[str, object]:
        try:
            note = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _other_is_stopping(self) -> bool:
        return self._other_note().get("stopping") is True

    def _other(self) -> str:
        pid = self._other_note().get("pid")
        return f" (pid {pid})" if isinstance(pid, int) else ""
