"""Bounds on requests under way at once, so that one visitor cannot take nginx from all others."""

from __future__ import annotations

from dataclasses import dataclass

ONE_SANDBOX = 128
"""Of one sandbox, websockets included. Browsers open a hundred streams of HTTP/2 to a host, or six connections."""

OTHERS_PART = 4
"""No sandbox gets more than a quarter of what all have together."""

PER_REQUEST = 2
"""Of nginx's connections: the visitor's and the sandbox's."""

RESERVED_PART = 8
"""An eighth of nginx's connections is for everything else: `/stats`, claims, operators, connections at rest."""


@dataclass(frozen=True)
class Shares:
    """Bounds on requests under way at once, websockets included: of one sandbox, and of all that is no agent's."""

    one: int
    all: int


def shares(connections: int) -> Shares:
    """The bounds for an nginx whose workers hold so many connections each.

    All requests together fit into a single worker, for nothing keeps visitors from all coming to the same one.
    """
    together = max(1, (connections - connections // RESERVED_PART) // PER_REQUEST)
    return Shares(max(1, min(ONE_SANDBOX, together // OTHERS_PART)), together)
