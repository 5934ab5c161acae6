"""The tickets of the waiting room as rows, and the times that bound them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, func, not_, select

from redirector.model.waiting_room import Facts
from redirector.store import tables

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


def still(until: ColumnElement[float], clock: ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a time of a ticket lies ahead; `clock` is the database's."""
    return and_(until > clock, until <= clock + LONGEST_SECONDS)


def is_live(clock: ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a ticket waits, and its visitor has asked lately."""
    tickets = tables.tickets
    return and_(tickets.c.let_in_at == 0, still(tickets.c.live_until, clock), not_(still(tickets.c.held_until, clock)))


def facts_of(connection: Connection, clock: ColumnElement[float], ticket_id: int, pool: str) -> Facts:
    """What decides whether a ticket may go in."""
    tickets = tables.tickets
    in_pool, claiming = tickets.c.pool == pool, still(tickets.c.claiming_until, clock)
    counts = connection.execute(
        select(
            func.count().filter(tickets.c.id < ticket_id, is_live(clock) | claiming).label("ahead"),
            func.count().filter(tickets.c.id > ticket_id, claiming).label("behind"),
            func.coalesce(func.max(tickets.c.refused_at), 0.0).label("refused_at"),
        ).where(in_pool)
    ).one()
    let_in = connection.execute(
        select(tickets.c.node, tickets.c.let_in_at).where(in_pool, tickets.c.let_in_at > clock - BOARD_SECONDS)
    )
    return Facts(counts.ahead, counts.behind, counts.refused_at, [(row.node, row.let_in_at) for row in let_in])
