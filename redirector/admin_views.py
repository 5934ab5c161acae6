"""What the admin API answers, parsed once into frozen objects. The fields are those of docs/http-api.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from redirector.json_fields import Fields, ViewError
from redirector.visitors import visitors


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool of one node, in sandboxes."""

    available: int
    capacity: int
    claimed: int
    problem: str
    """Why sandboxes of this pool do not start; empty while they do."""
    image: str = ""
    image_before: str = ""
    """Where it was moved from last; empty if it never was."""
    stale: int = 0
    """Ready sandboxes of an image that the pool has left."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node as the fleet sees it. Times are seconds since 1970, None where the fleet does not know."""

    name: str
    url: str
    control_url: str
    version: int
    node_id: str
    intent: str
    intent_reason: str
    intent_by: str
    intent_since: float | None
    pending: bool
    drained: bool
    health: str
    reason: str
    since: float | None
    eligible: bool
    available: int
    capacity: int
    starting: int
    startable: int
    claimed: int
    pools: Mapping[str, PoolView]
    software: str
    image: str
    stats_age_seconds: float | None
    added_at: float | None
    max_age_seconds: int = 0
    """How old a session may become; 0: unknown or without limit."""
    end_sessions_at: float = 0.0
    """When its drain ends what is left; 0: never."""

    @property
    def state(self) -> str:
        """Intent and progress in one word: `active`, `draining` or `drained`."""
        return "drained" if self.drained else self.intent

    @property
    def last_end(self) -> float | None:
        """By when the last session of a draining node has ended, by the node's limits; None where nobody knows."""
        if self.intent != "draining" or not self.claimed:
            return None
        ends = [self.end_sessions_at] if self.end_sessions_at else []
        if self.max_age_seconds and self.intent_since is not None:
            ends.append(self.intent_since + self.max_age_seconds)
        return min(ends, default=None)

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LineView:
    """One pool's part of the waiting room."""

    waiting: int
    first_seconds: float | None
    """How long the first of them has waited."""
    let_in: int
    """Who got a sandbox from there in the last five minutes."""
    expected_seconds: float | None
    """What somebody who comes now would wait; None: nobody can tell."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """The whole fleet in numbers. `nodes` counts them by health, those that drain under `draining`."""

    available: int
    capacity: int
    starting: int
    startable: int
    claimed: int
    nodes: Mapping[str, int]
    alarms: tuple[str, ...]
    version: str
    poller: str
    poller_age_seconds: float | None
    waiting: int = 0
    """Visitors in the waiting room."""
    waiting_room: Mapping[str, LineView] = field(default_factory=dict)
    """By pool, where somebody waits or was let in lately."""
    turned_away: int = 0
    """Visitors, since the fleet was made, for whom there was neither a sandbox nor a place to wait."""
    placed: int = 0

    def dump(self) -> dict[str, Any]:
        """As JSON-ready values, shaped as the API has them."""
        fields = asdict(self)
        fields["poller"] = {"holder": self.poller, "age_seconds": fields.pop("poller_age_seconds")}
        return fields


def parse_node(raw: object) -> NodeView:
    """Read a NODE.

    Raises:
        ViewError: it has no name, URL, intent or health, or a field is of the wrong type.
    """
    fields = Fields(raw, "node")
    pools = {name: Fields(pool, "pool").into(PoolView) for name, pool in fields.mapping("pools").items()}
    return fields.into(NodeView, "name", "url", "intent", "health", pools=pools)


def parse_nodes(raw: object) -> list[NodeView]:
    """Read `{"nodes": [NODE]}`.

    Raises:
        ViewError: it is something else.
    """
    nodes = raw.get("nodes") if isinstance(raw, dict) else None
    if not isinstance(nodes, list):
        raise ViewError("nodes: not a list")
    return [parse_node(node) for node in nodes]


def parse_change(raw: object) -> tuple[bool, NodeView]:
    """Read `{"changed": true or false, "node": NODE}`.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "change")
    return fields.flag("changed"), parse_node(fields.mapping("node"))


def parse_fleet(raw: object) -> FleetView:
    """Read what `GET /api/fleet` says.

    Raises:
        ViewError: it is something else.
    """
    fields = Fields(raw, "fleet")
    poller = Fields(fields.mapping("poller"), "poller")
    nodes = Fields(fields.mapping("nodes"), "nodes")
    counted = Fields(fields.mapping("visitors"), "visitors")
    counters = {name: counted.count(name) for name in counted.names()}
    lines = fields.mapping("waiting_room").items()
    return fields.into(
        FleetView,
        "available",
        "capacity",
        nodes={health: nodes.count(health) for health in nodes.names()},
        alarms=fields.texts("alarms"),
        poller=poller.text("holder"),
        poller_age_seconds=poller.number("age_seconds"),
        waiting_room={pool: Fields(line, "waiting_room").into(LineView) for pool, line in lines},
        turned_away=visitors(counters).turned_away,
        placed=visitors(counters).placed,
    )
