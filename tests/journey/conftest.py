"""Databases for tests of journeys: every test runs on each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate
from tests.servers.postgres import Postgres

KINDS = ("sqlite", "postgres")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh database with all tables."""
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        assert isinstance(server, Postgres)
        url = server.database()
    opened = open_database(url, tmp_path / "state")
    migrate(opened)
    yield opened
    opened.close()
