"""Fixtures for the tests that cut."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mailhaul.imap import connect
from mailhaul.imap.client import Session
from tests.faults.cutting_proxy import Action
from tests.servers.process import fast

PATIENCE = 1.5
"""Seconds of silence after which a connection counts as dead, in place of minutes; a busy machine
must not take that long to answer."""


@pytest.fixture
def states() -> Iterator[Path]:
    """Where ledgers lie: hundreds are made, and a disk would take longer than the servers do."""
    with tempfile.TemporaryDirectory(prefix="mailhaul-states-", dir=fast()) as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Connections that say nothing are given up soon where stalls are tested, and only there."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params.get("action") is not Action.STALL:
        return
    session = partial(Session, patience=PATIENCE, long_patience=PATIENCE)
    monkeypatch.setattr(connect, "Session", session)
    monkeypatch.setattr(connect, "CONNECTING", PATIENCE)
