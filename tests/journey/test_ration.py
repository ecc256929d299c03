"""Rationed stores keep the contract of stores, go at the rate allowed, and stop for the day."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailhaul.core.endpoint import Credentials, parse_endpoint
from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.core.message import Message
from mailhaul.core.store import Discards, Remembers, Source
from mailhaul.core.text import Secret
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.journey.budgets import BudgetSpent, Limits
from mailhaul.journey.clock import Clock, HandClock
from mailhaul.journey.ration import Ration, RationedSource, RationedTarget, rationed_target
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from mailhaul.stores.registry import open_target
from tests.journey.making import NOW
from tests.stores.awkward import mail
from tests.stores.conformance import Opened, StoreSuite, listed_changes, named, put

UTC = ZoneInfo("UTC")
PLENTY = Limits(None, 1e6, 10**12)


@pytest.fixture
def budgets(tmp_path: Path) -> Iterator[Database]:
    database = open_database(None, tmp_path / "budgets")
    tables.metadata.create_all(database.engine)
    yield database
    database.close()


def ration(database: Database, limits: Limits, clock: Clock, name: str = "old.example") -> Ration:
    return Ration(database, name, limits, UTC, clock)


def test_a_rationed_store_remembers_what_the_one_inside_does(budgets: Database) -> None:
    endpoint = parse_endpoint("imaps://anna@a.example")
    inner = open_target(endpoint, Credentials(Secret("secret")))
    assert isinstance(inner, Remembers)
    outer = RationedTarget(inner, [ration(budgets, PLENTY, HandClock(NOW).clock)])
    outer.memory = "what it said"
    assert (inner.memory, outer.memory) == ("what it said", "what it said")
    other = RationedSource(MemorySource(MemoryMailbox()), ())
    other.memory = "what it said"
    assert other.memory == ""


class TestRationed(StoreSuite):
    """With a budget that is large enough nothing is to be noticed of it."""

    @pytest.fixture
    async def mailbox(self, budgets: Database) -> AsyncIterator[Opened]:
        box = MemoryMailbox()
        rations = [ration(budgets, PLENTY, HandClock(NOW).clock)]
        source: Source = RationedSource(MemorySource(box), rations)
        target = RationedTarget(MemoryTarget(box), rations)
        await source.open()
        await target.open()

        async def reopen() -> Source:
            again = RationedSource(MemorySource(box), rations)
            await again.open()
            return again

        async def renumber(folder: Folder) -> None:
            box.renumber(folder.path)

        yield Opened(source, target, reopen, renumber)
        await source.close()
        await target.close()


class Slept:
    """A clock that goes on by itself whenever somebody sleeps, and counts it."""

    def __init__(self) -> None:
        self.time = NOW
        self.total = 0.0

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.total += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)


def filled(count: int) -> MemoryMailbox:
    box = MemoryMailbox()
    for number in range(count):
        box.deliver(mail(f"message {number}"))
    return box


async def fetched(source: Source) -> list[Message]:
    await source.open()
    inbox = await named(source, INBOX_PATH)
    entries = (await listed_changes(source, inbox)).entries
    return [
        message async for message in source.fetch(inbox, entries) if isinstance(message, Message)
    ]


async def test_fetching_keeps_to_the_rate(budgets: Database) -> None:
    slept = Slept()
    limits = Limits(messages_per_second=5.0)
    source = RationedSource(MemorySource(filled(52)), [ration(budgets, limits, slept.clock)])
    assert len(await fetched(source)) == 52
    assert slept.total == pytest.approx(10.0)


async def test_mailboxes_share_the_rate(budgets: Database) -> None:
    slept = Slept()
    limits = Limits(messages_per_second=5.0)
    for _ in range(2):
        # Two workers: each has a ration of its own, under one name.
        one = ration(budgets, limits, slept.clock)
        assert len(await fetched(RationedSource(MemorySource(filled(25)), [one]))) == 25
    assert slept.total == pytest.approx(9.0)


async def test_the_stricter_of_two_rations_holds(budgets: Database) -> None:
    slept = Slept()
    rations = [
        ration(budgets, Limits(messages_per_second=50.0), slept.clock),
        ration(budgets, Limits(messages_per_second=2.0), slept.clock, "anna@old.example"),
    ]
    assert len(await fetched(RationedSource(MemorySource(filled(20)), rations))) == 20
    assert slept.total == pytest.approx(9.0)


async def test_a_spent_day_ends_fetching_after_what_was_allowed(budgets: Database) -> None:
    slept = Slept()
    size = len(mail("message 0"))
    limits = Limits(octets_per_day=size * 7)
    box = filled(10)
    one = ration(budgets, limits, slept.clock)
    source = RationedSource(MemorySource(box), [one])
    await source.open()
    inbox = await named(source, INBOX_PATH)
    entries = (await listed_changes(source, inbox)).entries
    got = []
    with pytest.raises(BudgetSpent) as caught:
        async for message in source.fetch(inbox, entries):
            got.append(message)
    assert len(got) == 7
    assert caught.value.until == 1_800_057_600.0
    slept.time = caught.value.until
    assert len([one async for one in source.fetch(inbox, entries[7:])]) == 3


async def test_a_spent_day_ends_appending_after_the_answers(budgets: Database) -> None:
    slept = Slept()
    messages = [mail(f"message {number}") for number in range(5)]
    limits = Limits(octets_per_day=sum(map(len, messages[:3])))
    box = MemoryMailbox()
    target = RationedTarget(MemoryTarget(box), [ration(budgets, limits, slept.clock)])
    await target.open()
    inbox = await named(target, INBOX_PATH)
    with pytest.raises(BudgetSpent):
        await put(target, inbox, *messages)
    assert [message.data for message in box.messages()] == messages[:3]


async def test_a_scratch_folder_is_taken_back_where_the_target_can(budgets: Database) -> None:
    rations = [ration(budgets, PLENTY, HandClock(NOW).clock)]
    target = rationed_target(MemoryTarget(MemoryMailbox()), rations)
    await target.open()
    scratch = await target.create(("scratch",), None)
    assert isinstance(target, Discards)
    assert await target.discard(scratch)
    assert [folder.path for folder in await target.folders()] == [INBOX_PATH]


def test_what_the_target_can_not_take_back_it_can_not_rationed_either(
    budgets: Database, tmp_path: Path
) -> None:
    plain = open_target(parse_endpoint(f"maildir:{tmp_path}/mail"), Credentials())
    rations = [ration(budgets, PLENTY, HandClock(NOW).clock)]
    assert not isinstance(plain, Discards)
    assert not isinstance(rationed_target(plain, rations), Discards)


async def test_what_was_not_used_is_given_back(budgets: Database) -> None:
    slept = Slept()
    limits = Limits(octets_per_day=100_000)
    one = ration(budgets, limits, slept.clock)
    await one.use(100)
    await one.close()
    other = ration(budgets, limits, slept.clock)
    await other.use(99_900)
    with pytest.raises(BudgetSpent):
        await other.use(1)
