"""What operators say to the pages of all sandboxes here, such as "we stop at 18:00". Durable, and it ends by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from node_agent import files
from node_agent.errors import HostError

log = logging.getLogger("membership")

TEXT_LIMIT = 300
"""Characters: a notice at the edge of a page, not a letter."""

LONGEST_SECONDS = 7 * 86400


@dataclass(frozen=True, slots=True)
class Announcement:
    """One text for everybody, until a time in seconds since 1970."""

    text: str = ""
    until: float = 0.0


class AnnouncementStore:
    """Keeps the announcement in a file, so that an agent that restarts goes on saying it."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._announcement = _read(path)

    @property
    def current(self) -> Announcement:
        """What is said now; an empty one once its time is over."""
        announcement = self._announcement
        return announcement if announcement.text and self._clock() < announcement.until else Announcement()

    def put(self, text: str, seconds: float) -> Announcement:
        """Say `text` for so long; an empty one ends what was said.

        Raises:
            HostError: the disk did not take it. What was said before goes on.
        """
        with self._lock:
            announcement = Announcement(text, self._clock() + seconds) if text else Announcement()
            files.write_json(self._path, asdict(announcement))
            self._announcement = announcement
            return announcement


def _read(path: Path) -> Announcement:
    """What the file holds. A damaged one is no reason to stop a node: nothing is said then, and the log says why."""
    try:
        raw = files.read_json(path) or {}
        text, until = raw.get("text", ""), raw.get("until", 0.0)
        if isinstance(text, str) and isinstance(until, int | float):
            return Announcement(text[:TEXT_LIMIT], float(until))
        log.warning("%s holds no announcement", path)
    except HostError as error:
        log.warning("%s", error)
    return Announcement()
