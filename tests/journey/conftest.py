"""Databases for tests of journeys: every test runs on each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhaul.db import tables
from mailhaul.db.database import Database, open_database

KINDS = ("sqlite",)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh database with all tables."""
    assert request.param == "sqlite"
    opened = open_database(None, tmp_path / "state")
    tables.metadata.create_all(opened.engine)
    yield opened
    opened.close()
