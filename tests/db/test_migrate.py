"""Migrations lead to `db.tables`, on both databases."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate, revision
from tests.servers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database without tables."""
    if request.param == "sqlite":
        database = open_database(None, tmp_path / "state")
    else:
        server = request.getfixturevalue("postgres")
        assert isinstance(server, Postgres)
        database = open_database(server.database(), tmp_path / "state")
    request.addfinalizer(database.close)
    return database


def test_a_fresh_database_gets_the_tables_as_they_stand_in_the_code(empty: Database) -> None:
    assert migrate(empty)
    with empty.begin() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []


def test_a_second_time_changes_nothing(empty: Database) -> None:
    assert migrate(empty)
    assert not migrate(empty)


def test_a_database_of_a_newer_mailhaul_is_refused(empty: Database) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadInput, match="of a newer mailhaul"):
        migrate(empty)


def test_what_fails_half_way_leaves_nothing(empty: Database) -> None:
    # A table of somebody else's stands in the way of one in the middle.
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE mailbox (mine INTEGER)"))
    with pytest.raises(Exception, match="mailbox"):
        migrate(empty)
    with empty.begin() as connection:
        assert inspect(connection).get_table_names() == ["mailbox"]
        assert revision(connection) is None


def test_the_views_are_those_of_the_code(postgres: Postgres, tmp_path: Path) -> None:
    migrated = open_database(postgres.database(), tmp_path)
    made = open_database(postgres.database(), tmp_path)
    migrate(migrated)
    with made.begin() as connection:
        tables.metadata.create_all(connection)
        for statement in tables.VIEWS:
            connection.execute(text(statement))
        expected = views(connection)
    with migrated.begin() as connection:
        assert views(connection) == expected
    assert len(expected) == 4
    migrated.close()
    made.close()


def views(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(
        text("SELECT viewname, definition FROM pg_views WHERE schemaname = 'ledger' ORDER BY 1")
    )
    return [(row.viewname, row.definition) for row in rows]
