"""Whether visitors reach a node that the fleet itself speaks to at another address: its public URL is asked, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from redirector.model.nodes import Failure, Health, Node, Seen
from tmpnb_common.wire import NodeStats

CHECK_SECONDS = 10.0
"""How often a public URL is asked that answered last time; one that did not is asked at every poll."""


class PublicUrlClient(Protocol):
    """Who speaks to nodes."""

    def stats(self, address: str) -> NodeStats | Failure:
        """What whoever is at an address says of itself."""
        ...


@dataclass(frozen=True, slots=True)
class _Answered:
    url: str
    at: float


class PublicCheck:
    """Asks for the poller. Safe to use from several threads, one of them a node."""

    def __init__(self, client: PublicUrlClient, *, clock: Callable[[], float], on: bool = True) -> None:
        """`clock` only runs forward."""
        self._client = client
        self._clock = clock
        self._on = on
        self._answered: dict[str, _Answered] = {}

    def problem(self, node: Node, stats: NodeStats) -> str:
        """Why visitors do not reach a node that has just answered with these stats; empty while they do."""
        if not self._on or node.address == node.url:
            return ""
        last = self._answered.get(node.name)
        if last is not None and last.url == node.url and self._clock() - last.at < CHECK_SECONDS:
            return ""
        answer = self._client.stats(node.url)
        if isinstance(answer, Failure):
            return f"visitors do not reach it at {node.url}: {answer.reason}"
        if answer.node_id != stats.node_id:
            return f"visitors do not reach it at {node.url}: another node answers there"
        self._answered[node.name] = _Answered(node.url, self._clock())
        return ""


def reaches_none(nodes: Mapping[str, Node], seen: Mapping[str, Seen]) -> bool:
    """Whether no node's public URL answers this redirector, as behind a NAT: then that says nothing about visitors."""
    polled = [seen[name] for name in nodes if name in seen and seen[name].health in (Health.UP, Health.SUSPECT)]
    return all(one.failures or one.unreached for one in polled)
