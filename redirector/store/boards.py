"""The board in the database: one document in numbered versions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, exists, select, update

from redirector.model.board import Board, parse_seen, seen_text
from redirector.store import tables
from redirector.store.database import Database
from redirector.store.leases import POLLER


@dataclass(frozen=True, slots=True)
class Versions:
    """The numbers that tell a reader whether there is anything new."""

    registry: int
    board: int
    contents: int


class Boards:
    """Publishes and reads versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def versions(self) -> Versions:
        """The current numbers: one cheap query."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.documents.c.name, tables.documents.c.version))
            numbers = {row.name: row.version for row in rows}
        return Versions(numbers["registry"], numbers["board"], numbers["contents"])

    def latest(self) -> Board:
        """The current version."""
        documents = tables.documents
        with self._database.reading() as connection:
            row = connection.execute(select(documents).where(documents.c.name == "board")).one()
        return Board(row.published_at, row.holder, parse_seen(row.document))

    def publish(self, board: Board) -> bool:
        """Make this the version that follows the current one; False if another worker polls now.

        Invariant: only the lease's holder publishes. One that was asleep while the lease went to another finds that out
        here.
        """
        documents, leases = tables.documents, tables.leases
        document = seen_text(board)
        holds = exists().where(leases.c.name == POLLER, leases.c.holder == board.holder)
        with self._database.writing() as connection:
            done = connection.execute(
                update(documents)
                .where(documents.c.name == "board", holds)
                .values(
                    version=documents.c.version + 1,
                    published_at=board.published_at,
                    holder=board.holder,
                    document=document,
                )
            )
            return done.rowcount == 1


def raise_version(connection: Connection, document: str) -> None:
    """Let every worker know, within a transaction of somebody else's, that there is something new to read."""
    documents = tables.documents
    connection.execute(update(documents).where(documents.c.name == document).values(version=documents.c.version + 1))
