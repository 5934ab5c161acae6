"""What the admin API answers, parsed once into frozen objects. The fields are those of docs/http-api.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from redirector.admin_api.fields import Fields, View, ViewError
from redirector.counters.visitor_counts import visitors


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool of one node, in sandboxes."""

    available: int
    capacity: int
    claimed: int
    problem: str
    """Why sandboxes of this pool do not start; empty while they do."""
    unfit: str = ""
    """Why it gets visitors only where nothing else is free; empty while nothing speaks against it."""
    image: str = ""
    image_before: str = ""
    """Where it was moved from last; empty if it never was."""
    stale: int = 0
    """Ready sandboxes of an image that the pool has left."""
    ending: int = 0
    """Out of use and not removed yet."""
    fetching: str = ""
    """How far the pool's image has been fetched; empty once it is there."""
    starting: int = 0
    startable: int = 0
    unusable: int = 0
    over: int = 0


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
    ending: int = 0
    """Slots of sandboxes that are being removed."""
    unusable: int = 0
    """Slots that are in none of the other states."""
    over: int = 0
    """Sandboxes beyond the capacity."""
    current: bool = True
    """Whether its numbers are of now. If not, they are 0 but for `claimed`, and `last_known` has what was."""
    last_known: Mapping[str, int] | None = None
    health_reason: str = ""
    """Why its health is what it is, also where something else keeps visitors away."""
    unanswered: str = ""
    """Why the node did not answer when it was asked for this very answer; empty if it did."""

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
class PoolCountsView:
    """One pool's slots on all nodes together."""

    available: int
    capacity: int
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    ending: int = 0
    unusable: int = 0
    over: int = 0


@dataclass(frozen=True, slots=True)
class NotCountedView:
    """Nodes of which nothing current is known, and the sessions that they had when they answered last."""

    nodes: int
    claimed: int


@dataclass(frozen=True, slots=True)
class LatelyView:
    """Visitors of the last minutes."""

    minutes: int
    placed: int
    turned_away: int


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
    ending: int = 0
    unusable: int = 0
    over: int = 0
    stats_age_seconds: float | None = None
    """Of the oldest number that is counted."""
    pools: Mapping[str, PoolCountsView] = field(default_factory=dict)
    not_counted: NotCountedView | None = None
    lately: LatelyView | None = None
    entry_url: str = ""
    """The address that visitors open; empty from an older redirector."""

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
    known = raw.get("last_known") if isinstance(raw, dict) else None
    last_known = None if known is None else _counts(Fields(known, "last_known"))
    # An older redirector does not say, and gives no numbers of one that is down.
    current = fields.flag("current") if "current" in fields.names() else fields.text("health") != "down"
    return fields.into(NodeView, "name", "url", "intent", "health", pools=pools, last_known=last_known, current=current)


def _counts(fields: Fields) -> dict[str, int]:
    return {name: fields.count(name) for name in fields.names()}


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
    counters = _counts(counted)
    lines = fields.mapping("waiting_room").items()
    return fields.into(
        FleetView,
        "available",
        "capacity",
        nodes=_counts(nodes),
        alarms=fields.texts("alarms"),
        poller=poller.text("holder"),
        poller_age_seconds=poller.number("age_seconds"),
        pools={
            name: Fields(pool, "pools").into(PoolCountsView, "capacity")
            for name, pool in fields.mapping("pools").items()
        },
        not_counted=_optional(fields, "not_counted", NotCountedView),
        lately=_optional(fields, "lately", LatelyView),
        waiting_room={pool: Fields(line, "waiting_room").into(LineView) for pool, line in lines},
        turned_away=visitors(counters).turned_away,
        placed=visitors(counters).placed,
    )


def _optional(fields: Fields, name: str, view: type[View]) -> View | None:
    """An object that an older redirector does not send."""
    raw = fields.mapping(name)
    return Fields(raw, name).into(view) if raw else None
