"""What operators may do to the software of single nodes: move a pool to another image, prove that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from redirector.errors import NodeFailedError, UnknownNodeError, UnknownPoolError
from redirector.model.events import Event
from redirector.model.nodes import Failure, Node
from redirector.node_client.client import AgentClient, Fetch, Selftest
from redirector.operations.node_changes import Decision
from redirector.store.registry import Registry
from redirector.store.rolls import Rolls
from tmpnb_common.wire import DEFAULT_POOL


class Upkeep:
    """Speaks to one node at a time, as the operator said."""

    def __init__(self, *, registry: Registry, rolls: Rolls, client: AgentClient, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._rolls = rolls
        self._client = client
        self._clock = clock

    def images_before(self) -> Mapping[str, Mapping[str, str]]:
        """The way back of every pool that was moved, by node and pool."""
        return self._rolls.all()

    def roll(self, name: str, pool: str, image: str, decision: Decision) -> str | None:
        """Move a pool to an image.

        Returns:
            The image that it had; None if it has the wanted one already.
        """
        node = self._node(name)
        stats = self._client.stats(node.address)
        if isinstance(stats, Failure):
            raise NodeFailedError(name, stats.reason)
        if pool not in stats.pools:
            raise UnknownPoolError(name, pool)
        before = stats.pools[pool].image
        if before == image:
            self._rolls.agree(name, pool, image)
            return None
        failed = self._client.put_image(node, pool, image)
        if failed is not None:
            raise NodeFailedError(name, failed.reason)
        reason = f"{pool}: {before} -> {image}" + (f"; {decision.reason}" if decision.reason else "")
        self._rolls.remember(name, pool, image, before, Event(self._clock(), "roll", name, decision.by, reason))
        return before

    def fetch(self, name: str, pool: str, image: str) -> Fetch:
        """Have a node fetch an image that its pool is to be moved to, so that nothing moves before it is there."""
        found = self._client.fetch_image(self._node(name), pool, image)
        if isinstance(found, Failure):
            raise NodeFailedError(name, found.reason)
        return found

    def selftest(self, name: str, pool: str = DEFAULT_POOL) -> Selftest:
        """Let a trial sandbox run a cell on that node."""
        found = self._client.selftest(self._node(name), pool)
        if isinstance(found, Failure):
            raise NodeFailedError(name, found.reason)
        return found

    def _node(self, name: str) -> Node:
        node = self._registry.all().get(name)
        if node is None:
            raise UnknownNodeError(name)
        return node
