"""Where the pools of nodes came from when they were last moved to another image: the way back."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from redirector.store import tables
from redirector.store.database import Database
from redirector.store.journal import Event, write_event


class Rolls:
    """Remembers one image for each pool of each node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, str]]:
        """The image before, by node and pool."""
        found: dict[str, dict[str, str]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.rolls)):
                found.setdefault(row.node, {})[row.pool] = row.image_before
        return found

    def remember(self, node: str, pool: str, image_before: str, event: Event) -> None:
        """Remember the way back, and note what happened."""
        rolls = tables.rolls
        with self._database.writing() as connection:
            connection.execute(delete(rolls).where(rolls.c.node == node, rolls.c.pool == pool))
            connection.execute(insert(rolls).values(node=node, pool=pool, image_before=image_before))
            write_event(connection, event)
