"""Fixtures for journeys that are disturbed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey_faults.nursery import Nursery
from tests.servers.process import fast


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where workers come from."""
    with Nursery() as found:
        yield found


@pytest.fixture
def states() -> Iterator[Path]:
    """Where installations lie: a disk would take longer than the servers do. MAILHAUL_KEEP names a
    directory where they stay."""
    if kept := os.environ.get("MAILHAUL_KEEP"):
        yield Path(tempfile.mkdtemp(dir=kept))
        return
    with tempfile.TemporaryDirectory(prefix="mailhaul-journeys-", dir=fast()) as directory:
        yield Path(directory)
