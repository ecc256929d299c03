"""Random histories: people at work on both sides, passes in between, crashes and cuts anywhere.

The test keeps its own book of what was where (`Book`), which shares no code with the engine, and
at the end of each history holds the two mailboxes against it:

- every message that is at the source is at the target, unless the person removed it there;
- nothing is at the target more often than people and mailhaul together had reason to put it there;
- what only the target had is as the person left it, and what people put there is never removed,
  not with `--delete mirror` either;
- with `--delete mirror` nothing else is there that the source no longer has, wherever a run died;
- the source is untouched after every pass, and the accounting is true.

`MAILHAUL_SOAK=1` plays many more and longer ones.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mailhaul.core.errors import Disconnected
from mailhaul.core.folder import FolderPath
from mailhaul.core.message import NO_FLAGS, Flags
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Delete, Finished, Options, Side
from mailhaul.engine.passes import run_pass
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox, Stored
from tests.engine.notation import octets, received
from tests.engine.scenarios import Killed

SOAK = os.environ.get("MAILHAUL_SOAK") == "1"
EXAMPLES = int(os.environ.get("MAILHAUL_HISTORIES", "2000" if SOAK else "300"))
STEPS = 60 if SOAK else 25

INBOX: FolderPath = ("INBOX",)
FOLDERS: tuple[FolderPath, ...] = (INBOX, ("Work",), ("Work", "Old"))
SHARED = [f"{stem}{variant}" for stem in "AB" for variant in ("", ".twin", ".tuid")] + [
    "x.nameless",
    "y.nameless",
    "z.headless",
]
"""Few names, so that twins, copies and look-alikes are frequent."""


def _when(name: str) -> datetime:
    # Alone on both sides, a twin of the same size and date is taken for the same message without
    # reading it: test_matching says so. Here twins are of another day.
    return received(name) + timedelta(days=name.endswith(".twin"))


AT_SOURCE = ["\\Seen", "\\Answered", "$Source"]
AT_TARGET = ["\\Flagged", "$Target"]
"""Each side changes flags of its own, so that it is known what must come of it."""

TOOL_LINE = b"\r\nX-TUID: 8Jk+/aZ19bcd"
Content = tuple[FolderPath, bytes]
"""A folder and the octets of a message, but for what mbsync adds to its copies: with and without
that line they are the same message."""


def place_of(folder: FolderPath, data: bytes) -> Content:
    return folder, data.replace(TOOL_LINE, b"")


@dataclass
class Book:
    """What people did, by folder and octets."""

    arrived: Counter[Content] = field(default_factory=Counter)
    """How often it ever came to be in that folder of the source."""
    added: Counter[Content] = field(default_factory=Counter)
    """How often people put it into that folder of the target."""
    removed: Counter[Content] = field(default_factory=Counter)
    """How often people took it out there, as far as the ledger can know."""
    taken: Counter[Content] = field(default_factory=Counter)
    """How often people took it out there at all."""
    renumbered: set[FolderPath] = field(default_factory=set)
    """Folders that were renumbered, made anew or renamed on either side."""
    touched: set[FolderPath] = field(default_factory=set)
    """Folders in which people took something out, or put something in, at the target while it
    wasn't known what a run that died had left there."""
    doubtful: Counter[Content] = field(default_factory=Counter)
    """How often people put it there in such a time: it may be taken for what was on its way."""
    flagged: dict[Content, Flags] = field(default_factory=dict)
    """The person's flags on what is once in that folder of the target."""

    def take(self, folder: FolderPath, data: bytes) -> None:
        self.removed[place_of(folder, data)] += 1
        self.taken[place_of(folder, data)] += 1
        self.flagged.pop(place_of(folder, data), None)


def _habits(draw: Callable[[st.SearchStrategy[bool]], bool], side: Side) -> Habits:
    def yes() -> bool:
        return draw(st.booleans())

    habits = Habits(
        tells_state=yes(),
        tells_modseq=yes(),
        page=2 if yes() else 1000,
    )
    if side is Side.TARGET:
        habits = replace(
            habits,
            announces_keys=yes(),
            tells_tail=yes(),
            window=3 if yes() else 1,
        )
    return habits


