"""What the fleet ordered of nodes' pools: the image and the size that it wants, and the way back from the last move."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from redirector.model.events import Event
from redirector.model.nodes import PoolOrder
from redirector.store import tables
from redirector.store.database import Database
from redirector.store.journal import write_event


class Rolls:
    """Remembers an order for each pool of each node that was moved or resized."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, PoolOrder]]:
        """Every order, by node and pool. A pool without one is the node's own business."""
        orders: dict[str, dict[str, PoolOrder]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.rolls)):
                order = PoolOrder(row.image, row.image_before, row.capacity, row.moved_at)
                orders.setdefault(row.node, {})[row.pool] = order
        return orders

    def remember(self, node: str, pool: str, image: str, image_before: str, event: Event) -> None:
        """Remember what a pool was moved to and the way back, and note what happened."""
        order = {"image": image, "image_before": image_before, "moved_at": event.at}
        with self._database.writing() as connection:
            _put(connection, node, pool, order)
            write_event(connection, event)

    def remember_size(self, node: str, pool: str, capacity: int | None, event: Event) -> None:
        """Remember how large a pool was made, in sandboxes (None: as it was ordered before), and note what happened."""
        with self._database.writing() as connection:
            if capacity is not None:
                _put(connection, node, pool, {"capacity": capacity, "moved_at": event.at})
            write_event(connection, event)

    def agree(self, node: str, pool: str, **order: str | int) -> None:
        """Want what a pool has already; one of which nothing was ordered stays the node's own business."""
        with self._database.writing() as connection:
            _update(connection, node, pool, order)


def _put(connection: Connection, node: str, pool: str, order: Mapping[str, object]) -> None:
    if not _update(connection, node, pool, order):
        connection.execute(insert(tables.rolls).values({"node": node, "pool": pool, "image_before": "", **order}))


def _update(connection: Connection, node: str, pool: str, order: Mapping[str, object]) -> bool:
    rolls = tables.rolls
    statement = update(rolls).where(rolls.c.node == node, rolls.c.pool == pool).values(dict(order))
    return connection.execute(statement).rowcount > 0
