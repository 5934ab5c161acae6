"""What operators and links named, and what came of it. Each change that visitors have to know is a new version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.engine import Row

from redirector.model.content import (
    MOST_UNNAMED,
    UNNAMED,
    Content,
    DuplicateContentError,
    FetchedBlob,
    PoolHasContentError,
    TooManyContentsError,
    UnknownContentError,
    unnamed,
)
from redirector.model.events import Event
from redirector.model.sources import Source
from redirector.store import tables
from redirector.store.boards import raise_version
from redirector.store.database import Database
from redirector.store.journal import write_event
from redirector.store.leases import content_lease

LOCK = 0x746D706E64
"""The advisory lock of PostgreSQL under which contents are added, one at a time."""

UNUSED_SECONDS = 7 * 86400.0
"""An unnamed content that no link asked for goes after so long."""

UNFETCHED_SECONDS = 3600.0
"""One of which nothing was ever fetched goes after so long: mistyped links leave such."""

TOUCH_SECONDS = 3600.0
"""So coarsely it is noted when a link last asked for a content."""


class Contents:
    """Reads and changes contents. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, Content]:
        """Every content by name, in the order of names."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.contents).order_by(tables.contents.c.name))
            return {row.name: _content(row) for row in rows}

    def add(self, content: Content, event: Event) -> None:
        """Add a content; its first fetch is due at once.

        Raises:
            DuplicateContentError: the name is taken.
            PoolHasContentError: it is for all sandboxes of a pool that has such a content.
        """
        with self._adding() as connection:
            there = _read(connection, content.name)
            if there is not None:
                raise DuplicateContentError(content.name, there.source, there.by)
            if content.whole_pool:
                contents = tables.contents
                query = select(contents.c.name).where(contents.c.pool == content.pool, contents.c.whole_pool)
                other = connection.execute(query).scalar()
                if other is not None:
                    raise PoolHasContentError(content.pool, other)
            self._insert(connection, content)
            write_event(connection, event)

    def want_link(self, source: Source, pool: str) -> Content:
        """The unnamed content of a source that a link asked for; it is made, and its fetch is due, if there is none.

        Raises:
            TooManyContentsError: links have asked for too many others.
        """
        name = unnamed(source, pool)
        with self._database.reading() as connection:
            content = _read(connection, name)
        if content is None:
            with self._adding() as connection:
                content = _read(connection, name)
                if content is None:
                    count = select(func.count()).where(tables.contents.c.name.startswith(UNNAMED))
                    if connection.execute(count).scalar_one() >= MOST_UNNAMED:
                        raise TooManyContentsError
                    self._insert(connection, Content(name, source.text, pool))
                    content = _read(connection, name)
                    assert content is not None
        return content

    def remove(self, name: str, event: Event) -> None:
        """Forget a content.

        Raises:
            UnknownContentError: there is none of that name.
        """
        with self._database.writing() as connection:
            if not connection.execute(delete(tables.contents).where(tables.contents.c.name == name)).rowcount:
                raise UnknownContentError(name)
            _forget_lease(connection, [name])
            write_event(connection, event)
            raise_version(connection, "contents")

    def want_refresh(self, name: str, event: Event | None = None) -> None:
        """Ask for a fetch. One that was asked for already is asked for once more: the forge may have news since then.

        Raises:
            UnknownContentError: there is no content of that name.
        """
        with self._database.writing() as connection:
            contents = tables.contents
            wanted = update(contents).where(contents.c.name == name).values(wanted_at=self._database.clock)
            if not connection.execute(wanted).rowcount:
                raise UnknownContentError(name)
            if event is not None:
                write_event(connection, event)
            raise_version(connection, "contents")

    def fetched(self, content: Content, blob: FetchedBlob, event: Event | None = None) -> bool:
        """Write what a fetch brought.

        Args:
            content: the row as it was read before the fetch began, so that a later wish for a fetch is not lost.
            blob: what the content is now.
            event: what happened, for people; None: nothing that they need to know.

        Returns:
            Whether the content is still there; else nothing was written, the event neither.
        """
        clock, values = self._database.clock, asdict(blob)
        news = bool(content.problem) or any(getattr(content, key) != value for key, value in values.items())
        return self._finish(
            content, event, news=news, **values, fetched_at=clock, checked_at=clock, problem="", problem_since=0.0
        )

    def failed(self, content: Content, problem: str, event: Event | None = None) -> bool:
        """Write why a fetch failed; what was fetched before stays. Arguments and result as of `fetched`."""
        clock = self._database.clock
        since = {} if content.problem else {"problem_since": clock}
        news = content.problem != problem
        return self._finish(content, event, news=news, problem=problem, checked_at=clock, **since)

    def touch(self, name: str) -> None:
        """Note that a link asked for a content now, if that was not noted within the hour."""
        contents, clock = tables.contents, self._database.clock
        stale = and_(contents.c.name == name, contents.c.used_at < clock - TOUCH_SECONDS)
        with self._database.reading() as connection:
            if connection.execute(select(contents.c.name).where(stale)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(update(contents).where(stale).values(used_at=clock))

    def forget_unused(self) -> list[str]:
        """Delete the unnamed contents that no link asked for any more, and return their names."""
        contents, clock = tables.contents, self._database.clock
        unused = and_(
            contents.c.name.startswith(UNNAMED),
            or_(
                contents.c.used_at < clock - UNUSED_SECONDS,
                and_(contents.c.digest == "", contents.c.used_at < clock - UNFETCHED_SECONDS),
            ),
        )
        with self._database.reading() as connection:
            if connection.execute(select(contents.c.name).where(unused).limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            names = list(connection.execute(select(contents.c.name).where(unused)).scalars())
            connection.execute(delete(contents).where(contents.c.name.in_(names)))
            _forget_lease(connection, names)
            raise_version(connection, "contents")
        return names

    def _finish(self, content: Content, event: Event | None, *, news: bool, **values: Any) -> bool:
        contents = tables.contents
        same = and_(
            contents.c.name == content.name,
            contents.c.source == content.source,
            contents.c.added_at == content.added_at,
        )
        with self._database.writing() as connection:
            if not connection.execute(update(contents).where(same).values(**values)).rowcount:
                return False
            served = and_(same, contents.c.wanted_at == content.wanted_at)
            connection.execute(update(contents).where(served).values(wanted_at=0.0))
            if event is not None:
                write_event(connection, event)
            if news:
                raise_version(connection, "contents")
            return True

    @contextmanager
    def _adding(self) -> Iterator[Connection]:
        """A transaction in which no other content is added: what was looked up in it still holds when it ends."""
        with self._database.writing() as connection:
            if self._database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection

    def _insert(self, connection: Connection, content: Content) -> None:
        clock = self._database.clock
        connection.execute(insert(tables.contents).values({**asdict(content), "wanted_at": clock, "used_at": clock}))
        raise_version(connection, "contents")


def _content(row: Row[Any]) -> Content:
    return Content(**row._mapping)  # noqa: SLF001  # the documented way to a row's columns by name


def _read(connection: Connection, name: str) -> Content | None:
    row = connection.execute(select(tables.contents).where(tables.contents.c.name == name)).one_or_none()
    return None if row is None else _content(row)


def _forget_lease(connection: Connection, names: list[str]) -> None:
    leases = [content_lease(name) for name in names]
    connection.execute(delete(tables.leases).where(tables.leases.c.name.in_(leases)))
