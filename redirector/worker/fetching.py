"""Which contents are due, and what becomes of their fetches: the last good commit serves on whatever fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from redirector.model.content import Content
from redirector.model.events import Event
from redirector.model.sources import parse_source
from redirector.store.contents import Contents
from redirector.store.leases import content_lease
from redirector.worker.content_fetcher import ContentFetcher
from redirector.worker.errors import StoppedError, WorkerError
from redirector.worker.held_leases import HeldLeases

log = logging.getLogger("worker")

UNNAMED_FACTOR = 12
"""What a link asked for is looked at this many times more seldom than what an operator named."""

FIRST_PAUSE_SECONDS = 5.0
"""After a first failure; each further one doubles it, up to the regular check."""

WORKER = "worker"
"""Who did it, in the history."""


class Fetching:
    """Fetches what is due. Safe to use from several threads."""

    def __init__(
        self,
        *,
        contents: Contents,
        fetcher: ContentFetcher,
        leases: HeldLeases,
        clock: Callable[[], float],
        check_seconds: float,
        keep_room: Callable[[], None],
    ) -> None:
        """`clock` is the database's; `keep_room` removes blobs that are in nobody's use before another one comes."""
        self._contents = contents
        self._fetcher = fetcher
        self._leases = leases
        self._clock = clock
        self._check_seconds = check_seconds
        self._keep_room = keep_room
        self._failures: dict[str, int] = {}

    def due(self, contents: Mapping[str, Content]) -> list[Content]:
        """Those to fetch now, the ones that somebody asked for first, in the order of asking."""
        now = self._clock()
        due = [content for content in contents.values() if self._is_due(content, now)]
        return sorted(due, key=lambda content: (not content.wanted_at, content.wanted_at, content.checked_at))

    def _is_due(self, content: Content, now: float) -> bool:
        if content.wanted_at:
            # One that fails is tried again with pauses, also where somebody waits for it.
            return content.checked_at < content.wanted_at or now - content.checked_at >= self._pause(content)
        if content.problem:
            return now - content.checked_at >= self._pause(content)
        if content.digest and parse_source(content.source).pinned:
            return False
        seconds = self._check_seconds * (1 if content.named else UNNAMED_FACTOR)
        return now - content.checked_at >= seconds

    def _pause(self, content: Content) -> float:
        failures = self._failures.get(content.name, 1)
        return min(self._check_seconds, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20))

    def fetch(self, content: Content) -> None:
        """Fetch one content, unless another worker does.

        Raises:
            DatabaseAwayError: what came of it cannot be written.
        """
        with self._leases.holding(content_lease(content.name)) as mine:
            # Another worker may have been faster since this row was read.
            current = self._contents.all().get(content.name) if mine else None
            if current is None or current.checked_at != content.checked_at:
                return
            try:
                self._keep_room()
                blob = self._fetcher.fetch(current)
            except StoppedError:
                return
            except WorkerError as error:
                self._failed(current, str(error))
            except Exception as error:  # a stranger's work: whatever it brings about is this content's trouble alone
                log.exception("content=%s: not foreseen", current.name)
                self._failed(current, f"it cannot be read ({type(error).__name__})")
            else:
                self._failures.pop(current.name, None)
                changed = blob.digest != current.digest
                event = self._event(current, "content_fetched", blob.commit[:12]) if changed and current.named else None
                self._contents.fetched(current, blob, event)
                if changed:
                    log.info("content=%s fetched digest=%s bytes=%d", current.name, blob.digest[:12], blob.size)

    def _failed(self, content: Content, problem: str) -> None:
        self._failures[content.name] = self._failures.get(content.name, 0) + 1
        new = problem != content.problem
        if new:
            log.warning("content=%s: %s", content.name, problem)
        event = self._event(content, "content_failed", problem) if new and content.named else None
        self._contents.failed(content, problem, event)

    def _event(self, content: Content, kind: str, words: str) -> Event:
        return Event(self._clock(), kind, by=WORKER, reason=f"{content.name}: {words}")
