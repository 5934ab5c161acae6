"""What holds for every change to the registry's nodes: names, addresses, and what an operator had seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from redirector.errors import (
    ChangedError,
    DuplicateNameError,
    DuplicateUrlError,
    UnknownNodeError,
)
from redirector.model.node_names import default_name
from redirector.model.nodes import Node
from redirector.store.registry import Change
from tmpnb_common.wire import NodeStats


@dataclass(frozen=True, slots=True)
class Addition:
    """A node that is to join, as an operator described it."""

    url: str
    name: str = ""
    control_url: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OperatorDecision:
    """Who decided and why, what they had seen, and whether they insist."""

    by: str = ""
    reason: str = ""
    version: int | None = None
    """Of the row they saw; None if they did not say."""
    force: bool = False
    end_sessions_at: float = 0.0
    """Of a drain: when the sessions that are left then are ended; 0: never."""


def already_there(nodes: Mapping[str, Node], url: str, name: str) -> Node | None:
    """The node that has this address already; None: neither address nor name is taken.

    Raises:
        DuplicateUrlError: it has the address under another name.
        DuplicateNameError: another node has the name.
    """
    for node in nodes.values():
        if node.url == url:
            if name not in ("", node.name):
                raise DuplicateUrlError(url, node.name)
            return node
    if name in nodes:
        raise DuplicateNameError(name, nodes[name].url)
    return None


def refuse_second_address(nodes: Mapping[str, Node], url: str, stats: NodeStats) -> None:
    """Refuse the same node under another address: its slots would count twice.

    Raises:
        DuplicateUrlError: it is in the fleet already.
    """
    for node in nodes.values():
        if stats.node_id and node.node_id == stats.node_id:
            raise DuplicateUrlError(url, node.name)


def free_name(nodes: Mapping[str, Node], url: str, own_name: str) -> str:
    """A name that no node has: the node's own, one made from its address, or that with a number."""
    for wished in (default_name(url, own_name), default_name(url, "")):
        if wished not in nodes:
            return wished
    stem = default_name(url, "")[:58]
    number = 2
    while f"{stem}-{number}" in nodes:
        number += 1
    return f"{stem}-{number}"


def reason_with_hour(reason: str, ends_at: float) -> str:
    """A drain's reason for the history, with the hour at which it ends sessions."""
    if not ends_at:
        return reason
    hour = f"sessions end at {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{hour}: {reason}" if reason else hour


def found_node(change: Change, name: str) -> Node:
    """The node of this name.

    Raises:
        UnknownNodeError: there is none.
    """
    node = change.all().get(name)
    if node is None:
        raise UnknownNodeError(name)
    return node


def refuse_stale(node: Node, decision: OperatorDecision) -> None:
    """Refuse to act on what an operator saw before somebody else changed it.

    Raises:
        ChangedError: the node's row has another version now.
    """
    if decision.version not in (None, node.version):
        raise ChangedError(node.name, node.version)
