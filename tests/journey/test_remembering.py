"""Lists of a whole service are asked for once for many accounts; all else is asked for anew."""

import asyncio

import pytest

from mailhaul.core.errors import RetryLater
from mailhaul.journey.remembering import FRESH, Memory, RememberingProvider
from tests.journey.account_house import ANNA, hoster
from tests.providers.memory import Fault
from tests.providers.memory_provider import MemoryProvider


async def test_many_who_look_at_once_ask_once() -> None:
    place, now = hoster(), [0.0]
    memory = Memory(lambda: now[0])
    asked = place.service("old").asked
    many = [RememberingProvider(MemoryProvider(place, "old"), memory) for _ in range(5)]
    found = await asyncio.gather(*(each.accounts() for each in many))
    assert [[account.address for account in each] for each in found] == [[ANNA]] * 5
    await asyncio.gather(*(each.extras() for each in many))
    assert (asked["accounts"], asked["extras"]) == (1, 1)
    now[0] = FRESH + 1
    await many[0].accounts()
    assert asked["accounts"] == 2


async def test_what_one_account_is_and_what_domains_are_is_never_remembered() -> None:
    place = hoster()
    provider = RememberingProvider(MemoryProvider(place, "old"), Memory(lambda: 0.0))
    for _ in range(2):
        await provider.account(ANNA)
        await provider.extras(ANNA)
        await provider.obstacles(ANNA)
        await provider.domains()
    asked = place.service("old").asked
    assert [asked[each] for each in ("account", "extras", "obstacles", "domains")] == [2] * 4


async def test_an_error_is_not_remembered() -> None:

    place = hoster()
    provider = RememberingProvider(MemoryProvider(place, "old"), Memory(lambda: 0.0))
    place.service("old").arm(Fault.AWAY)
    with pytest.raises(RetryLater):
        await provider.accounts()
    assert [each.address for each in await provider.accounts()] == [ANNA]
