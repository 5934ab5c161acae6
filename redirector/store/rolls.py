"""What the pools of nodes were last moved to, and where they came from: what the fleet wants, and the way back."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from redirector.model.events import Event
from redirector.model.nodes import WantedImage
from redirector.store import tables
from redirector.store.database import Database
from redirector.store.journal import write_event


class Rolls:
    """Remembers two images for each pool of each node that was moved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, str]]:
        """The image before, by node and pool."""
        found: dict[str, dict[str, str]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.rolls)):
                found.setdefault(row.node, {})[row.pool] = row.image_before
        return found

    def wanted(self) -> dict[str, dict[str, WantedImage]]:
        """What the fleet wants pools to run, by node and pool; only of those that it has moved."""
        found: dict[str, dict[str, WantedImage]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.rolls).where(tables.rolls.c.image != "")):
                found.setdefault(row.node, {})[row.pool] = WantedImage(row.image, row.moved_at)
        return found

    def remember(self, node: str, pool: str, image: str, image_before: str, event: Event) -> None:
        """Remember what a pool was moved to and the way back, and note what happened."""
        rolls = tables.rolls
        row = {"node": node, "pool": pool, "image": image, "image_before": image_before, "moved_at": event.at}
        with self._database.writing() as connection:
            connection.execute(delete(rolls).where(rolls.c.node == node, rolls.c.pool == pool))
            connection.execute(insert(rolls).values(**row))
            write_event(connection, event)

    def agree(self, node: str, pool: str, image: str) -> None:
        """Want what a pool has already; one that was never moved is the node's own business."""
        rolls = tables.rolls
        with self._database.writing() as connection:
            connection.execute(update(rolls).where(rolls.c.node == node, rolls.c.pool == pool).values(image=image))
