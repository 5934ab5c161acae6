"""Bounds on requests under way at once, so that one visitor cannot take nginx from all others."""

from __future__ import annotations

from dataclasses import dataclass

ONE_SANDBOX = 128
"""Of one sandbox, websockets included. Browsers open a hundred streams of HTTP/2 to a host, or six connections."""

ONE_STRANGER = 1000
"""Of one address, as at the redirector's front."""

OTHERS_PART = 4
"""No sandbox, and no address without one, gets more than a quarter of what all have together."""

PER_REQUEST = 2
"""Of nginx's connections: the visitor's and the sandbox's."""

RESERVED_PART = 8
"""An eighth of nginx's connections is for everything else: `/stats`, claims, operators, connections at rest."""


@dataclass(frozen=True)
class Shares:
    """Bounds on requests under way at once, websockets included: of one sandbox, and of all that is no agent's."""

    one: int
    all: int
    stranger: int
    """Of one address, without a sandbox: a classroom behind one address fetches shared files at once."""


def shares(connections: int) -> Shares:
    """The bounds for an nginx whose workers hold so many connections each.

    All requests together fit into a single worker, for nothing keeps visitors from all coming to the same one.
    """
    together = max(1, (connections - connections // RESERVED_PART) // PER_REQUEST)
    part = max(1, together // OTHERS_PART)
    return Shares(min(ONE_SANDBOX, part), together, min(ONE_STRANGER, part))
