"""Fixtures for the tests that cut."""

from functools import partial

import pytest

from mailhaul.imap import connect
from mailhaul.imap.client import Session

PATIENCE = 0.4
"""Seconds of silence after which a connection counts as dead, in place of minutes."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing are given up soon: stalls are tested in bulk."""
    session = partial(Session, patience=PATIENCE, long_patience=PATIENCE)
    monkeypatch.setattr(connect, "Session", session)
    monkeypatch.setattr(connect, "CONNECTING", PATIENCE)
