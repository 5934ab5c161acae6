"""Bring the database to the schema of this version, once, also when several redirectors start at the same moment."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from redirector.errors import SchemaTooNewError
from redirector.store.database import Database
from tmpnb_common.log_lines import fields

log = logging.getLogger("store")

LOCK = 0x746D706E62
"""The advisory lock of PostgreSQL under which schemas change: the letters of tmpnb."""


VERSIONS = Path(__file__).parent / "migrations" / "versions"
"""The directory of the migrations, one file for each change of the schema that a release brought."""


def migrate(database: Database, *, versions: Sequence[Path] = (VERSIONS,)) -> None:
    """Make the schema current. All of it happens in one transaction, under a lock.

    Args:
        database: the one to upgrade.
        versions: the directories that hold the migrations.

    Raises:
        SchemaTooNewError: a newer version of this program has been here; nothing was changed.
        DatabaseRefusedError: the database cannot be used until an operator has changed something.
        DatabaseAwayError: it cannot be used now.
    """
    database.make_file()
    with database.changing_schema() as connection:
        if database.dialect == "postgresql":
            # Whoever has to wait does so for as long as the other's migration takes.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = configuration(connection, versions)
        current = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise SchemaTooNewError(current)
        newest = scripts.get_current_head()
        if current != newest:
            command.upgrade(config, "head")
    if current is not None and current != newest:
        log.info("the database was upgraded", extra=fields(schema=newest, before=current))


def configuration(connection: Connection, versions: Sequence[Path] = (VERSIONS,)) -> Config:
    """Alembic's configuration for a connection whose transaction is ours."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent).replace("%", "%%"))
    config.set_main_option("version_locations", os.pathsep.join(map(str, versions)).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
