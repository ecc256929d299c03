"""Alembic's entry: runs revisions on the connection that `db.migrate` hands over."""

from alembic import context

from mailhaul.db import tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    # SQLite can't alter a column in place: Alembic then copies the table.
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
