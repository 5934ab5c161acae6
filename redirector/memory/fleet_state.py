"""What one worker knows of the fleet: the last registry and board it read, and what its own claims have taught it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from redirector.memory.free_slots import FreeSlots
from redirector.model.board import Board
from redirector.model.content import Content, ContentPattern
from redirector.model.nodes import Health, Node
from redirector.model.placement import Ranking, ranking_of
from tmpnb_common.wire import DEFAULT_POOL

SUSPECT_POLLS = 2
"""A doubt ends when the board has this many further polls of the node: the first may have begun before the claim that
failed, the second knows what the poller made of it."""


@dataclass(slots=True, eq=False)
class PoolState:
    """One pool, as this worker sees it. There is one object for each pool that exists, and it is kept up to date."""

    name: str
    ranking: Ranking
    free_slots: FreeSlots = field(default_factory=FreeSlots)


class FleetState:
    """Read without waiting by every visitor, replaced by whoever reads the database or polls."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._suspects: dict[str, int] = {}
        self._pools: dict[str, PoolState] = {}
        self.nodes: Mapping[str, Node] = {}
        self.board = Board()
        self.contents: Mapping[str, Content] = {}
        self.patterns: Sequence[ContentPattern] = ()
        self.known = False
        """Whether a registry was read at all yet."""

    def take(self, nodes: Mapping[str, Node] | None = None, board: Board | None = None) -> None:
        """Take over a newer registry, a newer board, or both."""
        with self._lock:
            if nodes is not None:
                self.nodes, self.known = nodes, True
            if board is not None:
                self._suspects = {
                    name: polls
                    for name, polls in self._suspects.items()
                    if board.of(name).polls < polls + SUSPECT_POLLS and not _restarted(self.board, board, name)
                }
                self.board = board
            for pool in self._pools.values():
                self._sort_out(pool)

    def take_contents(self, contents: Mapping[str, Content], patterns: Sequence[ContentPattern]) -> None:
        """Take over newer contents, by name, and what links may ask for beside them."""
        self.contents, self.patterns = contents, patterns

    def pool(self, name: str = DEFAULT_POOL) -> PoolState:
        """One pool; of one that no node has, an empty ranking."""
        found = self._pools.get(name)
        if found is not None:
            return found
        with self._lock:
            pool = PoolState(name, Ranking())
            self._sort_out(pool)
            if pool.ranking.free:
                # Only pools that exist are kept: visitors choose the names.
                return self._pools.setdefault(name, pool)
            return pool

    def mark_suspect(self, name: str) -> bool:
        """Use a node only when nothing else is free, from now on and until polls say better; whether that is news."""
        with self._lock:
            news = name not in self._suspects and self.board.of(name).health is Health.UP
            self._suspects[name] = self.board.of(name).polls
            for pool in self._pools.values():
                pool.ranking = pool.ranking.with_suspect(name)
            return news

    def clear_suspect(self, name: str) -> None:
        """Forget a doubt: the node has given somebody a sandbox."""
        with self._lock:
            if self._suspects.pop(name, None) is not None:
                for pool in self._pools.values():
                    self._sort_out(pool)

    def _sort_out(self, pool: PoolState) -> None:
        ranking = ranking_of(self.nodes, self.board, pool.name)
        for suspect in self._suspects:
            ranking = ranking.with_suspect(suspect)
        pool.ranking = ranking
        pool.free_slots.take(ranking.free, {node: self.board.of(node).asked_at for node in ranking.free})


def _restarted(before: Board, after: Board, name: str) -> bool:
    old, new = before.of(name).stats, after.of(name).stats
    return old is not None and new is not None and old.boot_id != new.boot_id
