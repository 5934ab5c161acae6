"""The request to stop, as signals bring it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ECHO_SECONDS = 0.5
"""A terminal, a shell and make may each deliver the same request: what follows this quickly is no second one."""


class StopAsked(Exception):  # noqa: N818 - no error: somebody wants the fleet to stop
    """Leaves whatever is being done, for the clean-up that follows."""


class StopRequest:
    """Whether somebody asked to stop, and to hurry. Only the main thread uses it.

    Handlers write to a pipe that `wait` listens on: an Event may not be set by a handler while its own thread waits
    for it.
    """

    def __init__(self, *, parent: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no request. With `parent`, the end of that process is one, too."""
        self.hurried = False
        self._asked_at: float | None = None
        self._parent = parent
        self._clock = clock
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def asked(self) -> bool:
        orphaned = self._parent is not None and os.getppid() != self._parent
        return self._asked_at is not None or orphaned

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the next signal."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if ready:
            os.read(self._reader, 4096)

    def pause(self, seconds: float) -> None:
        """Wait as part of something that a request to stop ends.

        Raises:
            StopAsked: there is one.
        """
        if not self.asked:
            self.wait(seconds)
        if self.asked:
            raise StopAsked

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that mean stop; a SIGHUP that somebody chose to ignore (nohup) stays ignored."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            if not (number == signal.SIGHUP and before[number] is signal.SIG_IGN):
                signal.signal(number, self._take)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        now = self._clock()
        if self._asked_at is None:
            self._asked_at = now
        elif number == signal.SIGINT and now - self._asked_at > ECHO_SECONDS:
            self.hurried = True
        try:
            os.write(self._writer, b"x")
        except BlockingIOError:
            return  # The pipe is full of wishes already.
