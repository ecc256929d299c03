"""Fixtures for the tests that cut."""

from functools import partial

import pytest

from mailhaul.imap import connect
from mailhaul.imap.client import Session
from tests.faults.cutting_proxy import Action

PATIENCE = 1.5
"""Seconds of silence after which a connection counts as dead, in place of minutes; a busy machine
must not take that long to answer."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Connections that say nothing are given up soon where stalls are tested, and only there."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params.get("action") is not Action.STALL:
        return
    session = partial(Session, patience=PATIENCE, long_patience=PATIENCE)
    monkeypatch.setattr(connect, "Session", session)
    monkeypatch.setattr(connect, "CONNECTING", PATIENCE)
