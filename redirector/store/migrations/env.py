"""Alembic runs this for every command: the connection and its transaction come from `redirector.store.schema`."""

from alembic import context

from redirector.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional too once the driver leaves BEGIN to us.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
