"""What happened: events for people, counters for charts, passive checks for the one that polls. Written in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from redirector.model.events import Event, PassiveCheck
from redirector.store import tables
from redirector.store.database import Database

KEPT_EVENTS = 20_000
"""Older ones go. A fleet writes a few hundred a day."""

PASSIVE_CHECKS_AT_ONCE = 1000
"""A tick takes so many at most: databases bound the parameters of a statement, and there may be a long time of them."""

KEPT_MINUTES = 24 * 60
"""Charts show an hour; a day is kept for whoever looks in the morning."""


class Journal:
    """Writes what workers collected, in one transaction, and reads it back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, events: Sequence[Event], counts: Mapping[str, int], passive_checks: Sequence[PassiveCheck]) -> None:
        """Write a batch: all of it or nothing."""
        # Names in order, so that two workers who count the same things cannot wait for each other.
        added = [{"name": name, "value": counts[name]} for name in sorted(counts)]
        with self._database.writing() as connection:
            for event in events:
                write_event(connection, event)
            if passive_checks:
                connection.execute(
                    insert(tables.passive_checks), [{**asdict(one), "proved": one.passed} for one in passive_checks]
                )
            if added:
                connection.execute(self._counting(tables.counters), added)
                connection.execute(self._counting(tables.minutes, minute=self._database.minute), added)

    def events(
        self, since: int = 0, limit: int = 100, *, not_before: float = 0.0, not_after: float = 0.0, node: str = ""
    ) -> list[Event]:
        """Events after an id, oldest first; without one (0) the newest `limit`.

        `not_before` and `not_after` are times (0: any), `node` is whose (empty: everybody's).
        """
        events = tables.events
        query = select(events).where(events.c.at >= not_before).limit(limit)
        if not_after:
            query = query.where(events.c.at <= not_after)
        if node:
            query = query.where(events.c.node == node)
        query = query.where(events.c.id > since).order_by(events.c.id) if since else query.order_by(events.c.id.desc())
        with self._database.reading() as connection:
            found = [Event(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001  # documented
        return sorted(found, key=lambda event: event.id or 0)

    def counters(self) -> dict[str, int]:
        """Every counter there is."""
        with self._database.reading() as connection:
            return {row.name: row.value for row in connection.execute(select(tables.counters))}

    def minutes(self, count: int) -> dict[str, list[int]]:
        """What every counter grew by in each of the last minutes, oldest first; the last one is still under way."""
        minutes = tables.minutes
        with self._database.reading() as connection:
            now = int(connection.execute(select(self._database.minute)).scalar_one())
            rows = connection.execute(select(minutes).where(minutes.c.minute > now - count)).all()
        grown: dict[str, list[int]] = {}
        for row in rows:
            if row.minute <= now:
                grown.setdefault(row.name, [0] * count)[row.minute - now - 1] = row.value
        return grown

    def take_passive_checks(self) -> list[PassiveCheck]:
        """The oldest passive checks, in order; they are gone from the database then."""
        passive_checks = tables.passive_checks
        with self._database.reading() as connection:
            if connection.execute(select(passive_checks.c.id).limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            rows = connection.execute(
                select(passive_checks).order_by(passive_checks.c.id).limit(PASSIVE_CHECKS_AT_ONCE)
            ).all()
            if rows:
                # Just those: on PostgreSQL another worker may be writing one whose number is lower.
                connection.execute(delete(passive_checks).where(passive_checks.c.id.in_([row.id for row in rows])))
            return [PassiveCheck(row.node, bool(row.passed), row.reason) for row in rows]

    def forget(self, keep: int = KEPT_EVENTS) -> None:
        """Delete all events but the newest, and the minutes of yesterday."""
        events = tables.events
        oldest = select(events.c.id).order_by(events.c.id.desc()).offset(keep).limit(1).scalar_subquery()
        with self._database.writing() as connection:
            connection.execute(delete(events).where(events.c.id <= oldest))
            connection.execute(
                delete(tables.minutes).where(tables.minutes.c.minute < self._database.minute - KEPT_MINUTES)
            )

    def _counting(self, table: Table, **given: ColumnElement[int]) -> sqlite.Insert | postgresql.Insert:
        """Add to the row of that name, or make it."""
        statement = self._database.insert(table).values(name=bindparam("name"), value=bindparam("value"), **given)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_={"value": table.c.value + statement.excluded.value}
        )


def write_event(connection: Connection, event: Event) -> None:
    """Write one event within a transaction of somebody else's."""
    values = asdict(event)
    del values["id"]
    connection.execute(insert(tables.events).values(**values))
