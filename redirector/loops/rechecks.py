"""Ask nodes that are not well between the ticks, so that their return is noticed soon.

Only answers count: that one stays away is for the ticks to judge, which give it time for a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from redirector.model.nodes import Health, Node, Seen

RECHECK_SECONDS = 0.5

AT_ONCE = 8
"""Rechecks under way. With more nodes away than this each one has its turn less often."""

Answer = TypeVar("Answer")


class Rechecks(Generic[Answer]):
    """Only the poller's own thread calls it."""

    def __init__(self, ask: Callable[[Node], Answer], *, clock: Callable[[], float]) -> None:
        """`clock` only runs forward."""
        self._ask = ask
        self._clock = clock
        self._under_way: dict[str, Future[Answer]] = {}
        self._begun_at: dict[str, float] = {}

    def begin(self, executor: Executor, nodes: Mapping[str, Node], seen: Mapping[str, Seen]) -> None:
        """Ask those that are due, the longest unasked first."""
        away = {name for name, one in seen.items() if one.health is not Health.UP and name in nodes}
        self._begun_at = {name: at for name, at in self._begun_at.items() if name in away}
        now = self._clock()
        due = [
            name
            for name in away - self._under_way.keys()
            if now - self._begun_at.setdefault(name, now) >= RECHECK_SECONDS
        ]
        due.sort(key=lambda name: self._begun_at[name])
        for name in due[: AT_ONCE - len(self._under_way)]:
            self._begun_at[name] = now
            self._under_way[name] = executor.submit(self._ask, nodes[name])

    def answers(self) -> dict[str, Answer]:
        """What has come back since this was last asked for, by name of node."""
        done = {name: future for name, future in self._under_way.items() if future.done()}
        for name in done:
            del self._under_way[name]
        # One that stumbled over what came is as good as none: the tick meets the same, and says so.
        return {name: future.result() for name, future in done.items() if future.exception() is None}
