"""A pass: one idempotent run over one mailbox pair. Initial copy, delta and sweep are this.

    async for event in run_pass(source, target, ledger, options): ...

Open both sides, list both, map the folders, make what is missing, carry every folder that is not
idle (`engine.carry`), remove what may be removed, then count the source once more and account for
every message. Folders are carried side by side; the stores put that onto their connections.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mailhaul.core.errors import (
    BadInput,
    Disconnected,
    FolderFailed,
    MailhaulError,
    RetryLater,
)
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.store import Changes, Source, Target
from mailhaul.engine.accounting import Effects, added, lossy, tally_of, unaccounted
from mailhaul.engine.carry import Carrier, carry
from mailhaul.engine.folders import plan_folders
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.outcomes import (
    Carried,
    Delete,
    Event,
    Fate,
    Finished,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Options,
    Side,
    Tally,
    Waiting,
)
from mailhaul.engine.pace import Pace, Sleep
from mailhaul.engine.sides import Ahead, blamed

FOLDERS_AT_ONCE = 24
"""Folders on their way at the same time: enough to hide the round trips, few enough for memory."""

LARGE_FOLDER = 4 * 1024 * 1024
USUAL_MESSAGE = 16 * 1024
LARGE_FOLDERS_AT_ONCE = 5
"""Folders of more octets than that hold whole batches in memory: few of them at the same time."""

_Done = TypeVar("_Done")

SETTLING = 3.0
"""Seconds in which a server is through with what it had received before a connection ended."""

ROUNDS = 3
"""So often is a folder carried again in one pass when more mail came in meanwhile."""


async def run_pass(
    source: Source,
    target: Target,
    ledger: Ledger,
    options: Options,
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    chance: random.Random | None = None,
) -> AsyncIterator[Event]:
    """Brings `target` up to date with `source` and yields what happens; the last is `Finished`.

    Opens both stores and leaves closing to the caller. Raises `Closed` when a side needs a person,
    `RetryLater` when a side could not even be listed after all retries. Folders that could not be
    completed are told in `FolderDone.error` and in `Finished.unfinished`; running again goes on.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    chance = chance or random.Random()  # noqa: S311 - spreads retries, guards nothing
    run = _Pass(source, target, ledger, options, events.put_nowait, sleep, clock, chance)

    async def work() -> None:
        try:
            await run.run()
        finally:
            events.put_nowait(None)

    task = asyncio.create_task(work())
    try:
        while (event := await events.get()) is not None:
            yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


@dataclass(slots=True)
class _Trip:
    """One folder on its way: where it is, and how it went."""

    link: FolderLink
    source: Folder
    target: Folder | None
    """None: it has to be made."""
    row: FolderRow
    effects: Effects = field(default_factory=Effects)
    anew: bool = False
    look: bool = False
    error: str = ""


