"""The fleet's own key for visitors' cookies. The first migration makes it; it is never changed."""

from __future__ import annotations

from sqlalchemy import select

from redirector.store import tables
from redirector.store.database import Database


def read_signing_key(database: Database) -> str:
    """Read the key.

    Raises:
        DatabaseAwayError: it cannot be read now.
    """
    keys = tables.signing_keys
    with database.reading() as connection:
        return str(connection.execute(select(keys.c.value).where(keys.c.name == "visitors")).scalar_one())
