"""A second opinion on nodes that whoever polls does not reach: if another host does, the way there is at fault."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from random import Random
from threading import Event as Flag

from redirector.memory.fleet_state import FleetState
from redirector.memory.outbox import Outbox
from redirector.model.board import host_of
from redirector.model.events import PassiveCheck
from redirector.model.nodes import Failure, Health, Node
from tmpnb_common.wire import NodeStats

LOOK_SECONDS = 1.0
"""How often to look: oftener than a node goes down, which takes three polls."""

AT_ONCE = 8
"""Nodes that are asked at a time; of more, others each time."""

WORDS = "another redirector host reaches it"


class Witness:
    """Looks while another host polls. One thread calls it."""

    def __init__(
        self,
        *,
        host: str,
        fleet_state: FleetState,
        outbox: Outbox,
        stats: Callable[[str], NodeStats | Failure],
        rng: Random,
    ) -> None:
        """A witness on this host; `stats` asks whoever is at an address."""
        self._host = host
        self._fleet_state = fleet_state
        self._outbox = outbox
        self._stats = stats
        self._rng = rng

    def run(self, stop: Flag) -> None:
        """Look until stopped."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="witness") as executor:
            while not stop.wait(LOOK_SECONDS):
                self.look(executor)

    def look(self, executor: Executor) -> None:
        """Ask the nodes that polls fail at, and report those that answer here."""
        asked = self._doubtful()
        asked = self._rng.sample(asked, min(AT_ONCE, len(asked)))
        for node, answer in zip(asked, executor.map(self._ask, asked), strict=True):
            if isinstance(answer, NodeStats) and answer.node_id == node.node_id:
                self._outbox.passive_check(PassiveCheck(node.name, passed=True, reason=WORDS), urgent=True)

    def _doubtful(self) -> list[Node]:
        board = self._fleet_state.board
        if not board.holder or host_of(board.holder) == self._host:
            return []
        seen = [(node, board.of(name)) for name, node in self._fleet_state.nodes.items()]
        return [node for node, one in seen if one.failures and one.health in (Health.SUSPECT, Health.DOWN)]

    def _ask(self, node: Node) -> NodeStats | Failure:
        return self._stats(node.address)
