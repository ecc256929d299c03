"""Scenario tables and what runs them: straight, twice, killed and cut at every step.

A scenario is two mailboxes, a story of passes and of what people do in between, and what the
target must hold in the end. A run may be interrupted at any one point of its story:

- killed: the ledger is frozen as its files are at that instant, nothing runs on that would write,
  and the pass is run again from what a dead process leaves behind. There is a point before and
  after every write and every commit of the ledger; between those a death leaves the same behind.
- cut: a call of a store raises `Disconnected` once, and the pass itself must cope. Every call is
  a point, twice where it writes: before and after.
- stopped: whoever listens to the pass has heard enough (Ctrl-C), closes it, and begins it again.
  Every event is a point.

However a story was interrupted, it ends the same. The source is compared before and after.
"""

import asyncio
import random
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from mailhaul.core.errors import Disconnected
from mailhaul.core.folder import Folder
from mailhaul.core.store import Source
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.ledger_file import FileRows
from mailhaul.engine.outcomes import Event, Finished, Listed, Mapped, Options, Side, Tally, Waiting
from mailhaul.engine.passes import run_pass
from mailhaul.engine.returning import run_return
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryFolder, MemoryMailbox
from tests.engine.notation import fill, shown

SOURCE, TARGET = Side.SOURCE, Side.TARGET
FATES = ("copied", "adopted", "skipped", "refused", "missing")
LONGEST = 20.0
"""Seconds after which a pass counts as hanging."""

Act = Callable[["World"], None]


@dataclass(frozen=True, slots=True)
class On:
    """When `side` does `operation` (in `folder`) for the `count`-th time in a pass: `act`, then
    `error`. Once."""

    side: Side
    operation: str
    count: int = 1
    act: Act | None = None
    error: Exception | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """A pass and what it must tell. `tally` is words like `copied 3, flagged 1`, fates not named
    are 0; the census is their sum unless named."""

    tally: str = ""
    options: Options = field(default_factory=Options)
    back: bool = False
    """The way back: the target is read and the source is written."""
    writes: str | None = None
    listed: str | None = None
    """What is told to be carried: so many messages of which folder, `INBOX 2, Work 1`."""
    unfinished: tuple[str, ...] = ()
    raises: type[BaseException] | None = None
    waits: int = 0
    """So often the pass must tell that it waits; after a run that was cut off it rests besides."""
    on: tuple[On, ...] = ()
    wrap: Callable[[Source], Source] = lambda source: source

    @property
    def read(self) -> Side:
        return TARGET if self.back else SOURCE

    @property
    def written(self) -> Side:
        return SOURCE if self.back else TARGET


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    source: str
    target: str
    story: tuple[Sync | Act, ...]
    ends: str
    source_ends: str | None = None
    """What the source must hold in the end, where there is a way back."""
    source_habits: dict[str, object] = field(default_factory=dict)
    target_habits: dict[str, object] = field(default_factory=dict)
    servers: str = "best plain poor"
    unordered: bool = False
    """The order within a folder is not the source's, for a reason."""
    idle: bool = True
    """In the end every folder is idle, where servers tell states."""
    adopted_is_fine: bool = False
    """A renumbering and an interruption fall into one pass: what was in flight may be told as
    adopted, which is the careful word, instead of copied."""
    every: int = 1
    """Interrupted at every so many points only, because it has so many alike."""


SERVERS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "best": ({}, {}),
    "plain": ({"tells_modseq": False, "page": 2}, {"window": 3, "page": 2}),
    "poor": (
        {"tells_modseq": False, "tells_state": False, "tells_tail": False, "page": 2},
        {
            "announces_keys": False,
            "tells_modseq": False,
            "tells_state": False,
            "tells_tail": False,
            "window": 3,
            "page": 2,
        },
    ),
}


class Kind(StrEnum):
    KILLED = "killed"
    CUT = "cut"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Interrupt:
    kind: Kind
    point: int


class Killed(BaseException):
    """The process is gone."""


class Stopped(BaseException):
    """Nobody listens any more."""


