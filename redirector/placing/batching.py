"""Do for several at once what costs as much for one: whoever comes while enough is under way goes with the next.

A visitor who meets few others sets out at once, alone. Where visitors arrive faster than calls return, each call
carries all who gathered meanwhile, so that a crowd costs this worker, and the nodes, a fraction of the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

from tmpnb_common.claims import TICKETS_AT_ONCE

CALLS_AT_ONCE = 1
"""With fewer under way than this for the same thing nobody waits. The fewer, the more share one: with 16 threads, and
nodes that answer within a millisecond, a call carries 3.7 visitors where 1 is under way and 2.7 where 2 are."""

GATHER_SECONDS = 0.01
"""Nobody waits longer than this for others. Calls to a node that is well return sooner; one to a node that hangs costs
those who come after it no more than this.
"""

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Waiter(Generic[Item, Result]):
    item: Item
    turn: Event = field(default_factory=Event)
    """Set when it need not wait for others any longer: it acts itself, for all who wait, or it has been acted for."""
    done: Event = field(default_factory=Event)
    result: Result | None = None


@dataclass(slots=True)
class _Line(Generic[Item, Result]):
    """Those who want the same thing."""

    acts: int = 0
    waiters: list[_Waiter[Item, Result]] = field(default_factory=list)


class Batcher(Generic[Key, Item, Result]):
    """Gathers items by key. Safe to use from several threads; has none of its own.

    Invariant: every item is acted for once, and no result goes to another's item.
    """

    def __init__(self, act: Callable[[Key, Sequence[Item]], Sequence[Result]]) -> None:
        """`act` brings the results of the first items it was given, in their order; the rest get none."""
        self._act = act
        self._lock = Lock()
        self._lines: dict[Key, _Line[Item, Result]] = {}

    def submit(self, key: Key, item: Item) -> Result | None:
        """The result for one item, be it acted for alone or with others; None if the act left it out."""
        with self._lock:
            line = self._lines.setdefault(key, _Line())
            waiter = _Waiter[Item, Result](item) if line.acts >= CALLS_AT_ONCE else None
            if waiter is not None:
                line.waiters.append(waiter)
            else:
                line.acts += 1
        if waiter is None:
            try:
                results = self._act(key, [item])
            finally:
                self._hand_on(key, line)
            return results[0] if results else None
        waiter.turn.wait(GATHER_SECONDS)
        with self._lock:
            together = _taken(line, waiter)
        if together:
            self._act_for(key, line, together)
        else:
            # It went with another's act. Acts end in bounded time, whatever nodes do.
            waiter.done.wait()
        return waiter.result

    def _act_for(self, key: Key, line: _Line[Item, Result], together: Sequence[_Waiter[Item, Result]]) -> None:
        try:
            results = self._act(key, [waiter.item for waiter in together])
            for waiter, result in zip(together, results, strict=False):
                waiter.result = result
        finally:
            self._hand_on(key, line)
            for waiter in together:
                waiter.done.set()
                # Only now, so that who goes with another is woken once.
                waiter.turn.set()

    def _hand_on(self, key: Key, line: _Line[Item, Result]) -> None:
        """An act has ended: whoever has waited longest makes the next one."""
        with self._lock:
            line.acts -= 1
            longest = line.waiters[0] if line.waiters else None
            if not line.acts and longest is None:
                # Keys come from visitors: what nobody uses is forgotten.
                self._lines.pop(key, None)
        if longest is not None:
            longest.turn.set()


def _taken(line: _Line[Item, Result], waiter: _Waiter[Item, Result]) -> list[_Waiter[Item, Result]]:
    """This waiter and those who go with it, as one act; none if it went with another."""
    if waiter not in line.waiters:
        return []
    others = [other for other in line.waiters if other is not waiter]
    together, line.waiters = [waiter, *others[: TICKETS_AT_ONCE - 1]], others[TICKETS_AT_ONCE - 1 :]
    line.acts += 1
    return together
