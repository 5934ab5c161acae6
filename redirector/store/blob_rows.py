"""What the object store and the nodes hold, as far as the worker knows. No blob is in the database, only rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import and_, delete, select, update

from redirector.model.content import BlobRow, NodeBlob
from redirector.store import tables
from redirector.store.database import Database


class BlobRows:
    """Reads and changes them. Times are by the database's clock. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, BlobRow]:
        """Every blob of the object store by digest, the one that was used longest ago first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.blobs).order_by(tables.blobs.c.used_at, tables.blobs.c.digest))
            return {row.digest: BlobRow(**row._mapping) for row in rows}  # noqa: SLF001  # documented

    def put(self, digest: str, size: int) -> None:
        """Note a blob of so many bytes that is in the object store now; one that was there is as if used."""
        clock = self._database.clock
        new = self._database.insert(tables.blobs).values(digest=digest, bytes=size, made_at=clock, used_at=clock)
        new = new.on_conflict_do_update(index_elements=["digest"], set_={"used_at": clock, "bytes": size})
        with self._database.writing() as connection:
            connection.execute(new)

    def used(self, digest: str) -> None:
        """Note that a blob was needed now."""
        blobs = tables.blobs
        with self._database.writing() as connection:
            connection.execute(update(blobs).where(blobs.c.digest == digest).values(used_at=self._database.clock))

    def delete(self, digest: str) -> None:
        """Forget a blob that the object store holds no more; nodes may hold it still."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.blobs).where(tables.blobs.c.digest == digest))

    def want_push(self, node: str, digest: str) -> None:
        """Ask for a blob on a node that lacks it, whatever was known before. Who asks again changes nothing."""
        rows, clock = tables.node_blobs, self._database.clock
        with self._database.reading() as connection:
            wanted = select(rows.c.node).where(_is(node, digest), rows.c.state == "wanted")
            if connection.execute(wanted).first() is not None:
                return
        self._put(node, digest, state="wanted", asked_at=clock, problem="")

    def wanted(self) -> list[NodeBlob]:
        """What somebody waits for on a node, in the order of asking: one cheap query."""
        rows = tables.node_blobs
        with self._database.reading() as connection:
            query = select(rows).where(rows.c.state == "wanted").order_by(rows.c.asked_at, rows.c.node, rows.c.digest)
            return [NodeBlob(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001  # documented

    def pushed(self, node: str, digest: str) -> None:
        """Note that a node holds a blob."""
        self._put(node, digest, state="there", problem="")

    def push_failed(self, node: str, digest: str, problem: str) -> None:
        """Note why a node did not take a blob; whoever still needs it there asks again."""
        self._put(node, digest, state="failed", problem=problem)

    def holds(self, node: str, digests: Collection[str]) -> None:
        """Note all that a node holds: what it evicted is there no more, what is wanted or failed otherwise stays so."""
        rows = tables.node_blobs
        with self._database.reading() as connection:
            there = set(
                connection.execute(select(rows.c.digest).where(rows.c.node == node, rows.c.state == "there")).scalars()
            )
        gone = there.difference(digests)
        if gone:
            with self._database.writing() as connection:
                connection.execute(
                    delete(rows).where(rows.c.node == node, rows.c.state == "there", rows.c.digest.in_(gone))
                )
        for digest in sorted(set(digests) - there):
            self._put(node, digest, state="there", problem="")

    def holders(self) -> dict[str, dict[str, NodeBlob]]:
        """What is known of every blob on every node, by digest and node."""
        holders: dict[str, dict[str, NodeBlob]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(select(tables.node_blobs).order_by(tables.node_blobs.c.node)):
                holders.setdefault(row.digest, {})[row.node] = NodeBlob(**row._mapping)  # noqa: SLF001  # documented
        return holders

    def mark(self) -> str:
        """The random mark that the object store has to carry as well, if it belongs to this database."""
        marks = tables.marks
        with self._database.reading() as connection:
            return str(connection.execute(select(marks.c.value).where(marks.c.name == "blobs")).scalar_one())

    def _put(self, node: str, digest: str, **values: Any) -> None:
        values = {"at": self._database.clock, **values}
        new = self._database.insert(tables.node_blobs).values(
            {"node": node, "digest": digest, "asked_at": 0.0, **values}
        )
        new = new.on_conflict_do_update(index_elements=["node", "digest"], set_=values)
        with self._database.writing() as connection:
            connection.execute(new)


def _is(node: str, digest: str) -> Any:
    rows = tables.node_blobs
    return and_(rows.c.node == node, rows.c.digest == digest)
