"""Databases with the fleet's schema, made quickly: an empty SQLite file is a copy of one that was migrated once."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from redirector.store.database import Database
from redirector.store.schema import migrate

SQLITE = "sqlite:///"


def prepare(url: str) -> None:
    """Bring a database to the schema; one that is there already keeps what it holds."""
    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_migrated(), path)
        return
    _migrate(url)


@cache
def _migrated() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="tmpnb-schema-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "fleet.db"
    _migrate(f"{SQLITE}{path}")
    return path


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()
