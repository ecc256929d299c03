"""The source is counted while the target still stores: when that holds, and when not."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path

from mailhaul.core.errors import Disconnected
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Message
from mailhaul.core.store import Appended, Changes, Refused
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox

MAILS = [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(3)]
Faults = Callable[[str, str], None]


class Whole(MemorySource):
    """Says with a folder's messages that they are the last, as IMAP does."""

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        pages = [page async for page in super().changes(folder, since)]
        entries = [entry for page in pages for entry in page.entries]
        last = pages[-1]
        yield Changes(entries, last.vanished, last.whole, last.cursor)


class Patient(MemoryTarget):
    """Answers an append only when the source has been counted; `cuts` times it doesn't."""

    counted: asyncio.Event
    cuts = 0

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        async for answer in super().append(folder, messages):
            await self.counted.wait()
            if self.cuts:
                self.cuts -= 1
                cut()
            yield answer


class Course:
    """One pass from a mailbox with three messages, its operations written down as they come."""

    def __init__(self, directory: Path) -> None:
        self.source, self.target = MemoryMailbox(), MemoryMailbox(Habits(window=10))
        for data in MAILS:
            self.source.deliver(data)
        self.seen: list[str] = []
        self.acts: dict[str, Callable[[], None]] = {}
        self.cuts = 0
        self._directory = directory
        self._counted = asyncio.Event()

    def __call__(self, operation: str, folder: str) -> None:
        self.seen.append(operation)
        if self.seen.count("folders") == 3:
            self._counted.set()
        act = self.acts.pop(f"{operation} {self.seen.count(operation)}", None)
        if act is not None:
            act()

    async def run(self) -> Finished:
        async def soon(seconds: float) -> None:
            pass

        source, target = Whole(self.source, self), Patient(self.target, self)
        target.counted, target.cuts = self._counted, self.cuts
        with Ledger.open(self._directory, "pair") as ledger:
            async for event in run_pass(source, target, ledger, Options(), sleep=soon):
                last = event
        assert isinstance(last, Finished)
        return last


def cut() -> None:
    raise Disconnected("cut")


def counts_of_source(seen: list[str]) -> list[int]:
    """Where in the course the folders were listed; the first two are both sides' at the start."""
    return [place for place, operation in enumerate(seen) if operation == "folders"][2:]


async def test_it_is_taken_before_the_target_has_answered(tmp_path: Path) -> None:
    course = Course(tmp_path)
    finished = await asyncio.wait_for(course.run(), 10)
    assert finished.complete and finished.tally.census == 3
    [place] = counts_of_source(course.seen)
    assert place > max(at for at, each in enumerate(course.seen) if each == "fetch")


async def test_what_came_before_it_is_carried_in_the_same_pass(tmp_path: Path) -> None:
    course = Course(tmp_path)

    def more() -> None:
        course.source.deliver(b"Subject: late\r\n\r\nbody\r\n")

    course.acts["fetch 3"] = more
    finished = await asyncio.wait_for(course.run(), 10)
    assert finished.complete and finished.tally.copied == 4
    assert len(counts_of_source(course.seen)) == 2


async def test_one_that_fails_is_taken_anew(tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.acts["folders 3"] = cut
    finished = await asyncio.wait_for(course.run(), 10)
    assert finished.complete and finished.tally.copied == 3
    assert len(counts_of_source(course.seen)) == 2


async def test_who_reads_on_makes_it_void(tmp_path: Path) -> None:
    """A folder that is carried again after a cut is listed after that count."""
    course = Course(tmp_path)
    course.cuts = 1
    finished = await asyncio.wait_for(course.run(), 10)
    assert finished.complete and finished.tally.census == finished.tally.copied == 3
    void, taken = counts_of_source(course.seen)
    assert "page" in course.seen[void:taken]
    assert [each.data for each in course.target.messages()] == MAILS
