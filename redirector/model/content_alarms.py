"""What is wrong with contents and with the workers that fetch them, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from redirector.model.content import Content

ALIVE_SECONDS = 20.0
"""A worker that said nothing for so long is not there. It reports every five seconds."""

LATE_SECONDS = 60.0
"""A fetch that was asked for so long ago and not made is late, whoever may be at work on it."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One host's worker."""

    host: str
    at: float
    """When it last reported, by the database's clock."""
    problem: str = ""
    """What keeps it from working; empty: nothing does."""


def content_alarms(contents: Collection[Content], workers: Collection[WorkerReport], now: float) -> Iterator[str]:
    """What an operator should look at. Of what links asked for by itself nothing is said: that is its author's."""
    named = [content for content in contents if content.named]
    alive = [worker for worker in workers if now - worker.at < ALIVE_SECONDS]
    for worker in alive:
        if worker.problem:
            yield f"the worker on {worker.host}: {worker.problem}"
    if named and not alive:
        yield "no worker runs, so no content is fetched or sent to nodes (TMPNB_CONTENT_WORKER, tmpnb worker)"
    for content in named:
        if content.problem:
            minutes = max(0.0, now - content.problem_since) / 60
            still = "the last good one is served" if content.digest else "its link opens nothing"
            yield f"content {content.name} is not fetched for {minutes:.0f} min: {content.problem}; {still}"
        elif not content.digest and now - content.added_at > LATE_SECONDS and alive:
            yield f"content {content.name} was not fetched yet"
