"""Reading both sides' messages of a verification, in pairs and pages, memory flat.

A page is one fetch a side in flight at once; one message a side is held at a time. A page that is
cut off goes on where it was.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from mailhaul.core.errors import RetryLater
from mailhaul.core.folder import Folder
from mailhaul.core.identity import subject_of
from mailhaul.core.message import Message, Unreadable
from mailhaul.core.store import Source
from mailhaul.engine.alterations import Alteration, compare, similar
from mailhaul.engine.census import Census
from mailhaul.engine.outcomes import Side, Waiting
from mailhaul.engine.pace import Pace, Sleep
from mailhaul.engine.sides import blamed, closing

PAGE = 500
HEADER = 64 * 1024
"""Octets of a message that are looked at for its subject."""

Call = tuple[Side, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried again, and how waiting is done."""

    retries: int
    sleep: Sleep
    chance: random.Random


@dataclass(frozen=True, slots=True)
class PairRead:
    """What came of reading a pair. `gone`: one of the two vanished meanwhile. `unreadable` is why
    a side won't hand it over, else empty. `alteration` None: the same octets."""

    ours: int
    theirs: int
    octets: int = 0
    alteration: Alteration | None = None
    similar: bool = True
    gone: bool = False
    unreadable: str = ""
    subject: str = ""


async def attempts(patience: Patience, *calls: Call) -> AsyncIterator[Waiting]:
    """Makes all calls at once and again what was told to come later; yields each wait before it.

    A call must be fit to be made again. Raises what a call raises, `RetryLater` when it was tried
    often enough.
    """
    pace = Pace(patience.retries, patience.chance)
    waiting = list(calls)
    while waiting:
        results = await asyncio.gather(*(call() for _, call in waiting), return_exceptions=True)
        again: list[Call] = []
        longest = 0.0
        for (side, call), result in zip(waiting, results, strict=True):
            if isinstance(result, RetryLater):
                pause = pace.pause(result)
                if pause is None:
                    raise result
                again.append((side, call))
                longest = max(longest, pause)
                yield Waiting(Side(result.side or side), str(result), pause, result.throttled)
            elif isinstance(result, BaseException):
                raise result
        if again:
            await patience.sleep(longest)
        waiting = again


async def read_pairs(
    patience: Patience,
    source: tuple[Source, Census],
    target: tuple[Source, Census],
    pairs: Sequence[tuple[int, int]],
) -> AsyncIterator[PairRead | Waiting]:
    """Reads and compares each pair, in order. Pairs are best sorted by their source number."""
    start = 0
    while start < len(pairs):
        folder = source[1].folder(pairs[start][0])
        end = start
        while end < len(pairs) and end - start < PAGE and source[1].folder(pairs[end][0]) is folder:
            end += 1
        page = _Page(source, target, pairs[start:end])
        async for wait in attempts(patience, (Side.SOURCE, page.read)):
            yield wait
        for read in page.done:
            yield read
        start = end


async def read_digests(
    patience: Patience,
    store: Source,
    side: Side,
    census: Census,
    numbers: Sequence[int],
    into: dict[int, bytes],
) -> AsyncIterator[Waiting | int]:
    """Puts 16 octets of each message's SHA-256 into `into`; what can't be read is left out.

    Yields each wait, and page by page how many octets were read.
    """
    for folder, span in census.parts:
        wanted = [number for number in numbers if number in span]
        for start in range(0, len(wanted), PAGE):
            page = wanted[start : start + PAGE]
            octets: list[int] = []

            async def read(
                folder: Folder = folder, page: Sequence[int] = page, octets: list[int] = octets
            ) -> None:
                by_key = {census.keys[number]: number for number in page if number not in into}
                entries = [census.entry(number) for number in by_key.values()]
                async with closing(side, store.fetch(folder, entries)) as messages:
                    async for message in messages:
                        if isinstance(message, Message):
                            digest = message.blob.digest()
                            octets.append(message.blob.size)
                            message.blob.close()
                            into[by_key[message.entry.key]] = short(digest)

            async for wait in attempts(patience, (side, read)):
                yield wait
            yield sum(octets)


