"""Stores that keep within a budget: they fetch and append no faster, and no more a day, than the
mail system allows all workers together.

Rations are taken from the database in portions, so that a message seldom costs a transaction. One
`Ration` a mail system serves every mailbox of a worker.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, cast
from zoneinfo import ZoneInfo

from mailhaul.core.folder import Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import (
    Appended,
    Capabilities,
    Changes,
    Discards,
    FlagChange,
    Refused,
    Remembers,
    Source,
    Target,
    Traffic,
)
from mailhaul.db.database import Database
from mailhaul.journey.budgets import (
    BudgetSpent,
    Limits,
    give_octets_back,
    take_messages,
    take_octets,
)
from mailhaul.journey.clock import Clock
from mailhaul.journey.hours import day_of

PORTION = 4 * 1024 * 1024
"""Octets that are taken at a time, where the day's budget still has them."""

_Told = TypeVar("_Told")


class Ration:
    """What this process may still use of one budget without asking again."""

    def __init__(
        self, database: Database, name: str, limits: Limits, zone: ZoneInfo, clock: Clock
    ) -> None:
        self._database = database
        self._name = name
        self._limits = limits
        self._zone = zone
        self._clock = clock
        self._lock = asyncio.Lock()
        self._messages = 0
        self._octets = 0
        self._day = ""
        self.spent_until = 0.0
        """Until then nothing more goes today: the moment that the last `BudgetSpent` named."""

    @property
    def batch(self) -> int | None:
        """Messages that are best asked for together: a second's worth; None without a limit."""
        rate = self._limits.messages_per_second
        return None if rate is None else max(1, int(rate))

    async def use(self, size: int) -> None:
        """Waits until one more message of that size may go. Raises `BudgetSpent` when that is not
        today."""
        async with self._lock:
            try:
                await self._use_octets(size)
            except BudgetSpent as error:
                self.spent_until = error.until
                raise
            await self._use_message()

    async def close(self) -> None:
        """Gives back what was taken and not used."""
        async with self._lock:
            unused, day = self._octets, self._day
            self._octets = 0
        if unused:
            await self._database.run(
                lambda connection: give_octets_back(connection, self._name, unused, day)
            )

    async def _use_octets(self, size: int) -> None:
        most = self._limits.octets_per_day
        if most is None:
            return
        today = day_of(self._zone, self._clock.now())
        if today != self._day:
            self._octets, self._day = 0, today
        lacking = size - self._octets
        if lacking > 0:
            taken = await self._take_octets(max(lacking, min(PORTION, most // 20)), lacking, most)
            self._octets += taken
        self._octets -= size

    async def _take_octets(self, portion: int, least: int, most: int) -> int:
        """Takes a portion or, where the day no longer has that, what is needed."""
        for wanted in sorted({portion, least}, reverse=True):
            take = partial(
                take_octets,
                name=self._name,
                count=wanted,
                most=most,
                zone=self._zone,
                at=self._clock.now(),
            )
            try:
                await self._database.run(take)
            except BudgetSpent:
                if wanted == least:
                    raise
                continue
            return wanted
        raise AssertionError("the least was tried")

    async def _use_message(self) -> None:
        rate, batch = self._limits.messages_per_second, self.batch
        if rate is None or batch is None:
            return
        if self._messages == 0:
            begins = await self._database.run(
                lambda connection: take_messages(
                    connection, self._name, batch, rate, at=self._clock.now()
                )
            )
            await self._clock.sleep(max(0.0, begins - self._clock.now()))
            self._messages = batch
        self._messages -= 1


@dataclass(frozen=True, slots=True)
class _Rations:
    """All that apply to one mailbox: its mail system's, its account's."""

    each: tuple[Ration, ...]

    @property
    def batch(self) -> int | None:
        return min((found for one in self.each if (found := one.batch) is not None), default=None)

    async def use(self, size: int) -> None:
        for ration in self.each:
            await ration.use(size)


class DiscardingTarget(Target, Discards, Protocol):
    """A target that knows `discard`."""


class RationedSource:
    """`inner`, a source whose fetching is rationed."""

    def __init__(self, inner: Source, rations: Sequence[Ration]) -> None:
        self._inner = inner
        self._rations = _Rations(tuple(rations))

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._inner.traffic

    @property
    def memory(self) -> str:
        """`Remembers.memory`, of an `inner` that does."""
        return self._inner.memory if isinstance(self._inner, Remembers) else ""

    @memory.setter
    def memory(self, text: str) -> None:
        if isinstance(self._inner, Remembers):
            self._inner.memory = text

    async def open(self) -> None:
        await self._inner.open()

    async def close(self) -> None:
        await self._inner.close()

    async def folders(self) -> list[Folder]:
        return await self._inner.folders()

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        return self._inner.changes(folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        return self._inner.identify(folder, keys)

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        """As the contract says; raises `BudgetSpent` before what may not be fetched today."""
        ready: list[Entry] = []
        batch = self._rations.batch or len(entries)
        spent: BudgetSpent | None = None
        for entry in entries:
            try:
                await self._rations.use(entry.size or 0)
            except BudgetSpent as error:
                spent = error
                break
            ready.append(entry)
            if len(ready) >= batch:
                async with _closed(self._inner.fetch(folder, ready)) as messages:
                    async for message in messages:
                        yield message
                ready = []
        if ready:
            async with _closed(self._inner.fetch(folder, ready)) as messages:
                async for message in messages:
                    yield message
        if spent is not None:
            raise spent


class RationedTarget(RationedSource):
    """`inner`, a target whose appending is rationed; it is read as it likes."""

    def __init__(self, inner: Target, rations: Sequence[Ration]) -> None:
        super().__init__(inner, ())
        self._target = inner
        self._appending = _Rations(tuple(rations))

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        return await self._target.create(path, role)

    async def subscribe(self, folder: Folder) -> None:
        await self._target.subscribe(folder)

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        """As the contract says; raises `BudgetSpent` after the answers for what could go today.

        No more is handed on together than may go within a second: what is answered is durable, and
        a batch that fills slowly would be sent anew as a whole whenever a worker dies.
        """
        batch = self._appending.batch or math.inf
        spent: list[BudgetSpent] = []
        stream = aiter(messages)
        first = await anext(stream, None)
        while first is not None and not spent:
            left: list[Message] = []
            portion = self._portion(first, stream, batch, left, spent)
            async with _closed(self._target.append(folder, portion)) as answers:
                async for answer in answers:
                    yield answer
            first = left.pop() if left else None
        if spent:
            raise spent[0]

    async def _portion(
        self,
        first: Message,
        stream: AsyncIterator[Message],
        most: float,
        left: list[Message],
        spent: list[BudgetSpent],
    ) -> AsyncIterator[Message]:
        """At most so many messages, each once it may go; the one behind them is put into `left`."""
        message: Message | None = first
        given = 0
        while message is not None:
            if given >= most:
                left.append(message)
                return
            try:
                await self._appending.use(message.blob.size)
            except BudgetSpent as error:
                message.blob.close()
                spent.append(error)
                return
            given += 1
            yield message
            message = await anext(stream, None)

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return self._target.past(place, keys)

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        await self._target.flag(folder, changes)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        return await self._target.remove(folder, keys)


class RationedDiscardingTarget(RationedTarget):
    """`inner`, a target that can also take back a scratch folder: what it can't must not look as if
    it could."""

    def __init__(self, inner: DiscardingTarget, rations: Sequence[Ration]) -> None:
        super().__init__(inner, rations)
        self._discarding = inner

    async def discard(self, folder: Folder) -> bool:
        return await self._discarding.discard(folder)


def rationed_target(inner: Target, rations: Sequence[Ration]) -> RationedTarget:
    """`inner`, rationed. Of what a target may know besides it knows how to take folders back, where
    `inner` does; flags and removals go step by step."""
    if isinstance(inner, Discards):
        return RationedDiscardingTarget(cast("DiscardingTarget", inner), rations)
    return RationedTarget(inner, rations)


def _closed(told: AsyncIterator[_Told]) -> aclosing[AsyncGenerator[_Told, None]]:
    """Every iterator of a store is an async generator; the type only says iterator."""
    return aclosing(cast("AsyncGenerator[_Told, None]", told))