class World:
    """Two mailboxes, the state directory, and a story's course through them."""

    def __init__(self, scenario: Scenario, server: str, interrupt: Interrupt | None = None) -> None:
        at_source, at_target = SERVERS[server]
        source_habits = replace(Habits(), **{**at_source, **scenario.source_habits})  # type: ignore[arg-type]
        target_habits = replace(Habits(), **{**at_target, **scenario.target_habits})  # type: ignore[arg-type]
        self.scenario = scenario
        self.server = server
        self.mailboxes = {
            SOURCE: MemoryMailbox(source_habits),
            TARGET: MemoryMailbox(target_habits),
        }
        self.names = fill(self.mailboxes[SOURCE], scenario.source)
        self.names |= fill(self.mailboxes[TARGET], scenario.target)
        self.names |= fill(MemoryMailbox(), scenario.ends)
        self.names |= fill(MemoryMailbox(), scenario.source_ends or "")
        self.interrupt = interrupt
        self.points = dict.fromkeys(Kind, 0)
        self.commits = 0
        self.acts = 0
        self.left_behind = (-1, -1, -1)
        self.happened = False
        self.dead = False
        self.state: Path = Path()
        self.untouched = _snapshots(self.mailboxes)
        self.finished: Finished | None = None
        self.waits = 0
        self.listed: Counter[str] = Counter()
        self.idle = 0
        self.waiting_for: list[On] = []
        self.counts: Counter[tuple[Side, str, str | None]] = Counter()

    # the story

    async def live(self) -> None:
        """Plays the whole story, then twice more the last pass, which must find nothing to do."""
        with _scratch() as scratch:
            self.state = scratch / "state"
            last = Sync()
            for step in self.scenario.story:
                if isinstance(step, Sync):
                    last = step
                    await self._step(step)
                else:
                    self.act(step)
            self._check_end()
            if last.raises is None:
                await self._check_quiet(last)

    def act(self, act: Act) -> None:
        """A person does something; whatever it changes at the source is not our doing."""
        act(self)
        self.acts += 1
        self.untouched = _snapshots(self.mailboxes)

    async def _step(self, sync: Sync) -> None:
        before = Counter(self.mailboxes[sync.written].written)
        self.waiting_for = list(sync.on)
        clean = not self.happened
        raised = await self._attempt(sync)
        if isinstance(raised, Killed):
            self._arise()
        if isinstance(raised, Killed | Stopped):
            raised = await self._attempt(sync)
        clean = clean and not self.happened
        if self.waiting_for:
            assert not clean, f"never happened: {self.waiting_for}"
            for on in self.waiting_for:
                if on.act is not None:
                    self.act(on.act)
            self.waiting_for = []
            raised = await self._attempt(sync)
        elif not clean and sync.on and raised is None:
            raised = await self._attempt(sync)  # what came later than in the straight run
        expected = sync.raises or type(None)
        if clean or raised is not None or not sync.on:
            assert type(raised) is expected, f"expected {expected.__name__}, got {raised!r}"
        if sync.raises is None and (clean or not (sync.on and sync.unfinished)):
            self._check_tally(sync, clean)
        elif clean and self.finished is not None:
            assert self.finished.unfinished == sync.unfinished
        if clean and sync.listed is not None:
            assert self.listed == _figures(sync.listed)
        if clean and sync.writes is not None:
            written = Counter(self.mailboxes[sync.written].written) - before
            assert dict(written) == _figures(sync.writes)
        if clean:
            assert self.waits == sync.waits

    async def _attempt(self, sync: Sync) -> BaseException | None:
        """One run of the pass; returns what it raised."""
        self.finished, self.waits, self.listed = None, 0, Counter()
        self.counts.clear()
        reading = self.mailboxes[sync.read]
        before = Counter(reading.written)
        source = sync.wrap(MemorySource(reading, self._faults(sync.read)))
        target = MemoryTarget(self.mailboxes[sync.written], self._faults(sync.written))
        try:
            with self._ledger(self.state) as ledger:
                if sync.back:
                    with self._ledger(self.state / "back") as back:
                        call = partial(run_return, source, target, ledger, back)
                        await self._pass(call, sync.options)
                else:
                    await self._pass(partial(run_pass, source, target, ledger), sync.options)
        except (Killed, Stopped) as error:
            return error
        except Exception as error:
            if sync.raises is None or not isinstance(error, sync.raises):
                raise
            return error
        finally:
            assert reading.written == before
            assert _snapshot(reading) == self.untouched[sync.read], "the source was touched"
            self.untouched = _snapshots(self.mailboxes)
        return Killed() if self.dead else None

    def _ledger(self, directory: Path) -> Ledger:
        ledger = Ledger.open(directory, "source → target")
        assert isinstance(ledger._sql, FileRows)
        ledger._sql.connection.set_trace_callback(self._statement)
        return ledger

    async def _pass(self, call: Callable[..., AsyncIterator[Event]], options: Options) -> None:
        ticks = iter(range(1_000_000))
        events = call(
            options,
            sleep=_no_wait,
            clock=lambda: float(next(ticks)),
            chance=random.Random(1),
        )
        async with asyncio.timeout(LONGEST):
            assert isinstance(events, AsyncGenerator)
            async with aclosing(events):
                async for event in events:
                    self._hear(event)
                    if self._point(Kind.STOPPED):
                        raise Stopped

    def _hear(self, event: Event) -> None:
        if isinstance(event, Waiting) and "cut off a moment ago" not in event.reason:
            self.waits += 1
        elif isinstance(event, Listed):
            self.listed["/".join(event.folder)] += event.messages
        elif isinstance(event, Mapped):
            self.idle = event.idle
        elif isinstance(event, Finished):
            self.finished = event

    # interruptions

    def _faults(self, side: Side) -> Callable[[str, str], None]:
        def strike(operation: str, folder: str) -> None:
            if self.dead:
                raise Killed
            self.counts[side, operation, None] += 1
            self.counts[side, operation, folder] += 1
            self._death()
            if self.dead:
                raise Killed
            if self._point(Kind.CUT):
                raise Disconnected(f"cut at {operation} {folder}", after=0.01)
            for on in self.waiting_for:
                now = (side, operation, on.folder or folder) == (on.side, on.operation, folder)
                if now and self.counts[side, operation, on.folder] >= on.count:
                    self.waiting_for.remove(on)
                    if on.act is not None:
                        self.act(on.act)
                    if on.error is not None:
                        raise on.error
                    break

        return strike

    def _statement(self, statement: str) -> None:
        # Errors can't leave SQLite's callback; the next call of a store will raise.
        if statement == "COMMIT" and not self.dead:
            self._death()
            self.commits += 1

    def _death(self) -> None:
        written = sum(sum(each.written.values()) for each in self.mailboxes.values())
        leaves = (written, self.commits, self.acts)
        if leaves != self.left_behind:
            self.left_behind = leaves
            self._point(Kind.KILLED)

    def _point(self, kind: Kind) -> bool:
        self.points[kind] += 1
        if self.happened or self.interrupt != Interrupt(kind, self.points[kind]):
            return False
        self.happened = True
        if kind is Kind.KILLED:
            self.dead = True
            remains = self.state.with_name("remains")
            shutil.copytree(self.state, remains, ignore=shutil.ignore_patterns("*-shm", "refused"))
        return True

    def _arise(self) -> None:
        self.dead = False
        self.state = self.state.with_name("remains")

    # what must be

    def _check_tally(self, sync: Sync, clean: bool) -> None:
        assert self.finished is not None
        tally = self.finished.tally
        wanted = _figures(sync.tally)
        fates = {fate: wanted.get(fate, 0) for fate in FATES}
        told = {fate: getattr(tally, fate) for fate in FATES}
        if self.scenario.adopted_is_fine and not clean:
            for figures in (fates, told):
                figures["copied"] += figures.pop("adopted")
        assert told == fates
        assert tally.census == wanted.get("census", sum(fates.values()))
        assert self.finished.unfinished == sync.unfinished
        if clean:
            for name in set(wanted) - set(FATES):
                assert getattr(tally, name) == wanted[name], name
        assert tally.adds_up or sync.unfinished or sync.options.dry_run
        if sync.options.dry_run:
            return
        whole = sum((Counter(_fields(each)) for each in self.finished.folders.values()), Counter())
        assert all(whole[fate] == getattr(tally, fate) for fate in ("census", *FATES))

    def _check_end(self) -> None:
        self._check_holds(TARGET, self.scenario.ends)
        if self.scenario.source_ends is not None:
            self._check_holds(SOURCE, self.scenario.source_ends)

    def _check_holds(self, side: Side, ends: str) -> None:
        wanted = MemoryMailbox(replace(Habits(), most_keywords=None))
        fill(wanted, ends)
        expected = shown(wanted, self.names)
        actual = shown(self.mailboxes[side], self.names)
        if self.happened or self.scenario.unordered:
            expected = {folder: sorted(words) for folder, words in expected.items()}
            actual = {folder: sorted(words) for folder, words in actual.items()}
        assert actual == expected

    async def _check_quiet(self, last: Sync) -> None:
        """Once more and nothing happens; and then every folder is known to be idle."""
        before = [Counter(each.written) for each in self.mailboxes.values()]
        self.interrupt = None
        quiet = replace(last, on=(), writes=None, waits=0)
        for _ in range(2):
            finished = self.finished
            assert await self._attempt(quiet) is None
            assert self.finished is not None and finished is not None
            fates = ("census", *FATES)
            now, then = _fields(self.finished.tally), _fields(finished.tally)
            assert {fate: now[fate] for fate in fates} == {fate: then[fate] for fate in fates}
            assert self.finished.unfinished == finished.unfinished
            tally = self.finished.tally
            assert (tally.carried, tally.flagged, tally.removed, tally.octets) == (0, 0, 0, 0)
            assert self.finished.wire_writes == 0
        written = [each.written for each in self.mailboxes.values()]
        assert written == before, "the second pass wrote"
        if self.server != "poor" and self.scenario.idle:
            assert self.finished is not None
            assert self.idle == len(self.finished.folders), "not every folder is idle in the end"


