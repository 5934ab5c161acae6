"""Nodes that join by themselves, and leave by themselves. They may touch nobody's row but their own."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from redirector.errors import BadRequestError, DuplicateUrlError, NotThatNodeError, UnknownNodeError
from redirector.model.node_names import normalised_url
from redirector.model.nodes import Node
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from tmpnb_common.wire import NodeStats

ITSELF = "the node itself"
"""Who decided, as the history has it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How far a node has come on its way out."""

    name: str
    left: bool
    claimed: int
    """Sessions that it still has, as far as is known."""


class SelfRegistration:
    """Invariant: a row that is there is changed only for whoever has that node's token. The join token does not do."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def join(self, asked: Addition) -> tuple[Node, bool]:
        """Take a node in that proves to be one, or let one that is here go on under its name, be it at a new URL.

        Returns:
            The node, and whether it is new.
        """
        if not asked.token:
            raise BadRequestError("token is missing: the node's own, by which the fleet speaks to it")
        self._known(asked.url, asked.token)
        decision = OperatorDecision(by=ITSELF, reason="it joined")
        try:
            node, new = self._control.add(asked, decision)
        except DuplicateUrlError as here:
            node, new = self._control.move(here.name, asked, decision), False
        if node.intent == "draining" and node.intent_by == ITSELF:
            # It was on its way out when it was started again.
            node, _ = self._control.intend(node.name, "active", OperatorDecision(by=ITSELF, reason="it joined again"))
        return node, new

    def leave(self, url: str, token: str) -> Leaving:
        """Drain a node, or take it off the list once its last session has ended. To be asked until it has left."""
        node = self._known(url, token)
        if node is None:
            raise UnknownNodeError(url)
        if node.intent != "draining":
            # Forced: a host that goes down goes down, be it the last one.
            self._control.intend(node.name, "draining", OperatorDecision(by=ITSELF, reason="it leaves", force=True))
        stats = self._control.asked(node)
        if not isinstance(stats, NodeStats):
            return Leaving(node.name, left=False, claimed=0)
        if stats.state != "draining" or stats.claimed:
            return Leaving(node.name, left=False, claimed=stats.claimed)
        self._control.remove(node.name, OperatorDecision(by=ITSELF, reason="it left", force=True))
        return Leaving(node.name, left=True, claimed=0)

    def _known(self, url: str, token: str) -> Node | None:
        url = normalised_url(url)
        nodes, _ = self._control.nodes()
        for node in nodes.values():
            if node.url == url:
                if not hmac.compare_digest(node.token.encode(), token.encode()):
                    raise NotThatNodeError(node.name)
                return node
        return None
