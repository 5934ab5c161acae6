"""What workers say of themselves, a row for each host: when they last lived, and what keeps them from working."""

from __future__ import annotations

from sqlalchemy import delete, select

from redirector.model.content_alarms import WorkerReport
from redirector.store import tables
from redirector.store.database import Database

PREFIX = "worker:"
FORGOTTEN_SECONDS = 86400.0
"""A host whose worker was silent for a day is not coming back."""


class WorkerReports:
    """Reads and writes them. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, host: str, problem: str) -> None:
        """Say that this host's worker lives."""
        documents, clock = tables.documents, self._database.clock
        # Row names are bounded; hosts' names are longer now and then, and differ at their beginnings.
        name = (PREFIX + host)[:32]
        new = self._database.insert(documents).values(
            name=name, version=0, published_at=clock, holder=host, document=problem
        )
        new = new.on_conflict_do_update(
            index_elements=["name"], set_={"published_at": clock, "holder": host, "document": problem}
        )
        with self._database.writing() as connection:
            connection.execute(new)
            connection.execute(
                delete(documents).where(
                    documents.c.name.startswith(PREFIX), documents.c.published_at < clock - FORGOTTEN_SECONDS
                )
            )

    def all(self) -> list[WorkerReport]:
        """Every host's, in the order of names."""
        documents = tables.documents
        with self._database.reading() as connection:
            rows = connection.execute(
                select(documents).where(documents.c.name.startswith(PREFIX)).order_by(documents.c.name)
            )
            return [WorkerReport(row.holder, row.published_at, row.document) for row in rows]