async def straight(scenario: Scenario, server: str) -> None:
    """Plays it without interruption."""
    await World(scenario, server).live()


async def interrupted(scenario: Scenario, server: str, kind: Kind, every: int = 1) -> int:
    """Plays it once for each point (or each `every`-th) and interrupts it there; how often."""
    times = 0
    step = every * scenario.every
    point = 1 + zlib.crc32(scenario.name.encode()) % step
    while True:
        world = World(scenario, server, Interrupt(kind, point))
        try:
            await world.live()
        except BaseException as error:
            error.add_note(f"{scenario.name} on {server}, {kind} at point {point}")
            raise
        if not world.happened:
            return times
        times += 1
        point += step


# small things


def _figures(text: str) -> dict[str, int]:
    pairs = (part.split() for part in text.split(",") if part.strip())
    return {name: int(number) for name, number in pairs}


def _fields(tally: Tally) -> dict[str, int]:
    names = ("census", *FATES, "flagged", "removed", "carried", "octets")
    return dict(zip(names, astuple(tally), strict=True))


def _snapshots(mailboxes: Mapping[Side, MemoryMailbox]) -> dict[Side, dict[object, object]]:
    return {side: _snapshot(mailbox) for side, mailbox in mailboxes.items()}


def _snapshot(mailbox: MemoryMailbox) -> dict[object, object]:
    """All there is in it."""
    return {path: _frozen(mailbox.folder(path)) for path in mailbox.paths}


def _frozen(folder: MemoryFolder) -> MemoryFolder:
    return replace(folder, messages=dict(folder.messages), vanished=list(folder.vanished))


@contextmanager
def _scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


async def _no_wait(seconds: float) -> None:
    assert seconds >= 0
    await asyncio.sleep(0)


class Listing:
    """A source that tells folders otherwise than they are; everything else is as it is."""

    def __init__(self, source: Source, tell: Callable[[Folder], Folder]) -> None:
        self._source = source
        self._tell = tell

    async def folders(self) -> list[Folder]:
        return [self._tell(folder) for folder in await self._source.folders()]

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)
