"""The whole fleet at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from redirector.model.board import Board
from redirector.model.content import Content
from redirector.model.content_alarms import WorkerReport
from redirector.model.nodes import Node, PoolOrder
from redirector.model.waiting_room import Line

MINUTES = 60
"""That a picture looks back."""


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Everything of one moment. With the database away the numbers that only it has are missing, and it says why."""

    at: float
    nodes: Mapping[str, Node]
    board: Board
    counters: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, Line] = field(default_factory=dict)
    """The waiting room, by pool; those only where somebody waits or was let in lately."""
    minutes: Mapping[str, list[int]] = field(default_factory=dict)
    """What the counters grew by in each of the last 60 minutes, oldest first."""
    orders: Mapping[str, Mapping[str, PoolOrder]] = field(default_factory=dict)
    """What the fleet ordered of pools, by node and pool."""
    contents: Mapping[str, Content] = field(default_factory=dict)
    workers: Sequence[WorkerReport] = ()
    """What the hosts' workers say of themselves."""
    database_problem: str = ""
