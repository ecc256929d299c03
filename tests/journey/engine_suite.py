"""What every workflow engine keeps to. An engine's own test is a subclass with a `Bench`.

Processes that die are played by `kill`: the engine is torn away without a goodbye, so that what it
had under way stays as it was.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol

import pytest

from mailhaul.journey.engine import Engine, Next, Run
from mailhaul.journey.states import Phase


class Bench(Protocol):
    """How a kind of engine is set up and torn down. All engines of a bench share one database."""

    async def make(self, worker: str = "w1") -> Engine: ...

    async def kill(self, engine: Engine) -> None: ...

    async def delete(self) -> None:
        """The database is gone; no engine is on it."""

    async def close(self) -> None: ...


class Workshop:
    """What is performed, and how often."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.most = 0
        self.now = 0
        self.release = asyncio.Event()
        self.following: Callable[[Run], Next | None] = lambda run: None

    async def __call__(self, run: Run) -> Next | None:
        self.begun.append(run.id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.release.wait()
        finally:
            self.now -= 1
        self.ended.append(run.id)
        return self.following(run)


def run(mailbox: int, step: int = 0, partition: str = "a → b") -> Run:
    return Run(mailbox, 1, step, Phase.COPY, partition)


async def until(what: Callable[[], object], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


class EngineSuite:
    """Subclasses give `bench`."""

    @pytest.fixture
    async def engine(self, bench: Bench) -> AsyncIterator[Engine]:
        engine = await bench.make()
        yield engine
        await engine.stop(0)

    async def test_what_is_enqueued_twice_is_performed_once(self, engine: Engine) -> None:
        work = Workshop()
        work.release.set()
        await engine.launch(work)
        await engine.limit("a → b", 5)
        for _ in range(3):
            await engine.enqueue(Next(run(1)))
        await engine.enqueue(Next(run(2)))
        await until(lambda: len(work.ended) == 2)
        await engine.enqueue(Next(run(1)))
        await engine.enqueue(Next(run(3)))
        await until(lambda: len(work.ended) == 3)
        assert sorted(work.begun) == [run(each).id for each in (1, 2, 3)]

    async def test_a_run_of_a_domain_comes_as_it_was_sent(self, engine: Engine) -> None:
        work = Workshop()
        work.release.set()
        came: list[Run] = []

        async def perform(given: Run) -> Next | None:
            came.append(given)
            return Next(replace(given, step=4)) if given.step == 3 else None

        sent = Run(0, 2, 3, Phase.ZONE, "a → b", 7)
        await engine.launch(perform)
        await engine.enqueue(Next(run(7)))
        await engine.enqueue(Next(sent))
        await until(lambda: len(came) == 3)
        assert sorted(came, key=lambda each: each.id) == [sent, replace(sent, step=4), run(7)]
        assert await engine.live({7}) <= {run(7).id}

    async def test_what_a_run_leads_to_is_performed_after_it(self, engine: Engine) -> None:
        work = Workshop()
        work.release.set()
        work.following = lambda done: Next(run(1, done.step + 1)) if done.step < 4 else None
        await engine.launch(work)
        await engine.enqueue(Next(run(1)))
        await until(lambda: len(work.ended) == 5)
        assert work.begun == [run(1, step).id for step in range(5)]

    async def test_a_delayed_run_waits_and_is_live_meanwhile(self, engine: Engine) -> None:
        work = Workshop()
        work.release.set()
        await engine.launch(work)
        await engine.limit("a → b", 5)
        await engine.enqueue(Next(run(1), delay=1.5))
        await engine.enqueue(Next(run(2)))
        await until(lambda: work.ended == [run(2).id])
        assert run(1).id in await engine.live()
        await until(lambda: run(1).id in work.ended)
        await until_idle(engine)

    async def test_a_partition_has_a_limit_of_its_own(self, engine: Engine) -> None:
        work = Workshop()
        await engine.launch(work)
        await engine.limit("a → b", 3)
        for mailbox in range(8):
            await engine.enqueue(Next(run(mailbox)))
        await until(lambda: work.now == 3)
        await engine.enqueue(Next(run(100, partition="c → d")))
        await until(lambda: run(100, partition="c → d").id in work.begun)
        await asyncio.sleep(0.7)
        assert work.most == 4
        await engine.limit("a → b", 5)
        await until(lambda: work.now == 6)
        work.release.set()
        await until(lambda: len(work.ended) == 9)
        assert work.most <= 6

    async def test_live_are_those_that_wait_or_are_under_way(self, engine: Engine) -> None:
        work = Workshop()
        await engine.launch(work)
        await engine.limit("a → b", 1)
        for mailbox in (1, 2, 11):
            await engine.enqueue(Next(run(mailbox)))
        await until(lambda: work.now == 1)
        assert await engine.live() == {run(1).id, run(2).id, run(11).id}
        assert await engine.live({1}) == {run(1).id}
        assert await engine.live(set()) == set()
        work.release.set()
        await until(lambda: len(work.ended) == 3)
        await until_idle(engine)

    async def test_cancelling_takes_back_and_stops(self, engine: Engine) -> None:
        work = Workshop()
        await engine.launch(work)
        await engine.limit("a → b", 1)
        await engine.enqueue(Next(run(1)))
        await until(lambda: work.now == 1)
        await engine.enqueue(Next(run(1, step=1)))
        await engine.enqueue(Next(run(2)))
        await engine.cancel(1)
        await until(lambda: run(2).id in work.begun)
        work.release.set()
        await until(lambda: work.ended == [run(2).id])
        assert await engine.live({1}) == set()
        await engine.enqueue(Next(run(1)))
        await engine.enqueue(Next(run(3)))
        await until(lambda: run(3).id in work.ended)
        assert work.begun.count(run(1).id) == 1

    async def test_what_a_dead_process_had_begun_is_performed_again(self, bench: Bench) -> None:
        first, work = await bench.make(), Workshop()
        await first.launch(work)
        await first.limit("a → b", 2)
        for mailbox in range(4):
            await first.enqueue(Next(run(mailbox)))
        await until(lambda: work.now == 2)
        begun = set(work.begun)
        await bench.kill(first)

        second, again = await bench.make(), Workshop()
        again.release.set()
        await second.launch(again)
        await until(lambda: len(again.ended) == 4)
        assert set(again.begun) == {run(each).id for each in range(4)} >= begun
        await until_idle(second)
        await second.stop(0)

    async def test_what_another_had_begun_when_it_died_can_be_adopted(self, bench: Bench) -> None:
        first, work = await bench.make("w1"), Workshop()
        await first.launch(work)
        await first.limit("a → b", 2)
        for mailbox in range(3):
            await first.enqueue(Next(run(mailbox)))
        await until(lambda: work.now == 2)
        await bench.kill(first)

        second, again = await bench.make("w2"), Workshop()
        again.release.set()
        await second.launch(again)
        await asyncio.sleep(0.5)
        assert again.begun == []
        assert await second.orphans() == {"w1": 2}
        assert await second.adopt("w1") == 2
        await until(lambda: len(again.ended) == 3)
        assert await second.orphans() == {}
        assert again.most <= 2
        await second.stop(0)

    async def test_stopping_gives_what_is_under_way_its_time(self, bench: Bench) -> None:
        first, work = await bench.make(), Workshop()
        await first.launch(work)
        await first.limit("a → b", 1)
        await first.enqueue(Next(run(1)))
        await first.enqueue(Next(run(2)))
        await until(lambda: work.now == 1)
        asyncio.get_running_loop().call_later(0.3, work.release.set)
        await first.stop(10)
        assert work.ended == [run(1).id]

        second, again = await bench.make(), Workshop()
        again.release.set()
        await second.launch(again)
        await until(lambda: again.ended == [run(2).id])
        await second.stop(0)

    async def test_what_stopping_cut_off_is_performed_again(self, bench: Bench) -> None:
        first, work = await bench.make(), Workshop()
        await first.launch(work)
        await first.enqueue(Next(run(1)))
        await until(lambda: work.now == 1)
        await first.stop(0.2)
        assert (work.now, work.ended) == (0, [])

        second, again = await bench.make(), Workshop()
        again.release.set()
        await second.launch(again)
        await until(lambda: again.ended == [run(1).id])
        await second.stop(0)

    async def test_a_deleted_database_can_be_filled_again(self, bench: Bench) -> None:
        first, work = await bench.make(), Workshop()
        await first.launch(work)
        await first.enqueue(Next(run(1)))
        await first.enqueue(Next(run(2), delay=100))
        await until(lambda: work.now == 1)
        await first.stop(0)
        await bench.delete()

        second, again = await bench.make(), Workshop()
        again.release.set()
        await second.launch(again)
        assert await second.live() == set()
        await second.enqueue(Next(run(1)))
        await second.enqueue(Next(run(2)))
        await until(lambda: len(again.ended) == 2)
        await second.stop(0)


async def until_idle(engine: Engine) -> None:
    async with asyncio.timeout(15):
        while await engine.live():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.05)
