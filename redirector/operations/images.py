"""What operators may do to the pools of single nodes: move one to another image, resize it, prove that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from redirector.errors import NodeFailedError, UnknownNodeError, UnknownPoolError
from redirector.model.events import Event
from redirector.model.images import Fetch, Selftest
from redirector.model.nodes import Failure, Node, PoolOrder
from redirector.node_client.client import AgentClient
from redirector.operations.node_rules import OperatorDecision
from redirector.store.registry import Registry
from redirector.store.rolls import Rolls
from tmpnb_common.wire import DEFAULT_POOL, PoolStats


class Upkeep:
    """Speaks to one node at a time, as the operator said."""

    def __init__(self, *, registry: Registry, rolls: Rolls, client: AgentClient, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._rolls = rolls
        self._client = client
        self._clock = clock

    def orders(self) -> Mapping[str, Mapping[str, PoolOrder]]:
        """What the fleet ordered of pools, by node and pool."""
        return self._rolls.all()

    def roll(self, name: str, pool: str, image: str, decision: OperatorDecision) -> str | None:
        """Move a pool to an image.

        Returns:
            The image that it had; None if it has the wanted one already.
        """
        node = self._node(name)
        before = self._pool(node, pool).image
        if before == image:
            self._rolls.agree(name, pool, image=image)
            return None
        failed = self._client.put_pool(node, pool, image=image)
        if failed is not None:
            raise NodeFailedError(name, failed.reason)
        reason = f"{pool}: {before} -> {image}" + (f"; {decision.reason}" if decision.reason else "")
        self._rolls.remember(name, pool, image, before, Event(self._clock(), "roll", name, decision.by, reason))
        return before

    def resize(
        self, name: str, pool: str, capacity: int | None, warm: int | None, decision: OperatorDecision
    ) -> tuple[bool, int]:
        """Let a pool hold more or fewer sandboxes, and keep more or fewer of them ready; None leaves it as it is.

        Sessions beyond a smaller capacity live on.

        Returns:
            Whether anything was changed, and the capacity before.
        """
        node = self._node(name)
        before = self._pool(node, pool).capacity
        if warm is None and capacity in (None, before):
            self._rolls.agree(name, pool, capacity=before)
            return False, before
        failed = self._client.put_pool(node, pool, capacity=capacity, warm=warm)
        if failed is not None:
            raise NodeFailedError(name, failed.reason)
        changes = [] if capacity is None else [f"{before} -> {capacity} sandboxes"]
        changes += [] if warm is None else [f"{warm} of them ready"]
        reason = f"{pool}: {', '.join(changes)}" + (f"; {decision.reason}" if decision.reason else "")
        event = Event(self._clock(), "resize", name, decision.by, reason)
        self._rolls.remember_size(name, pool, capacity, event)
        return True, before

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

    def _pool(self, node: Node, pool: str) -> PoolStats:
        """How the node itself says that a pool is, at this moment."""
        stats = self._client.stats(node.address)
        if isinstance(stats, Failure):
            raise NodeFailedError(node.name, stats.reason)
        if pool not in stats.pools:
            raise UnknownPoolError(node.name, pool)
        return stats.pools[pool]

    def _node(self, name: str) -> Node:
        node = self._registry.all().get(name)
        if node is None:
            raise UnknownNodeError(name)
        return node
