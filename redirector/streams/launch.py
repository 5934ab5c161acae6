"""One launch as its client hears it: the phases of BinderHub's stream, as the text of server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from redirector.model.launch_events import FailedEvent, failed_text
from redirector.streams.entry_client import LaunchStep, UnansweredError
from redirector.streams.queue_news import QueueNews

HEARTBEAT_SECONDS = 25.0
"""Proxies on the way close a connection that is silent for 30 s or 60 s."""

HEARTBEAT = ": still here\n\n"

REPEAT_SECONDS = 10.0
"""A place in the queue is told again after so long, even if it has not changed."""

HOLD_SECONDS = 60.0
"""So long a stream stays open after the sandbox is ready, or the client closes it: one whose stream we close connects
again, and careless ones launch again.
"""

LAST_WORDS_SECONDS = 0.5
"""So long after the process was told to end a stream waits for its next event, which is its last chance."""

GIVE_UP_SECONDS = 60.0
"""So long the redirector may give no answer, as while it is upgraded, before the launch has failed."""

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.3, 3.0

RECONNECT_MILLISECONDS = 1000
"""When a browser connects again whose stream was cut."""

AWAY = FailedEvent("The service that places visitors does not answer; try again in a minute.\n", 503)


class StepSource(Protocol):
    """Who knows how launches go on."""

    async def launch(self, spec: str, identity: str, headers: Mapping[str, str]) -> LaunchStep:
        """The next step of a launch."""
        ...


@dataclass(frozen=True, slots=True)
class _Phase:
    phase: Literal["waiting", "fetching", "launching", "ready", "failed"]


@dataclass(slots=True)
class LaunchStream:
    """One client's launch; `identity` is what they know of an earlier stream of it (Last-Event-ID)."""

    spec: str
    identity: str
    headers: Mapping[str, str]
    _told: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    """By phase, what was last said, and when."""

    async def events(
        self, entry: StepSource, news: QueueNews, clock: Callable[[], float] = time.monotonic
    ) -> AsyncGenerator[str]:
        """The stream's text, piece by piece, from the first phase to the last; it ends with the last."""
        while True:
            step = await self._next_step(entry, clock)
            self.identity = step.id
            for event in step.events:
                if text := self._new(event, clock()):
                    yield text
            if step.ask_seconds is None:
                await asyncio.sleep(HOLD_SECONDS if "ready" in self._told else 0)
                return
            while step.far_back and (told := await news.next(step.id)) is not None:
                if text := self._new(told, clock()):
                    yield text
            await asyncio.sleep(0 if step.far_back else step.ask_seconds)

    async def _next_step(self, entry: StepSource, clock: Callable[[], float]) -> LaunchStep:
        give_up_at, pause = clock() + GIVE_UP_SECONDS, FIRST_RETRY_SECONDS
        while True:
            try:
                return await entry.launch(self.spec, self.identity, self.headers)
            except UnansweredError:
                if clock() > give_up_at:
                    return LaunchStep([msgspec.Raw(msgspec.json.encode(AWAY))])
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    def _new(self, event: msgspec.Raw, now: float) -> str:
        """An event's text; empty if the client has heard it already."""
        text, phase = bytes(event), msgspec.json.decode(event, type=_Phase).phase
        said, said_at = self._told.get(phase, (b"", 0.0))
        repeated = phase == "waiting" and now - said_at >= REPEAT_SECONDS
        if said and not repeated and (said == text or phase == "launching"):
            return ""
        self._told[phase] = (text, now)
        if phase == "failed":
            return failed_text(msgspec.json.decode(event, type=FailedEvent))
        identity = f"id: {self.identity}\n" if self.identity else ""
        return f"{identity}data: {text.decode()}\n\n"


async def with_heartbeats(
    source: AsyncGenerator[str], stop: asyncio.Event, seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[str]:
    """The same with a comment whenever it was silent for so long.

    When `stop` is set it ends, but for what is on its way: a launch that is answered in this moment is told of.
    """
    stopped = asyncio.ensure_future(stop.wait())
    upcoming: asyncio.Future[str] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(source))
            ending = stopped.done()
            awaited: list[asyncio.Future[Any]] = [upcoming] if ending else [upcoming, stopped]
            patience = LAST_WORDS_SECONDS if ending else seconds
            await asyncio.wait(awaited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                if ending:
                    return
                if not stopped.done():
                    yield HEARTBEAT
                continue
            try:
                text = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield text
    finally:
        for task in (stopped, upcoming):
            if task is not None:
                task.cancel()
