"""Who only reads waits for nobody, sees one moment, and can't write; on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DBAPIError

from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate
from tests.servers.postgres import Postgres

PLANS = select(func.count()).select_from(tables.plan)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    server = request.getfixturevalue("postgres")
    assert isinstance(server, Postgres)
    return server.database()


@pytest.fixture
def database(request: pytest.FixtureRequest, url: str | None, tmp_path: Path) -> Database:
    opened = open_database(url, tmp_path)
    request.addfinalizer(opened.close)
    migrate(opened)
    return opened


def a_plan(name: str) -> dict[str, object]:
    return {"name": name, "text": "{}", "directory": "/", "state": "running", "loaded_at": 0.0}


def test_reading_goes_on_while_a_writer_holds_the_lock(
    database: Database, url: str | None, tmp_path: Path
) -> None:
    with database.begin() as writer:
        writer.execute(insert(tables.plan).values(a_plan("acme")))
        with database.read() as reader:
            assert reader.execute(PLANS).scalar_one() == 0
        # As another process would, from its begin.
        other = open_database(url, tmp_path)
        assert not migrate(other)
        with other.read() as reader:
            assert reader.execute(PLANS).scalar_one() == 0
        other.close()
    with database.read() as reader:
        assert reader.execute(PLANS).scalar_one() == 1


def test_what_is_read_is_of_one_moment_and_keeps_no_writer_waiting(database: Database) -> None:
    with database.read() as reader:
        assert reader.execute(PLANS).scalar_one() == 0
        with database.begin() as writer:
            writer.execute(insert(tables.plan).values(a_plan("acme")))
        assert reader.execute(PLANS).scalar_one() == 0


async def test_several_questions_of_a_reading_run_are_answered_as_of_one_moment(
    database: Database,
) -> None:
    def ask(connection: Connection) -> tuple[int, int]:
        before = connection.execute(PLANS).scalar_one()
        with database.begin() as writer:
            writer.execute(insert(tables.plan).values(a_plan("acme")))
        return before, connection.execute(PLANS).scalar_one()

    assert await database.run(ask, reading=True) == (0, 0)


def test_who_reads_can_not_write_and_leaves_no_trace_of_that(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.read() as reader:
        reader.execute(insert(tables.plan).values(a_plan("acme")))
    for name in ("one", "two", "three"):
        with database.begin() as writer:
            writer.execute(insert(tables.plan).values(a_plan(name)))