class Histories(RuleBasedStateMachine):
    """A mailbox pair through weeks of work."""

    fresh = Bundle("fresh")

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.scratch = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.state = self.scratch / "state"
        self.deaths = 0
        self.unsettled = False
        """A run died, and none has come to its end since."""
        self.serial = 0
        self.book = Book()
        self.source = MemoryMailbox()
        self.target = MemoryMailbox()
        self.options = Options()
        self.runner = asyncio.Runner()

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.runner.close()
            shutil.rmtree(self.scratch)

    @initialize(data=st.data(), delete=st.sampled_from(Delete))
    def servers(self, data: st.DataObject, delete: Delete) -> None:
        self.options = Options(delete=delete, max_delete=1_000_000)
        self.source = MemoryMailbox(_habits(data.draw, Side.SOURCE))
        self.target = MemoryMailbox(_habits(data.draw, Side.TARGET))

    # people

    def _touches(self, *folders: FolderPath) -> None:
        if self.unsettled:
            self.book.touched.update(folders)

    def _adds(self, folder: FolderPath, data: bytes) -> None:
        """A person puts it there at the target."""
        self.book.added[place_of(folder, data)] += 1
        self.book.doubtful[place_of(folder, data)] += self.unsettled
        self.book.flagged.pop(place_of(folder, data), None)
        self._touches(folder)

    def _name(self, name: str | None) -> str:
        """That name, or one that nothing else has."""
        if name is not None:
            return name
        self.serial += 1
        return f"m{self.serial}"

    @rule(
        folder=st.sampled_from(FOLDERS),
        names=st.lists(st.none() | st.sampled_from(SHARED), min_size=1, max_size=4),
        seen=st.booleans(),
    )
    def mail_arrives_at_the_source(
        self, folder: FolderPath, names: list[str | None], seen: bool
    ) -> None:
        self.source.make(folder)
        for name in map(self._name, names):
            flags = frozenset({"\\Seen"}) if seen else NO_FLAGS
            self.source.deliver(octets(name), folder, flags, _when(name))
            self.book.arrived[place_of(folder, octets(name))] += 1

    @rule(folder=st.sampled_from(FOLDERS), name=st.none() | st.sampled_from(SHARED))
    def mail_arrives_at_the_target(self, folder: FolderPath, name: str | None) -> None:
        if folder not in self.target.paths:
            return
        name = self._name(name)
        self.target.deliver(octets(name), folder, NO_FLAGS, _when(name))
        self._adds(folder, octets(name))

    @rule(data=st.data(), flag=st.sampled_from(AT_SOURCE), on=st.booleans())
    def a_flag_changes_at_the_source(self, data: st.DataObject, flag: str, on: bool) -> None:
        if chosen := self._choose(data, self.source):
            folder, stored = chosen
            flags = frozenset({flag})
            self.source.flag(
                stored.uid, flags if on else NO_FLAGS, NO_FLAGS if on else flags, folder
            )

    @rule(data=st.data(), flag=st.sampled_from(AT_TARGET), on=st.booleans())
    def a_flag_changes_at_the_target(self, data: st.DataObject, flag: str, on: bool) -> None:
        if chosen := self._choose(data, self.target):
            folder, stored = chosen
            flags = frozenset({flag})
            self.target.flag(
                stored.uid, flags if on else NO_FLAGS, NO_FLAGS if on else flags, folder
            )
            now = self.target.folder(folder).messages[stored.uid]
            self.book.flagged[place_of(folder, stored.data)] = now.flags & frozenset(AT_TARGET)

    @rule(data=st.data())
    def a_message_is_expunged_at_the_source(self, data: st.DataObject) -> None:
        self._expunge_at_the_source(data)

    def _expunge_at_the_source(self, data: st.DataObject) -> None:
        if chosen := self._choose(data, self.source):
            folder, stored = chosen
            self.source.expunge(stored.uid, path=folder)

    @rule(data=st.data())
    def a_message_is_expunged_at_the_target(self, data: st.DataObject) -> None:
        if chosen := self._choose(data, self.target):
            folder, stored = chosen
            self.target.expunge(stored.uid, path=folder)
            self.book.take(folder, stored.data)
            self._touches(folder)

    @rule(data=st.data(), to=st.sampled_from(FOLDERS))
    def a_message_is_moved_at_the_source(self, data: st.DataObject, to: FolderPath) -> None:
        if chosen := self._choose(data, self.source):
            folder, stored = chosen
            self.source.make(to)
            self.source.move(stored.uid, folder, to)
            self.book.arrived[place_of(to, stored.data)] += 1

    @rule(data=st.data(), to=st.sampled_from(FOLDERS))
    def a_message_is_moved_at_the_target(self, data: st.DataObject, to: FolderPath) -> None:
        chosen = self._choose(data, self.target)
        if chosen and to in self.target.paths:
            folder, stored = chosen
            self.target.move(stored.uid, folder, to)
            self.book.take(folder, stored.data)
            self._touches(folder)
            self._adds(to, stored.data)

    @rule(folder=st.sampled_from(FOLDERS), gap=st.integers(0, 3))
    def the_source_is_renumbered(self, folder: FolderPath, gap: int) -> None:
        if folder in self.source.paths:
            self.source.renumber(folder, gap)
            self.book.renumbered.add(folder)

    @rule(folder=st.sampled_from(FOLDERS), gap=st.integers(0, 3))
    def the_target_is_renumbered(self, folder: FolderPath, gap: int) -> None:
        if folder in self.target.paths:
            self.target.renumber(folder, gap)
            self.book.renumbered.add(folder)

    @rule(folder=st.sampled_from(FOLDERS[1:]))
    def a_folder_is_made_anew_at_the_source(self, folder: FolderPath) -> None:
        if folder in self.source.paths and folder == FOLDERS[-1]:
            self.source.delete(folder)
            self.source.make(folder)
            self.book.renumbered.add(folder)

    @rule()
    def a_folder_is_made_anew_at_the_target(self) -> None:
        folder = FOLDERS[-1]
        if folder in self.target.paths:
            for stored in self.target.messages(folder):
                self.book.take(folder, stored.data)
                self.target.delete(folder)
            self.target.make(folder)
            self.book.renumbered.add(folder)

    # mailhaul

    @rule()
    def a_pass(self) -> None:
        assert self._attempt(None) is not None

    @rule(at=st.integers(1, 60))
    def a_pass_that_is_killed(self, at: int) -> None:
        self._killed(at, "")

    @rule(at=st.integers(1, 6), deleted=st.integers(1, 3), data=st.data())
    def a_pass_is_killed_amid_sending_and_mail_is_deleted_at_the_source(
        self, at: int, deleted: int, data: st.DataObject
    ) -> None:
        self._killed(at, "after append")
        for _ in range(deleted):
            self._expunge_at_the_source(data)

    def _killed(self, at: int, amid: str) -> None:
        """A pass that dies at the so-manieth operation whose name begins so."""

        def strike(operation: str) -> None:
            nonlocal at
            at -= operation.startswith(amid)
            if at <= 0 and self.deaths == deaths:
                self.deaths += 1
                remains = self.scratch / f"remains{self.deaths}"
                remains.mkdir()
                for file in self.state.iterdir():
                    if file.is_file() and not file.name.endswith("-shm"):
                        shutil.copyfile(file, remains / file.name)
            if at <= 0:
                raise Killed

        deaths = self.deaths
        try:
            self._attempt(strike)
        except Killed:
            assert self.deaths == deaths + 1
            self.unsettled = True
            self.state = self.scratch / f"remains{self.deaths}"

    @rule(at=st.lists(st.integers(1, 40), min_size=1, max_size=4))
    def a_pass_that_is_cut(self, at: list[int]) -> None:
        calls = 0

        def strike(operation: str) -> None:
            nonlocal calls
            calls += 1
            if calls in at:
                raise Disconnected(f"cut at {operation}", after=0.01)

        assert self._attempt(strike) is not None

    @rule()
    @precondition(lambda self: self.state.exists())
    def the_ledger_is_lost(self) -> None:
        """What the person removed may come back, and copies be taken for originals."""
        shutil.rmtree(self.state)
        self.book.removed.clear()
        self.book.renumbered.update(FOLDERS)

    # what must be

    def _attempt(self, strike: Callable[[str], None] | None) -> Finished | None:
        before = self._all(self.source)

        def faults(operation: str, folder: str) -> None:
            if strike is not None:
                strike(f"{operation} {folder}")

        async def run() -> Finished | None:
            finished = None
            source = MemorySource(self.source, faults)
            target = MemoryTarget(self.target, faults)
            with Ledger.open(self.state, "source → target") as ledger:
                async with asyncio.timeout(20):
                    async for event in run_pass(
                        source,
                        target,
                        ledger,
                        self.options,
                        sleep=_no_wait,
                        chance=random.Random(1),
                    ):
                        finished = event if isinstance(event, Finished) else None
            return finished

        finished = self.runner.run(run())
        assert self._all(self.source) == before, "the source was touched"
        assert not self.source.written
        if finished is not None:
            self.unsettled = False
            emptied = self.options.delete is Delete.MIRROR and not self.source.total()
            assert not finished.unfinished or emptied, finished.unfinished
            assert finished.tally.adds_up
            assert finished.tally.census == sum(len(each) for each in before.values())
        return finished

    def _settle(self) -> None:
        """Two quiet passes, of which the second does nothing; then the book is opened."""
        assert self._attempt(None) is not None
        before = self._all(self.target)
        finished = self._attempt(None)
        assert finished is not None and finished.wire_writes == 0
        assert self._all(self.target) == before, "the second quiet pass changed something"
        for folder in set(self.source.paths) | set(self.target.paths):
            self._compare(folder)

    def _compare(self, folder: FolderPath) -> None:
        here = self.source.messages(folder) if folder in self.source.paths else []
        there = self.target.messages(folder) if folder in self.target.paths else []
        wanted = Counter(place_of(folder, stored.data) for stored in here)
        found = Counter(place_of(folder, stored.data) for stored in there)
        book = self.book
        for place in wanted | found:
            at_least = wanted[place] - book.removed[place]
            at_most = self._at_most(place, wanted[place])
            assert at_least <= found[place] <= at_most, (
                f"{folder}: {place[1]!r} is at the source {wanted[place]} times (arrived "
                f"{book.arrived[place]}) and at the target {found[place]}; people put it there "
                f"{book.added[place]} and removed it {book.removed[place]} times"
            )
            theirs = book.added[place] - book.taken[place]
            kept = theirs - book.doubtful[place]
            assert found[place] >= kept, f"{place} is not ours to remove"
            assert book.arrived[place] or found[place] == theirs, f"{place} is not ours to make"
            if folder not in book.renumbered and wanted[place] == found[place] == 1:
                self._compare_flags(place, here, there)

    def _at_most(self, place: Content, wanted: int) -> int:
        book, folder = self.book, place[0]
        frozen = folder in book.renumbered or not self.source.total()
        unknown = folder not in self.source.paths or folder in book.touched
        if self.options.delete is Delete.MIRROR and not frozen and not unknown:
            return wanted + book.added[place]
        return book.arrived[place] + book.added[place]

    def _compare_flags(self, place: Content, here: list[Stored], there: list[Stored]) -> None:
        if self.book.arrived[place] > 1 or self.book.added[place] or self.book.removed[place]:
            return  # which of several it is can't be known from outside
        (ours,) = (each for each in here if place_of(place[0], each.data) == place)
        (theirs,) = (each for each in there if place_of(place[0], each.data) == place)
        assert theirs.received == ours.received
        assert theirs.flags & frozenset(AT_SOURCE) == ours.flags & frozenset(AT_SOURCE)
        person = self.book.flagged.get(place, NO_FLAGS)
        assert theirs.flags & frozenset(AT_TARGET) == person

    def _all(self, mailbox: MemoryMailbox) -> dict[FolderPath, list[Stored]]:
        return {path: mailbox.messages(path) for path in mailbox.paths}

    def _choose(
        self, data: st.DataObject, mailbox: MemoryMailbox
    ) -> tuple[FolderPath, Stored] | None:
        every = [(path, stored) for path in mailbox.paths for stored in mailbox.messages(path)]
        if not every:
            return None
        return every[data.draw(st.integers(0, len(every) - 1))]


async def _no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 300)
def test_histories() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not SOAK,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
