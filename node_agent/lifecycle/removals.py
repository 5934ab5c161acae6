"""Sandboxes that are out of use and cannot be removed: when to try again, and what is said of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 120.0
LINE_PAUSE_SECONDS = 600.0
"""The longest pause between two log lines, which grows from the first one's as well."""
ALARM_SECONDS = 180.0
"""After so long it is a problem of the node. A busy disk takes a minute."""
NAMED = 3
"""How many sandboxes a line names."""


@dataclass(frozen=True, slots=True)
class _Failed:
    since: float
    pause: float
    again_at: float
    reason: str


class Removals:
    """Remembers what could not be removed; safe to use from several threads. All times are the caller's."""

    def __init__(self) -> None:
        self._failed: dict[str, _Failed] = {}
        self._line_pause = FIRST_PAUSE_SECONDS
        self._line_at = 0.0
        self._lock = threading.Lock()

    def failed(self, name: str, reason: str, now: float) -> None:
        """Note that a sandbox could not be removed; the pause before the next try doubles each time."""
        with self._lock:
            before = self._failed.get(name)
            pause = min(2 * before.pause, LONGEST_PAUSE_SECONDS) if before else FIRST_PAUSE_SECONDS
            self._failed[name] = _Failed(before.since if before else now, pause, now + pause, reason)

    def done(self, name: str) -> None:
        """Note that a sandbox is gone."""
        with self._lock:
            self._failed.pop(name, None)
            if not self._failed:
                self._line_pause, self._line_at = FIRST_PAUSE_SECONDS, 0.0

    def due(self, name: str, now: float) -> bool:
        """Whether to try to remove a sandbox now."""
        with self._lock:
            failed = self._failed.get(name)
            return failed is None or now >= failed.again_at

    def line(self, now: float) -> str:
        """What to log now; empty most of the time, since the pauses between two lines grow."""
        with self._lock:
            if not self._failed or now < self._line_at:
                return ""
            self._line_at = now + self._line_pause
            self._line_pause = min(4 * self._line_pause, LINE_PAUSE_SECONDS)
            return self._sentence(now)

    def problem(self, now: float) -> str:
        """What operators are to know; empty unless something has been in the way for minutes."""
        with self._lock:
            if not self._failed or now - min(failed.since for failed in self._failed.values()) < ALARM_SECONDS:
                return ""
            return self._sentence(now)

    def _sentence(self, now: float) -> str:
        first = min(self._failed.values(), key=lambda failed: failed.since)
        names = sorted(self._failed)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        what = f"{len(names)} sandbox{'es' if len(names) > 1 else ''} ({', '.join(names[:NAMED])}{more})"
        return f"{what} cannot be removed, for {now - first.since:.0f} s, so that slots stay taken: {first.reason}"
