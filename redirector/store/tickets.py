"""The tickets of the waiting room, for all workers on all hosts. All times are by the database's clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, text, update

from redirector.model.clients import PlaceBound
from redirector.model.outcomes import DenialReason
from redirector.model.waiting_room import (
    LATELY_SECONDS,
    LetIn,
    Line,
    Offer,
    Queue,
    live_seconds,
    may_enter,
    queue_of,
)
from redirector.store import tables
from redirector.store.database import Database
from redirector.store.ticket_rows import (
    CLAIM_SECONDS,
    KEPT_SECONDS,
    LOCK,
    Ticket,
    TicketAnswer,
    facts_of,
    is_live,
    still,
)


class Tickets:
    """Reads and changes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self) -> Queue:
        """Everyone who waits, in order, and who went in lately."""
        tickets, clock = tables.tickets, self._database.clock
        waiting = select(tickets.c.pool, tickets.c.ticket).where(is_live(self._database.clock)).order_by(tickets.c.id)
        lately = (
            select(
                tickets.c.pool, func.count().label("count"), (clock - func.min(tickets.c.let_in_at)).label("seconds")
            )
            .where(tickets.c.let_in_at > clock - LATELY_SECONDS)
            .group_by(tickets.c.pool)
        )
        with self._database.reading() as connection:
            rows = connection.execute(waiting).all()
            rates = connection.execute(lately).all()
        return queue_of(
            [(row.pool, row.ticket) for row in rows], {row.pool: LetIn(row[1], row.seconds) for row in rates}
        )

    def lines(self) -> dict[str, Line]:
        """The same in numbers, by pool."""
        tickets, clock = tables.tickets, self._database.clock
        live, let_in = is_live(self._database.clock), tickets.c.let_in_at > clock - LATELY_SECONDS
        query = select(
            tickets.c.pool,
            func.count().filter(live).label("waiting"),
            (clock - func.min(tickets.c.joined_at).filter(live)).label("first_seconds"),
            func.count().filter(let_in).label("let_in"),
            func.coalesce(clock - func.min(tickets.c.let_in_at).filter(let_in), 0.0).label("over_seconds"),
        ).group_by(tickets.c.pool)
        with self._database.reading() as connection:
            return {
                row.pool: Line(row.waiting, row.first_seconds, LetIn(row.let_in, row.over_seconds))
                for row in connection.execute(query.order_by(tickets.c.pool))
                if row.waiting or row.let_in
            }

    def anyone(self, pool: str) -> bool:
        """Whether anybody waits for that pool at this moment."""
        with self._database.reading() as connection:
            query = (
                select(tables.tickets.c.id).where(is_live(self._database.clock), tables.tickets.c.pool == pool).limit(1)
            )
            return connection.execute(query).first() is not None

    def find(self, ticket: str) -> Ticket | None:
        """One ticket; None if nobody knows it any more."""
        tickets = tables.tickets
        with self._database.reading() as connection:
            query = select(tickets.c.ticket, tickets.c.pool, tickets.c.node).where(tickets.c.ticket == ticket)
            row = connection.execute(query).one_or_none()
        return None if row is None else Ticket(row.ticket, row.pool, row.node)

    def join(
        self,
        ticket: Ticket,
        *,
        limit: int,
        bounds: Sequence[PlaceBound] = (),
        held_seconds: float,
        interval: float,
        refused: bool,
    ) -> int | DenialReason:
        """Put a ticket at the end; how many stand before it there, or why it gets no place.

        Args:
            ticket: who.
            limit: how many may wait, all pools together.
            bounds: likewise, of its client and of the networks around it, the narrowest first.
            held_seconds: for so long it lets others pass, since its client has had more than its share.
            interval: when its page asks for the first time, in seconds from now.
            refused: it was just refused by all nodes.
        """
        tickets, clock = tables.tickets, self._database.clock
        with self._changing() as connection:
            waiting = and_(tickets.c.let_in_at == 0, still(tickets.c.live_until, self._database.clock))
            ahead = func.count().filter(is_live(self._database.clock), tickets.c.pool == ticket.pool)
            held = [func.count().filter(tickets.c.client.startswith(bound.client)) for bound in bounds]
            everyone, before, *places = connection.execute(
                select(func.count(), ahead, *held).select_from(tickets).where(waiting)
            ).one()
            if everyone >= limit:
                return DenialReason.CROWDED
            if any(count >= bound.most for count, bound in zip(places, bounds, strict=True)):
                return DenialReason.LIMITED
            connection.execute(
                insert(tickets).values(
                    ticket=ticket.ticket,
                    pool=ticket.pool,
                    live_until=clock + live_seconds(interval),
                    held_until=clock + held_seconds if held_seconds else 0.0,
                    claiming_until=0.0,
                    refused_at=clock if refused else 0.0,
                    let_in_at=0.0,
                    node="",
                    joined_at=clock,
                    client=bounds[0].client if bounds else "",
                )
            )
            return int(before)

    def enter(self, ticket: str, pool: str, offers: Sequence[Offer], *, interval: float) -> TicketAnswer:
        """Let a ticket in if it is its turn; it has asked, and so lives on. One of another pool is unknown.

        Invariant: decided and written in one transaction, one at a time: no two tickets are let in for one slot.
        """
        tickets, clock = tables.tickets, self._database.clock
        with self._changing() as connection:
            row = connection.execute(
                select(
                    tickets.c.id,
                    tickets.c.node,
                    still(tickets.c.held_until, self._database.clock).label("held"),
                    still(tickets.c.claiming_until, self._database.clock).label("claiming"),
                ).where(tickets.c.ticket == ticket, tickets.c.pool == pool)
            ).one_or_none()
            if row is None:
                return TicketAnswer("unknown")
            if row.node:
                return TicketAnswer("done")
            facts = facts_of(connection, self._database.clock, row.id, pool)
            enters = not (row.held or row.claiming) and may_enter(facts, offers)
            connection.execute(
                update(tickets)
                .where(tickets.c.id == row.id)
                .values(
                    live_until=clock + live_seconds(interval),
                    claiming_until=clock + CLAIM_SECONDS if enters else tickets.c.claiming_until,
                )
            )
        if row.held or row.claiming:
            return TicketAnswer("throttled" if row.held else "claiming", facts.ahead)
        return TicketAnswer("enter" if enters else "wait", facts.ahead)

    def got(self, ticket: str, node: str) -> float | None:
        """It has its sandbox, and no longer stands before anybody.

        Returns:
            How many seconds it waited; None if nobody knows the ticket any more.
        """
        tickets, clock = tables.tickets, self._database.clock
        with self._database.writing() as connection:
            row = connection.execute(
                update(tickets)
                .where(tickets.c.ticket == ticket)
                .values(let_in_at=clock, node=node, claiming_until=0.0)
                .returning(tickets.c.joined_at, clock.label("now"))
            ).one_or_none()
        return max(0.0, row.now - row.joined_at) if row is not None and row.joined_at else None

    def refused(self, ticket: str) -> None:
        """It was let in and found nothing. It keeps its place."""
        self._put(ticket, refused_at=self._database.clock, claiming_until=0.0)

    def leave(self, ticket: str) -> None:
        """It no longer waits, or its sandbox is gone."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.tickets).where(tables.tickets.c.ticket == ticket))

    def saw(self, intervals: Mapping[str, float]) -> None:
        """These have asked; by ticket, when each asks again."""
        tickets, clock = tables.tickets, self._database.clock
        statement = (
            update(tickets)
            .where(tickets.c.ticket == bindparam("asked"))
            .values(live_until=clock + bindparam("seconds", type_=tickets.c.live_until.type))
        )
        # In order, so that two workers that write the same tickets cannot wait for each other.
        rows = [{"asked": ticket, "seconds": live_seconds(intervals[ticket])} for ticket in sorted(intervals)]
        with self._database.writing() as connection:
            connection.execute(statement, rows)

    def sweep(self) -> None:
        """Forget tickets that are long gone. Without any this writes nothing."""
        tickets, clock = tables.tickets, self._database.clock
        gone = and_(tickets.c.let_in_at == 0, tickets.c.live_until < clock - KEPT_SECONDS)
        done = and_(tickets.c.let_in_at > 0, tickets.c.let_in_at < clock - LATELY_SECONDS)
        with self._database.reading() as connection:
            if connection.execute(select(tickets.c.id).where(gone | done).limit(1)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(delete(tickets).where(gone | done))

    def _put(self, ticket: str, **values: object) -> None:
        with self._database.writing() as connection:
            connection.execute(update(tables.tickets).where(tables.tickets.c.ticket == ticket).values(**values))

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            if self._database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
