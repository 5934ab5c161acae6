"""The tickets of the waiting room as rows, and the times that bound them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

LOCK = 0x746D706E64
"""The advisory lock of PostgreSQL under which somebody joins or goes in, one at a time."""

CLAIM_SECONDS = 30.0
"""A claim that has not said how it ended by then never will: its worker died. Its ticket waits again."""

BOARD_SECONDS = 15.0
"""Hand-outs count against what nodes said before them; nothing that is older than this is relied on anyway."""

LONGEST_SECONDS = 330.0
"""No time of a ticket lies further ahead than this, those of held ones included. One that does was written before the
clock was set back, and has passed.
"""

KEPT_SECONDS = 60.0
"""So long the place of a ticket that is no longer live is kept: it holds up nobody meanwhile, and a phone that was put
away for a moment finds it again."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket as it is in the database. `node` is where it got its sandbox, empty while it waits."""

    ticket: str = field(repr=False)
    pool: str
    node: str


TicketState = Literal["enter", "wait", "throttled", "claiming", "done", "unknown"]
"""What becomes of a ticket that asks to go in: `throttled` has to let others pass, `claiming` means that another tab
of the same visitor is in there, and `done` that it has got its sandbox already."""


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """The answer to a ticket that asks to go in, and how many stood before it."""

    state: TicketState
    ahead: int = 0