async def read_subjects(
    store: Source, side: Side, census: Census, numbers: Sequence[int]
) -> AsyncIterator[tuple[int, str]]:
    """The subject of each message, for people; what can't be had is left out."""
    for folder, span in census.parts:
        by_key = {census.keys[number]: number for number in numbers if number in span}
        entries = [census.entry(number) for number in by_key.values()]
        if not entries:
            continue
        async with closing(side, store.fetch(folder, entries)) as messages:
            async for message in messages:
                if isinstance(message, Message):
                    subject = subject_of(message.blob.head(HEADER))
                    message.blob.close()
                    yield by_key[message.entry.key], subject


def short(digest: bytes) -> bytes:
    """Enough of a SHA-256 to tell a folder's messages apart."""
    return hashlib.blake2b(digest, digest_size=16).digest()


class _Page:
    """Some pairs of one source folder, read side by side; `done` grows as it goes."""

    def __init__(
        self,
        source: tuple[Source, Census],
        target: tuple[Source, Census],
        pairs: Sequence[tuple[int, int]],
    ) -> None:
        self._source, self._ours = source
        self._target, self._theirs = target
        self._pairs = pairs
        self.done: list[PairRead] = []

    async def read(self) -> None:
        pairs = self._pairs[len(self.done) :]
        ours = [self._ours.entry(left) for left, _ in pairs]
        theirs = [self._theirs.entry(right) for _, right in pairs]
        left_folder = self._ours.folder(pairs[0][0])
        right_folder = self._theirs.folder(pairs[0][1])
        async with (
            closing(Side.SOURCE, self._source.fetch(left_folder, ours)) as lefts,
            closing(Side.TARGET, self._target.fetch(right_folder, theirs)) as rights,
        ):
            left_reader = _InOrder(Side.SOURCE, lefts)
            right_reader = _InOrder(Side.TARGET, rights)
            try:
                for pair, mine, its in zip(pairs, ours, theirs, strict=True):
                    left = await left_reader.take(mine.key)
                    right = await right_reader.take(its.key)
                    self.done.append(_compared(pair, left, right))
            finally:
                left_reader.close()
                right_reader.close()


class _InOrder:
    """Takes messages off a stream that leaves out those that vanished."""

    def __init__(self, side: Side, messages: AsyncIterator[Message | Unreadable]) -> None:
        self._side = side
        self._messages = messages
        self._ahead: Message | Unreadable | None = None
        self._taken: Message | Unreadable | None = None

    async def take(self, key: int | str) -> Message | Unreadable | None:
        """The message of `key`, valid until the next is taken; None when it vanished."""
        _let_go(self._taken)
        self._taken = None
        if self._ahead is None:
            async with blamed(self._side):
                self._ahead = await anext(self._messages, None)
        if self._ahead is None or self._ahead.entry.key != key:
            return None
        self._taken, self._ahead = self._ahead, None
        return self._taken

    def close(self) -> None:
        _let_go(self._taken)
        _let_go(self._ahead)


def _compared(
    pair: tuple[int, int], left: Message | Unreadable | None, right: Message | Unreadable | None
) -> PairRead:
    if left is None or right is None:
        return PairRead(*pair, gone=True)
    if isinstance(left, Unreadable):
        return PairRead(*pair, unreadable=f"the source won't hand it over: {left.reason}")
    if isinstance(right, Unreadable):
        subject = subject_of(left.blob.head(HEADER))
        reason = f"the target won't hand it over: {right.reason}"
        return PairRead(*pair, unreadable=reason, subject=subject)
    found = compare(left.blob, right.blob)
    octets = left.blob.size + right.blob.size
    if found is None:
        return PairRead(*pair, octets)
    return PairRead(
        *pair,
        octets,
        alteration=found,
        similar=found.explained or similar(left.blob, right.blob),
        subject=subject_of(left.blob.head(HEADER)),
    )


def _let_go(message: Message | Unreadable | None) -> None:
    if isinstance(message, Message):
        message.blob.close()