@dataclass(slots=True, eq=False)
class _Pass:
    _source: Source
    _target: Target
    _ledger: Ledger
    _options: Options
    _tell: Callable[[Event], None]
    _sleep: Sleep
    _clock: Callable[[], float]
    _random: random.Random
    _unfinished: list[str] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _unmade: set[FolderPath] = field(default_factory=set)
    _fates: Mapping[FolderPath, Mapping[Fate, int]] = field(default_factory=dict)

    async def run(self) -> None:
        began = self._clock()
        source, target = await self._listed()
        links, sources, targets = self._map(source, target)
        if self._options.dry_run:
            self._rehearse(links, sources, began)
            return
        trips: list[_Trip] = []
        counts, removed = sources, 0
        try:
            await self._let_settle()
            trips += self._prepare(links, sources, targets)
            await self._carry_all(trips)
            if trips:
                counts = await self._settle(links, targets, trips)
            removed = await self._mirror(links, trips, targets, counts)
        except MailhaulError as error:
            self._unfinished.append(str(error))
            raise
        except BaseException:
            self._unfinished.append("the pass was stopped; run again to go on")
            raise
        finally:
            self._tell(self._finished(links, counts, trips, removed, began))
            self._ledger.commit()

    async def _let_settle(self) -> None:
        """A server may go on storing for a moment what it had received when we were cut off: who
        looks at once finds nothing, and would send it again."""
        rest = SETTLING - self._ledger.quiet
        if rest > 0 and self._ledger.unsettled():
            reason = "a run was cut off a moment ago, and what it had sent may still arrive"
            self._tell(Waiting(Side.TARGET, reason, rest))
            await self._sleep(rest)

    # listing and mapping

    async def _listed(self) -> tuple[list[Folder], list[Folder]]:
        async def side(store: Source, which: Side) -> list[Folder]:
            async def look() -> list[Folder]:
                await store.open()
                return await store.folders()

            folders = await self._patiently(look, which)
            notices = tuple(store.traffic.notices)
            self._tell(Opened(which, store.capabilities.server, notices))
            return folders

        source, target = await _together(
            side(self._source, Side.SOURCE), side(self._target, Side.TARGET)
        )
        return source, target

    def _map(
        self, source: Sequence[Folder], target: Sequence[Folder]
    ) -> tuple[tuple[FolderLink, ...], dict[FolderPath, Folder], dict[FolderPath, Folder]]:
        sources = {folder.path: folder for folder in source}
        self._follow_renames(sources)
        self._fates = self._ledger.fates()
        known = {row.source: row.target for row in self._ledger.folders()}
        plan = plan_folders(
            source, target, self._target.capabilities.names, self._options, known=known
        )
        targets = {folder.path: folder for folder in target}
        rows = self._rows()
        idle = sum(
            self._idle(row, sources[link.source], targets.get(link.target))
            for link in plan.links
            if (row := rows.get((link.source, link.target))) is not None
        )
        self._tell(Mapped(plan.links, idle, plan.excluded, plan.problems))
        self._notes += plan.notes
        if plan.problems:
            raise BadInput("; ".join(plan.problems))
        return plan.links, sources, targets

    def _rows(self) -> dict[tuple[FolderPath, FolderPath], FolderRow]:
        return {(row.source, row.target): row for row in self._ledger.folders()}

    def _follow_renames(self, sources: Mapping[FolderPath, Folder]) -> None:
        """A source folder that is gone while one we never saw is in the very same state has been
        renamed: its row follows, so that nothing is carried twice (C2)."""
        if self._options.dry_run:
            return
        rows = self._ledger.folders()
        known = {row.source for row in rows}
        states: dict[str, list[Folder]] = {}
        for folder in sources.values():
            if folder.path not in known and folder.state is not None and folder.count:
                states.setdefault(folder.state, []).append(folder)
        for row in rows:
            same = states.get(row.source_state or "", [])
            if row.source not in sources and len(same) == 1 and self._ledger.known(row):
                self._ledger.rename(row, same[0].path)
                self._notes.append(
                    f"{shown(row.source)} is called {shown(same[0].path)} at the source now; "
                    f"it stays {shown(row.target)} at the target"
                )

    def _rehearse(
        self, links: Sequence[FolderLink], sources: Mapping[FolderPath, Folder], began: float
    ) -> None:
        census = 0
        for link in links:
            folder = sources[link.source]
            census += folder.count or 0
            self._tell(Listed(link.source, folder.count or 0, folder.size or 0))
        self._tell(
            Finished(
                Tally(census=census),
                self._clock() - began,
                self._round_trips(),
                self._target.traffic.writes,
                notes=(*self._notes, "this was a dry run: nothing was written"),
            )
        )

    # preparing

    def _idle(self, row: FolderRow, source: Folder, target: Folder | None) -> bool:
        if source.state is None or source.state != row.source_state or target is None:
            return False
        if target.tail is None or target.tail not in (row.target_tail, row.target_seen):
            return False
        if source.count is not None and source.count != self._known_count(row):
            return False
        return not self._ledger.intended(row) and not self._reconsidered(row)

    def _miscounted(self, row: FolderRow, source: Folder) -> bool:
        """The source says that nothing happened, and yet it counts other than we do."""
        same = source.state is not None and source.state == row.source_state
        return same and source.count not in (None, self._known_count(row))

    def _known_count(self, row: FolderRow) -> int:
        """How many of the source's messages the ledger knew in that folder when it was last
        counted."""
        return sum(self._fates.get(row.source, {}).values())

    def _reconsidered(self, row: FolderRow) -> bool:
        """Whether some of the folder's messages are to be tried again."""
        since = self._options.since
        return self._ledger.undecided(
            row,
            since=None if since is None else since.timestamp(),
            refused=self._options.retry_refused,
        )

    def _prepare(
        self,
        links: Sequence[FolderLink],
        sources: Mapping[FolderPath, Folder],
        targets: Mapping[FolderPath, Folder],
    ) -> list[_Trip]:
        """The folders to carry."""
        trips: list[_Trip] = []
        rows = self._rows()
        for link in links:
            source, there = sources[link.source], targets.get(link.target)
            if there is not None and not there.selectable:
                there = None
            row = rows.get((link.source, link.target))
            if row is None:
                row = self._ledger.link(link.source, link.target)
            elif there is None and self._ledger.known(row) and not self._options.restore:
                self._gone(row)
                continue
            elif self._idle(row, source, there):
                continue
            trip = _Trip(link, source, there, row)
            trip.anew = self._reconsidered(row) or self._miscounted(row, source)
            trips.append(trip)
        return trips

    def _gone(self, row: FolderRow) -> None:
        carried = sum(self._ledger.fates()[row.source].values())
        self._unfinished.append(
            f"{shown(row.target)} is gone at the target, where {carried} messages of "
            f"{shown(row.source)} had been put; leave the folder out with --exclude, or carry it "
            "again with --restore"
        )

    async def _make(self, trip: _Trip) -> bool:
        """Makes the trip's target folder; false, and told, when the target won't have it."""
        link = trip.link
        try:
            folder = await self._patiently(
                lambda: self._target.create(link.target, link.role), Side.TARGET
            )
        except (FolderFailed, RetryLater) as error:
            self._unfinished.append(f"{shown(link.target)} could not be made: {error}")
            self._unmade.add(link.source)
            self._tell(FolderDone(link.source, str(error)))
            return False
        row = trip.row
        if self._ledger.known(row):
            row = self._ledger.lose_targets(row)
            self._ledger.forget(each.id for each in self._ledger.unkeyed(row) if each.id)
        trip.target = folder
        trip.row = replace(
            row, target_tail=folder.tail, target_seen=folder.tail, target_anchor=folder.tail
        )
        self._ledger.move(trip.row)
        return True

    async def _subscribe(self, trip: _Trip) -> None:
        """Done once for a folder; later the person decides."""
        target = trip.target
        assert target is not None
        if trip.source.subscribed and not target.subscribed:
            await self._patiently(lambda: self._target.subscribe(target), Side.TARGET)
        self._ledger.subscribed(trip.row)

    # carrying

    async def _carry_all(self, trips: Sequence[_Trip]) -> None:
        places = asyncio.Semaphore(FOLDERS_AT_ONCE)
        wide = asyncio.Semaphore(LARGE_FOLDERS_AT_ONCE)
        alone = defaultdict[FolderPath, asyncio.Lock](asyncio.Lock)

        async def one(trip: _Trip) -> None:
            # Two folders that share a target would take each other's copies for strangers.
            size = trip.source.size
            if size is None:
                size = (trip.source.count or 0) * USUAL_MESSAGE
            large = size > LARGE_FOLDER
            async with wide if large else nullcontext(), places, alone[trip.link.target]:
                await self._carry_one(trip)

        await _together(*(one(trip) for trip in trips))

    async def _carry_one(self, trip: _Trip) -> None:
        """Carries one folder through all temporary trouble; writes down what stays undone. What
        doesn't depend on one another goes out together: making the target's folder and listing
        the source's, subscribing and carrying."""
        ahead = None
        if trip.target is None and not self._ledger.known(trip.row):
            ahead = Ahead(self._source.changes(trip.source, None))
        beside: list[asyncio.Task[None]] = []
        try:
            if trip.target is None and not await self._make(trip):
                return
            if not trip.row.subscribed:
                beside.append(asyncio.create_task(self._subscribe(trip)))
            await self._carry_on(trip, ahead)
            await asyncio.gather(*beside)
        except (FolderFailed, RetryLater) as error:
            trip.error = trip.error or str(error)
        finally:
            for task in beside:
                task.cancel()
            if ahead is not None:
                await ahead.aclose()
        self._ledger.commit()
        trip.anew = trip.look = False
        self._tell(FolderDone(trip.link.source, trip.error))

    async def _carry_on(self, trip: _Trip, ahead: Ahead[Changes] | None) -> None:
        pace = Pace(self._options.retries, self._random)

        def tell(event: Event) -> None:
            if isinstance(event, Carried):
                pace.progressed()
            self._tell(event)

        carrier = Carrier(
            self._source, self._target, self._ledger, self._options, tell, trip.effects
        )
        trip.error = ""
        assert trip.target is not None
        while True:
            try:
                trip.row = await carry(
                    *(carrier, trip.row, trip.source, trip.target),
                    look=trip.look,
                    anew=trip.anew,
                    ahead=ahead,
                )
                return
            except RetryLater as error:
                pause = pace.pause(error)
                if pause is None:
                    trip.error = f"given up after {pace.failures} tries: {error}"
                    return
                if isinstance(error, Disconnected) and self._ledger.intended(trip.row):
                    pause = max(pause, SETTLING)
                await self._wait(error, pause)
                trip.look = True
                trip.row = self._ledger.folder(trip.row.id)
                ahead = None
            except FolderFailed as error:
                trip.error = str(error)
                return

    async def _patiently(self, act: Callable[[], Awaitable[_Done]], side: Side) -> _Done:
        pace = Pace(self._options.retries, self._random)
        while True:
            try:
                async with blamed(side):
                    return await act()
            except RetryLater as error:
                pause = pace.pause(error)
                if pause is None:
                    raise
                await self._wait(error, pause)

    async def _wait(self, error: RetryLater, pause: float) -> None:
        self._tell(Waiting(Side(error.side or Side.TARGET), str(error), pause, error.throttled))
        await self._sleep(pause)

    # the end

    async def _settle(
        self,
        links: Sequence[FolderLink],
        targets: Mapping[FolderPath, Folder],
        trips: list[_Trip],
    ) -> dict[FolderPath, Folder]:
        """Counts the source again; folders to which more came meanwhile are carried again, those
        that were idle too."""
        for round_ in range(ROUNDS):
            folders = await self._patiently(self._source.folders, Side.SOURCE)
            sources = {folder.path: folder for folder in folders}
            fates = self._fates = self._ledger.fates()
            behind: list[_Trip] = []
            trips += self._awoken(links, sources, targets, trips)
            for trip in trips:
                now = sources.get(trip.link.source)
                if now is None or trip.error or trip.target is None:
                    continue
                rows = sum(fates.get(trip.link.source, {}).values())
                moved = now.state is not None and now.state != trip.row.source_state
                if moved or (now.count is not None and now.count != rows):
                    trip.anew = not moved
                    trip.source = now
                    behind.append(trip)
            if not behind or round_ == ROUNDS - 1:
                break
            await self._carry_all(behind)
        return sources

    def _awoken(
        self,
        links: Sequence[FolderLink],
        sources: Mapping[FolderPath, Folder],
        targets: Mapping[FolderPath, Folder],
        trips: Sequence[_Trip],
    ) -> list[_Trip]:
        """Folders that were idle and are no more."""
        going = {trip.link.source for trip in trips}
        awoken = []
        rows = self._rows()
        for link in links:
            source, target = sources.get(link.source), targets.get(link.target)
            row = rows.get((link.source, link.target))
            if source is None or target is None or row is None or link.source in going:
                continue
            if not self._idle(row, source, target):
                awoken.append(_Trip(link, source, target, row))
        return awoken

    async def _mirror(
        self,
        links: Sequence[FolderLink],
        trips: Sequence[_Trip],
        targets: Mapping[FolderPath, Folder],
        counts: Mapping[FolderPath, Folder],
    ) -> int:
        """Removes at the target what mailhaul put there and the source no longer has, if asked."""
        if self._options.delete is not Delete.MIRROR:
            return 0
        there = {**targets, **{trip.target.path: trip.target for trip in trips if trip.target}}
        failed = {trip.link.source for trip in trips if trip.error}
        linked = {link.source for link in links} - failed
        doomed = [
            (there[row.target], rows)
            for row in self._ledger.folders()
            if row.source in linked and row.target in there and (rows := self._ledger.orphans(row))
        ]
        total = sum(len(rows) for _, rows in doomed)
        if not total or not self._may_remove(total, counts):
            return 0
        return sum(await _together(*(self._remove(folder, rows) for folder, rows in doomed)))

    def _may_remove(self, total: int, counts: Mapping[FolderPath, Folder]) -> bool:
        if not any(folder.count is None or folder.count for folder in counts.values()):
            self._unfinished.append(
                "the source lists no message at all, which is more likely a fault than an order: "
                f"{total} messages were not removed at the target"
            )
            return False
        if total > self._options.max_delete:
            self._unfinished.append(
                f"{total} messages would be removed at the target, more than the "
                f"{self._options.max_delete} allowed: none was; raise --max-delete if it is meant"
            )
            return False
        return True

    async def _remove(self, folder: Folder, rows: Sequence[MessageRow]) -> int:
        keys = [row.target_key for row in rows if row.target_key is not None]

        async def act() -> int:
            return await self._target.remove(folder, keys)

        try:
            removed = await self._patiently(act, Side.TARGET)
        except (FolderFailed, RetryLater) as error:
            self._unfinished.append(f"{shown(folder.path)}: not removed: {error}")
            return 0
        self._ledger.forget(row.id for row in rows if row.id is not None)
        return removed

    def _finished(
        self,
        links: Sequence[FolderLink],
        counts: Mapping[FolderPath, Folder],
        trips: Sequence[_Trip],
        removed: int,
        began: float,
    ) -> Finished:
        fates = self._ledger.fates() if trips else self._fates
        effects = {trip.link.source: trip.effects for trip in trips}
        tallies: dict[FolderPath, Tally] = {}
        for link in links:
            folder = counts.get(link.source)
            if folder is None:
                continue
            tallies[link.source] = tally_of(
                folder, fates.get(link.source, {}), effects.get(link.source, Effects())
            )
        for trip in trips:
            if trip.error:
                self._unfinished.append(f"{shown(trip.link.source)}: {trip.error}")
        failed = self._unmade | {trip.link.source for trip in trips if trip.error}
        self._unfinished += unaccounted(tallies, failed)
        self._notes += lossy(effects.values())
        for effect in effects.values():
            self._notes += effect.notes
        return Finished(
            replace(added(tallies.values()), removed=removed),
            self._clock() - began,
            self._round_trips(),
            self._target.traffic.writes,
            tallies,
            tuple(dict.fromkeys(self._unfinished)),
            tuple(dict.fromkeys(self._notes)),
        )

    def _round_trips(self) -> dict[Side, int]:
        return {
            Side.SOURCE: self._source.traffic.round_trips,
            Side.TARGET: self._target.traffic.round_trips,
        }


async def _together(*tasks: Coroutine[None, None, _Done]) -> list[_Done]:
    """Runs them side by side; at the first error the others are cancelled and it is raised."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
