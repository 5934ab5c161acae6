"""The format that nodes and redirectors speak: parsed once, at the edge, into frozen objects.

Field names are tmpnb's where tmpnb had one. Readers ignore fields they do not know; a required field that is missing
or of the wrong type is a `JsonError`. An original tmpnb node sends four keys only: everything else has a default that
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tmpnb_common.json_object import Count, JsonError, Text, decode
from tmpnb_common.landing import MOST_PREFIXES, PREFIX

PROTOCOL = 1
"""Version of this format. Raised only by a change that an older reader would misunderstand."""

DEFAULT_POOL = "default"
"""The pool of whoever names none; every node has it."""


TRIAL_SECONDS = 200
"""Longest that a node takes to try a pool (`POST /api/selftest`). Whoever passes it on waits longer, the further out
the longer, so that the answer is the node's own: see "Time-outs" in docs/architecture.md.
"""


NodeState = Literal["active", "draining"]


LandingPrefix = Annotated[str, Meta(pattern=f"^{PREFIX.pattern}$(?!\\n)", description="a short first part of a path")]
LandingPrefixes = Annotated[
    tuple[LandingPrefix, ...], Meta(max_length=MOST_PREFIXES, description="a list of a few short first parts of paths")
]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """One pool's slots, in sandboxes."""

    available: Count
    capacity: Count
    starting: Count = 0
    startable: Count = 0
    claimed: Count = 0
    image: Text = ""
    problem: Text = ""
    """Why sandboxes of this pool do not start, in words; empty while they do."""
    unfit: Text = ""
    """Why visitors should rather go elsewhere, in words: its sandboxes start and do not serve. Empty: none known."""
    stale: Count = 0
    """Of the ready ones those of an image or a content that the pool has left: they go as their successors come."""
    ending: Count = 0
    """Out of use and not removed yet: they take up slots until they are."""
    fetching: Text = ""
    """How far the pool's image, which is not there yet, has been fetched, in words; empty once it is there."""
    content: Text = ""
    """The digest of the blob that is in the home of each new sandbox of this pool; empty: none."""


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What `GET /stats` of a node says.

    `available` is 0 while the node drains. `generation` is the newest fleet generation of intent that the node holds.
    `protocol` 0 is an original tmpnb node, which knows neither tickets nor control calls.
    """

    available: Count
    capacity: Count
    version: Text = ""
    container_image: Text = ""
    protocol: Count = 0
    node_id: Text = ""
    boot_id: Text = ""
    name: Text = ""
    seq: Count = 0
    state: NodeState = "active"
    generation: Count = 0
    starting: Count = 0
    startable: Count = 0
    claimed: Count = 0
    ending: Count = 0
    claims_total: Count = 0
    refused_total: Count = 0
    max_age_seconds: Count = 0
    """After this age a session ends at the latest; 0: unknown or no limit."""
    unremovable: Text = ""
    """What has been in the way of removals for minutes, so that slots stay taken; empty while nothing has."""
    pools: Mapping[Text, PoolStats] = field(default_factory=dict)
    landing_prefixes: LandingPrefixes = ()
    """First parts of addresses at which visitors may come in, beyond those that everybody knows."""
    holds_content: bool = False
    """Whether this node's software takes blobs and fills sandboxes with them."""

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values, tmpnb's four keys first."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields


@dataclass(frozen=True, slots=True)
class _Redirector:
    """What tells a redirector's stats from an original node's."""

    hosts: Any = msgspec.UNSET


def parse_stats(body: bytes) -> NodeStats:
    """Read a node's stats.

    Raises:
        JsonError: they are no node's, or a field has the wrong type or a negative count.
    """
    stats = decode(NodeStats, body, "stats")
    if stats.protocol:
        # A node that speaks this protocol always says who it is: the fleet relies on it to notice another machine.
        for name in ("node_id", "boot_id"):
            if not getattr(stats, name):
                raise JsonError(f"stats: {name} is missing")
        return stats
    if decode(_Redirector, body, "stats").hosts is not msgspec.UNSET:
        # A redirector that placed on another one, or on itself, would count its own slots and ask itself in a circle.
        raise JsonError("stats: these are a redirector's, which is no node")
    claimed = stats.claimed or max(0, stats.capacity - stats.available)
    return replace(stats, node_id="", boot_id="", claimed=claimed)
