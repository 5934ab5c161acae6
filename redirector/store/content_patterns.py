"""What links may ask for beside the named contents."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, select

from redirector.model.content import ContentPattern
from redirector.model.events import Event
from redirector.store import tables
from redirector.store.boards import raise_version
from redirector.store.database import Database
from redirector.store.journal import write_event


class ContentPatterns:
    """Reads and changes patterns. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[ContentPattern]:
        """Every pattern, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.content_patterns).order_by(tables.content_patterns.c.pattern))
            return [ContentPattern(**row._mapping) for row in rows]  # noqa: SLF001  # documented

    def allow(self, pattern: ContentPattern, event: Event) -> bool:
        """Allow what a pattern matches; whether that changes anything: the pattern may be there for the same pool."""
        patterns = tables.content_patterns
        new = self._database.insert(patterns).values(**asdict(pattern))
        new = new.on_conflict_do_update(
            index_elements=[patterns.c.pattern],
            set_={name: new.excluded[name] for name in ("pool", "at", "by", "reason")},
            where=patterns.c.pool != new.excluded.pool,
        )
        with self._database.writing() as connection:
            changed = connection.execute(new.returning(patterns.c.pattern)).first() is not None
            if changed:
                write_event(connection, event)
                raise_version(connection, "contents")
            return changed

    def deny(self, pattern: str, event: Event) -> bool:
        """Allow it no longer; whether it was allowed."""
        patterns = tables.content_patterns
        with self._database.writing() as connection:
            changed = connection.execute(delete(patterns).where(patterns.c.pattern == pattern)).rowcount > 0
            if changed:
                write_event(connection, event)
                raise_version(connection, "contents")
            return changed
