"""A node and the fleet as the admin API shows them: the server builds these objects and the client reads them back.

The field names are those of the JSON (docs/http-api.md). Readers ignore fields that they do not know; a field with a
default may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from redirector.counters.visitor_counts import Visitors, visitors
from redirector.model.nodes import Health
from redirector.model.slot_counts import SlotCounts
from tmpnb_common.wire import PoolStats

Intent = Annotated[str, Meta(extra_json_schema={"enum": ["active", "draining"]})]
HealthWord = Annotated[str, Meta(extra_json_schema={"enum": [health.value for health in Health]})]
"""The document names the words of today, and a reader accepts those of a newer redirector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView(PoolStats):
    """One pool of one node: what the node reports of it, in numbers that add up."""

    unusable: int = 0
    over: int = 0
    image_before: str = ""
    """The image that the pool was last moved away from; empty if it never was."""
    image_ordered: str = ""
    """The image that the fleet moved the pool to, where it runs another one; else empty."""
    capacity_ordered: int | None = None
    """The capacity that the fleet gave the pool, where it has another one; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node as the fleet sees it: NODE of docs/http-api.md. Times are seconds since 1970."""

    name: str
    url: str
    control_url: str = ""
    version: int = 0
    """The version of the registry's row, for `If-Match`."""
    node_id: str = ""
    intent: Intent
    intent_reason: str = ""
    intent_by: str = ""
    intent_since: float | None = None
    pending: bool = False
    drained: bool = False
    health: HealthWord
    reason: str = ""
    since: float | None = None
    eligible: bool = False
    health_reason: str = ""
    """Why the node's health is what it is, also where something else keeps visitors away."""
    unanswered: str = ""
    """Why the node did not answer when it was asked for this very answer; empty if it did."""
    current: bool = True
    """Whether its numbers are of now. If not, they are 0 but for `claimed`, and `last_known` has what was."""
    available: int = 0
    capacity: int = 0
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    ending: int = 0
    """Slots of sandboxes that are being removed."""
    unusable: int = 0
    """Slots that are in none of the other states."""
    over: int = 0
    """Sandboxes beyond the capacity."""
    last_known: Mapping[str, int] | None = None
    pools: Mapping[str, PoolView] = field(default_factory=dict)
    software: str = ""
    image: str = ""
    stats_age_seconds: float | None = None
    added_at: float | None = None
    max_age_seconds: int = 0
    """How old a session may become; 0: unknown or without limit."""
    end_sessions_at: float = 0.0
    """When the drain ends the sessions that are left; 0: never."""

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


@dataclass(frozen=True, slots=True)
class LineView:
    """One pool's part of the waiting room."""

    waiting: int
    first_seconds: float | None
    """How long the first in line has waited."""
    let_in: int
    """How many got a sandbox from the waiting room in the last five minutes."""
    expected_seconds: float | None
    """What somebody who comes now would wait; None: nobody can tell."""


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
class PollerView:
    """The worker that polls the nodes, and the age of what it published last; None before the first time."""

    holder: str = ""
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """The whole fleet in numbers. `nodes` counts them by health, those that drain under `draining`."""

    available: int
    capacity: int
    starting: int = 0
    startable: int = 0
    claimed: int = 0
    ending: int = 0
    unusable: int = 0
    over: int = 0
    pools: Mapping[str, SlotCounts] = field(default_factory=dict)
    not_counted: NotCountedView | None = None
    stats_age_seconds: float | None = None
    """The age of the oldest number that is counted."""
    waiting: int = 0
    """Visitors in the waiting room."""
    waiting_room: Mapping[str, LineView] = field(default_factory=dict)
    """The waiting room by pool, where somebody waits or was let in lately."""
    nodes: Mapping[str, int] = field(default_factory=dict)
    alarms: Sequence[str] = ()
    version: str = ""
    entry_url: str = ""
    """The address that visitors open."""
    visitors: Mapping[str, int] = field(default_factory=dict)
    """The counters of visitors since the fleet was made, by their names."""
    lately: LatelyView | None = None
    poller: PollerView = PollerView()

    @property
    def since_ever(self) -> Visitors:
        """Visitors since the fleet was made."""
        return visitors(self.visitors)
