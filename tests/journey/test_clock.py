"""Clocks: the wound one is the same in every process, the one moved by hand wakes in order."""

import asyncio

import pytest

from mailhaul.db.database import Database
from mailhaul.journey.clock import HandClock, installed_clock, real_clock, wind, wound_clock


def test_a_wound_clock_goes_faster_from_where_it_began() -> None:
    real = [1000.0]
    clock = wound_clock(60.0, 5_000_000.0, 1000.0, lambda: real[0])
    assert clock.now() == 5_000_000.0
    real[0] += 2
    assert clock.now() == 5_000_120.0


async def test_who_sleeps_by_a_wound_clock_sleeps_less() -> None:
    clock = wound_clock(1000.0, 0.0, 0.0)
    async with asyncio.timeout(5):
        await clock.sleep(100)


def test_every_process_has_the_installation_s_clock(database: Database) -> None:
    with database.begin() as connection:
        assert installed_clock(connection).now is real_clock().now
        wind(connection, 2.0, 7_000.0, 0.5)
        wind(connection, 2880.0, 9_000.25, 1.5)
    with database.begin() as connection:
        clock = installed_clock(connection)
        assert clock.speed == 2880.0
        assert clock.now() == pytest.approx(9_000.25 + (real_clock().now() - 1.5) * 2880, abs=60000)


async def test_sleepers_wake_in_order_and_may_sleep_again() -> None:
    hand = HandClock(100.0)
    woken = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await hand.clock.sleep(nap)
            woken.append((name, hand.clock.now()))

    tasks = [
        asyncio.create_task(sleeper("late", 30)),
        asyncio.create_task(sleeper("soon", 10, 15)),
    ]
    await asyncio.sleep(0)
    await hand.advance(29)
    assert woken == [("soon", 110.0), ("soon", 125.0)]
    assert (hand.time, hand.sleepers) == (129.0, 1)
    await hand.advance(1)
    assert woken[-1] == ("late", 130.0)
    await asyncio.gather(*tasks)
