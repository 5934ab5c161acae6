"""Look at the fleet again and again, past restarts of the redirector and changes of its token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError, RefusedError, UnreachableError
from redirector.cli.fleet.options import ClientFactory
from redirector.cli.terminal.exits import DENIALS, Exit, Stop
from redirector.cli.terminal.texts import plain
from redirector.cli.terminal.times import clock_now

PASSING = ("database_away", "limited")
"""Somebody at this address has tried too many wrong tokens: that is over in a moment."""

View = TypeVar("View")


class Watch:
    """One command's look at the fleet, repeated.

    Invariant: a redirector that does not answer is waited for, and said so once; a token that is no longer valid is
    read anew from where it came, and only if that one is refused, too, the watch ends.
    """

    def __init__(
        self, source: ClientFactory, *, every: float, timeout: float | None = None, stop: threading.Event | None = None
    ) -> None:
        self._source = source
        self._client = source.open()
        self._every = every
        self._ends_at = None if timeout is None else time.monotonic() + timeout
        self._lost = False
        self._looked = False
        self._stop = stop or threading.Event()

    @property
    def client(self) -> AdminClient:
        """The client that worked last."""
        return self._client

    def look(self, view: Callable[[AdminClient], View]) -> View | None:
        """What there is to see now; None while the redirector does not answer.

        Raises:
            AdminError: the very first look failed, or this is not a matter of waiting.
            Stop: the token is no longer valid.
        """
        try:
            found = view(self._client)
        except UnreachableError as problem:
            if not self._looked:
                raise
            self._say_lost(problem)
            return None
        except RefusedError as problem:
            if problem.code in PASSING and self._looked:
                self._say_lost(problem)
                return None
            if problem.code not in DENIALS or not self._looked:
                raise
            found = self._look_with_new_token(view)
        if self._lost:
            self._lost = False
            click.echo("it answers again", err=True)
        self._looked = True
        return found

    def pause(self) -> bool:
        """Wait until it is time to look again; False when the time is up, or it was told to stop."""
        left = self._every if self._ends_at is None else min(self._every, self._ends_at - time.monotonic())
        return left > 0 and not self._stop.wait(left)

    def _look_with_new_token(self, view: Callable[[AdminClient], View]) -> View:
        self._client = self._source.open()
        try:
            return view(self._client)
        except RefusedError as problem:
            if problem.code not in DENIALS:
                raise
            raise Stop(
                "the admin token was changed meanwhile; put the new one where the old one is and look again",
                Exit.FAILED,
            ) from problem

    def _say_lost(self, problem: AdminError) -> None:
        if not self._lost:
            self._lost = True
            click.echo(f"{clock_now()} {plain(str(problem))}; still trying", err=True)
