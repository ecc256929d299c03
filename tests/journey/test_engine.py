"""Both engines: DBOS on SQLite and on PostgreSQL, and the lab's."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from dbos import DBOS

from mailhaul.journey.dbos_engine import FILE, SCHEMA, DbosEngine, engine_url
from mailhaul.journey.engine import Engine, Next
from mailhaul.lab.wound_engine import Kept, WoundEngine
from tests.journey.engine_suite import Bench, EngineSuite, Workshop, run, until, until_idle
from tests.servers.postgres import Postgres


class DbosBench:
    def __init__(self, directory: Path, database: str | None) -> None:
        self.directory = directory
        self.database = database

    async def make(self, worker: str = "w1") -> Engine:
        return DbosEngine(engine_url(self.database, self.directory), worker, polling=0.05)

    async def kill(self, engine: Engine) -> None:
        assert isinstance(engine, DbosEngine)
        # What a killed process leaves: nothing is written any more, not even by what is under way.
        await engine.stop(0)

    async def delete(self) -> None:
        for file in self.directory.glob(f"{FILE}*"):
            file.unlink()
        if self.database is not None:
            with psycopg.connect(self.database) as connection:
                connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)


class WoundBench:
    def __init__(self) -> None:
        self.kept = Kept()

    async def make(self, worker: str = "w1") -> Engine:
        loop = asyncio.get_running_loop()
        return WoundEngine(loop.time, asyncio.sleep, self.kept, worker)

    async def kill(self, engine: Engine) -> None:
        await engine.stop(0)

    async def delete(self) -> None:
        self.kept = Kept()

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


class Heard(logging.Handler):
    """Everything that is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.mark.parametrize("seconds", [0.3, 0.9])
async def test_dbos_is_taken_down_amid_short_runs_without_a_word(
    seconds: float, tmp_path: Path
) -> None:
    work = Workshop()
    work.release.set()
    work.following = lambda done: Next(replace(done, step=done.step + 1))
    engine = DbosEngine(engine_url(None, tmp_path), "w1", polling=0.05)
    await engine.launch(work)
    logger, kept = logging.getLogger("dbos"), Heard()
    # Without the filter: what is silenced must not be what we caused.
    filters, logger.filters = logger.filters, []
    logger.addHandler(kept)
    try:
        await engine.limit("a → b", 8)
        for mailbox in range(30):
            await engine.enqueue(Next(run(mailbox)))
        await until(lambda: work.ended)
        await asyncio.sleep(seconds)
        await engine.stop(5)
    finally:
        logger.removeHandler(kept)
        logger.filters = filters
    assert [text for text in kept.texts if "Traceback" in text] == []


class TestDbosOnSqlite(EngineSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        bench = DbosBench(tmp_path, None)
        yield bench
        await bench.close()


class TestDbosOnPostgres(EngineSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, postgres: Postgres) -> AsyncIterator[Bench]:
        bench = DbosBench(tmp_path, postgres.database())
        yield bench
        await bench.close()

    async def test_what_stands_under_our_name_and_nobody_is_at_is_performed_again(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        """Somebody bore our name while we were away, and died since."""
        assert isinstance(bench, DbosBench)
        other, work = await bench.make("w9"), Workshop()
        await other.launch(work)
        await other.limit("a → b", 2)
        for mailbox in range(2):
            await other.enqueue(Next(run(mailbox)))
        await until(lambda: work.now == 2)
        await bench.kill(other)

        ours, again = await bench.make("w1"), Workshop()
        await ours.launch(again)
        await ours.enqueue(Next(run(5, partition="c → d")))
        await until(lambda: again.begun == [run(5).id])
        assert bench.database is not None
        with psycopg.connect(bench.database) as connection:
            connection.execute(
                f"UPDATE {SCHEMA}.workflow_status SET executor_id = 'w1' "
                "WHERE executor_id = 'w9' AND status = 'PENDING'"
            )
        assert await ours.orphans() == {}
        assert [await ours.reclaim(), await ours.reclaim()] == [0, 2]
        await until(lambda: len(again.begun) == 3)
        assert [await ours.reclaim(), await ours.reclaim()] == [0, 0]
        again.release.set()
        await until(lambda: len(again.ended) == 3)
        assert sorted(again.ended) == [run(each).id for each in (0, 1, 5)]
        await until_idle(ours)
        await ours.stop(0)


class TestWound(EngineSuite):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        yield WoundBench()
