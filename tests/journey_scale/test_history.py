"""The engine's own database stays small: what has ended is forgotten, its room is used again."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from mailhaul.journey import dbos_engine
from mailhaul.journey.dbos_engine import FILE, DbosEngine, engine_url
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.states import Phase

ROUNDS, RUNS = 4, 150
MOST_A_RUN = 4096
"""Octets, for as long as a run is remembered."""


async def test_the_engine_s_history_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dbos_engine, "KEPT", timedelta(0))
    engine = DbosEngine(engine_url(None, tmp_path), "w1", polling=0.05)
    performed: set[str] = set()

    async def perform(run: Run) -> Next | None:
        performed.add(run.id)
        return None

    await engine.launch(perform)
    try:
        await engine.limit("1:carry", 50)
        empty, sizes = _pages(tmp_path), []
        for step in range(ROUNDS):
            for mailbox in range(RUNS):
                await engine.enqueue(Next(Run(mailbox, 0, step, Phase.SWEEP, "1:carry")))
            async with asyncio.timeout(120):
                while await engine.live():  # noqa: ASYNC110 - the engine tells nobody
                    await asyncio.sleep(0.05)
            sizes.append(_pages(tmp_path))
            assert await engine.forget() == RUNS
    finally:
        await engine.stop(1)
    with capsys.disabled():
        print(f"\nan ended run takes {(sizes[0] - empty) / RUNS:.0f} octets until it is forgotten")
    assert len(performed) == ROUNDS * RUNS
    assert (sizes[0] - empty) / RUNS < MOST_A_RUN
    assert sizes[-1] - sizes[0] < (sizes[0] - empty) / 4
    assert _left(tmp_path) == 0


def _pages(directory: Path) -> int:
    """Octets of the file once everything is in it."""
    connection = sqlite3.connect(directory / FILE)
    try:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    finally:
        connection.close()
    return int(count) * int(size)


def _left(directory: Path) -> int:
    connection = sqlite3.connect(directory / FILE)
    try:
        (rows,) = connection.execute(
            "SELECT (SELECT count(*) FROM workflow_status)"
            " + (SELECT count(*) FROM operation_outputs)"
        ).fetchone()
    finally:
        connection.close()
    return int(rows)
