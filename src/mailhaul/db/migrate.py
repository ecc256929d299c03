"""Brings a database to the tables of this mailhaul.

Every program that opens an installation calls `migrate` first: a fresh database gets all tables, an
older one what is new. Workers that start at the same time wait for one another. A database of a
newer mailhaul is refused: an old worker must not write what it doesn't know.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from mailhaul.core.errors import BadInput
from mailhaul.db.database import Database

_LOCK = 0x6D68_6462
"""Of PostgreSQL's advisory locks, the one that migrating holds."""


def migrate(database: Database) -> bool:
    """True when something was changed. Raises `BadInput` for a database of a newer mailhaul."""
    with database.read() as connection:
        # Mostly there is nothing to be done, and whoever only wants to look waits for no writer.
        if (
            revision(connection)
            == ScriptDirectory.from_config(_config(connection)).get_current_head()
        ):
            return False
    with database.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config(connection)
        scripts = ScriptDirectory.from_config(config)
        present = revision(connection)
        if present == scripts.get_current_head():
            return False
        if present is not None and present not in {
            each.revision for each in scripts.walk_revisions()
        }:
            raise BadInput(
                f"the database is of a newer mailhaul (revision {present}); upgrade this one too, "
                "or name another database with --database or --state"
            )
        command.upgrade(config, "head")
    return True


def revision(connection: Connection) -> str | None:
    """The revision that the database is at; None: it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config
