"""Hands sandboxes out to visitors, and takes back what nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from node_agent.pools.abandoned import Abandoned
from node_agent.pools.counters import Counters
from node_agent.pools.pools import Pools
from node_agent.pools.table import SandboxTable
from node_agent.sandboxes import Sandbox
from tmpnb_common.claims import Refusal


class SandboxClaims:
    """The visitors' way to the sandboxes; safe to call from any thread.

    The table's lock is held from the choice of a ready sandbox to its rename, so each is handed out at most once.
    """

    def __init__(
        self,
        table: SandboxTable,
        pools: Pools,
        counters: Counters,
        *,
        listens: Callable[[Path], bool],
        random_ticket: Callable[[], str],
    ) -> None:
        """Claims on a table; `listens` says whether anybody accepts connections at a socket."""
        self._table = table
        self._pools = pools
        self._counters = counters
        self._listens = listens
        self._random_ticket = random_ticket
        self._abandoned = Abandoned()

    def claim(
        self,
        pool: str,
        ticket: str | None = None,
        attempt: str = "",
        wanted: str = "",
        *,
        embedded: bool = False,
    ) -> Sandbox | Refusal:
        """Hand a ready sandbox to a visitor, oldest first; the same ticket gets the same one while it lives.

        A claim whose attempt was abandoned before it arrived gets nothing: nobody waits for it. `wanted` is the digest
        of the blob that the home is to be filled with afterwards; `embedded` says that it is for live code in a page.
        """
        with self._table.lock:
            if self._pools.spec(pool) is None:
                return Refusal("unknown_pool", f"this node has no pool {pool!r:.40}")
            answer = self._claim(pool, ticket, attempt, wanted, embedded=embedded)
            if isinstance(answer, Refusal):
                self._counters.refusals.labels(pool, answer.status).inc()
                return answer
            return self._table.record_attempt(answer.name, attempt)

    def _claim(self, pool: str, ticket: str | None, attempt: str, wanted: str, *, embedded: bool) -> Sandbox | Refusal:
        if attempt in self._abandoned:
            return Refusal("abandoned", "nobody waits for this claim any more")
        if ticket is not None and (held := self._table.held_by(ticket)) and self._alive(held):
            return held
        if self._pools.draining():
            return Refusal("draining", "this node takes no new visitors")
        for sandbox in self._table.ready(pool):
            if self._alive(sandbox):
                claimed = self._table.claim(sandbox, ticket or self._random_ticket(), wanted, embedded=embedded)
                self._counters.claims.labels(pool).inc()
                return claimed
        return self._pools.refusal(pool)

    def _alive(self, sandbox: Sandbox) -> bool:
        """Whether a sandbox's server accepts connections; one whose does not is ended."""
        if self._listens(self._table.socket(sandbox)):
            return True
        self._table.end(sandbox.name, "dead")
        return False

    def abandon(self, attempts: Iterable[str]) -> int:
        """Take back what these claims got, or will get when they arrive: nobody was told of it. How many it was.

        A sandbox that somebody has come into, or that a later claim with the same ticket got, stays theirs.
        """
        with self._table.lock:
            given_up = {attempt for attempt in attempts if attempt}
            self._abandoned.add(given_up)
            count = self._table.put_back(given_up)
            self._counters.abandoned.inc(count)
            return count
