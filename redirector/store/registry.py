"""The registry: which nodes there are and what the operator wants of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from redirector.model.events import Event
from redirector.model.nodes import Node
from redirector.store import tables
from redirector.store.boards import raise_version
from redirector.store.database import Database
from redirector.store.journal import write_event
from redirector.store.leases import node_lease

LOCK = 0x746D706E63
"""The advisory lock of PostgreSQL under which the registry changes, one operator at a time."""


class Registry:
    """Reads, and opens the transactions in which the registry changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, Node]:
        """Every node by name, in the order of names."""
        with self._database.reading() as connection:
            return _all(connection)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """A transaction in which to look, decide and write; others wait until it ends.

        Invariant: what was read in here is still so when it commits, so that two operators cannot drain the last two
        nodes at the same moment, each thinking of the other's as the one that stays.
        """
        with self._database.writing() as connection:
            if self._database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield Change(connection)


class Change:
    """The registry inside of one such transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, Node]:
        """Every node by name."""
        return _all(self._connection)

    def add(self, node: Node) -> None:
        """Add a node whose name and URL are free."""
        self._connection.execute(insert(tables.nodes).values(**asdict(node)))
        raise_version(self._connection, "registry")

    def put(self, node: Node) -> Node:
        """Write a node back, as the row's next version."""
        written = replace(node, version=node.version + 1)
        self._connection.execute(update(tables.nodes).where(tables.nodes.c.name == node.name).values(**asdict(written)))
        raise_version(self._connection, "registry")
        return written

    def remove(self, name: str) -> None:
        """Forget a node; one that is gone already is a success."""
        self._connection.execute(delete(tables.nodes).where(tables.nodes.c.name == name))
        self._connection.execute(delete(tables.rolls).where(tables.rolls.c.node == name))
        self._connection.execute(delete(tables.node_blobs).where(tables.node_blobs.c.node == name))
        self._connection.execute(delete(tables.leases).where(tables.leases.c.name == node_lease(name)))
        raise_version(self._connection, "registry")

    def note(self, event: Event) -> None:
        """Write the event that goes with the change: either both last or neither."""
        write_event(self._connection, event)


def _all(connection: Connection) -> dict[str, Node]:
    rows = connection.execute(select(tables.nodes).order_by(tables.nodes.c.name))
    return {row.name: _node(row) for row in rows}


def _node(row: Row[tuple[object, ...]]) -> Node:
    return Node(**row._mapping)  # noqa: SLF001  # the documented way to a row's columns by name
