"""A pass: one idempotent run over one mailbox pair. Initial copy, delta and sweep are this.

    async for event in run_pass(source, target, ledger, options): ...

Open both sides, list both, map the folders, make what is missing, carry every folder that is not
idle (`engine.carry`), remove what may be removed, then count the source once more and account for
every message. Folders are carried side by side; the stores put that onto their connections.
What only carrying needs is imported where it is needed: whoever starts a process for one pass may
have imported it before, or while the servers let us in.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.store import Source, Target
from mailhaul.core.text import plural, printable
from mailhaul.engine.accounting import Effects, added, lossy, tally_of, unaccounted
from mailhaul.engine.beside import Beside
from mailhaul.engine.folders import plan_folders
from mailhaul.engine.ledger import FolderRow, Ledger
from mailhaul.engine.outcomes import (
    Event,
    Finished,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Options,
    Side,
    Tally,
    Waiting,
)
from mailhaul.engine.pace import Sleep
from mailhaul.engine.pair import Pair
from mailhaul.engine.remembering import remembering
from mailhaul.engine.role_names import learn_names
from mailhaul.engine.sides import together
from mailhaul.engine.standing import Standing, standing_of

if TYPE_CHECKING:
    from mailhaul.engine.trips import Trip

# ruff: noqa: PLC0415 - starting up is measured, see above.

MEANWHILE = 0.004
"""Seconds after which both servers, if they are near, have greeted and are busy letting us in: what
is done then costs nothing."""

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
    beside: Beside | None = None,
) -> AsyncIterator[Event]:
    """Brings `target` up to date with `source` and yields what happens; the last is `Finished`.
    What is known about the two besides the ledger's rows says `beside`.

    Opens both stores and leaves closing to the caller. Raises `Closed` when a side needs a person,
    `RetryLater` when a side could not even be listed after all retries. Folders that could not be
    completed are told in `FolderDone.error` and in `Finished.unfinished`; running again goes on.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    chance = chance or random.Random()  # noqa: S311 - spreads retries, guards nothing
    pair = Pair(source, target, ledger, options, events.put_nowait, sleep, chance, beside)
    run = _Pass(pair, clock)

    async def work() -> None:
        try:
            async with remembering(pair):
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
            if not task.cancelled():
                task.exception()  # looked at: whoever stopped it knows why


@dataclass(slots=True, eq=False)
class _Pass:
    _pair: Pair
    _clock: Callable[[], float]
    _standing: Standing | None = None
    """As last asked of the ledger."""

    async def run(self) -> None:
        pair = self._pair
        began = self._clock()
        meanwhile = asyncio.get_running_loop().call_later(MEANWHILE, self._prepare_to_map)
        try:
            source, target = await together(
                self._listed(pair.source, Side.SOURCE), self._listed(pair.target, Side.TARGET)
            )
        finally:
            meanwhile.cancel()
        sources = {folder.path: folder for folder in source}
        targets = {folder.path: folder for folder in target}
        if pair.beside is not None:
            pair.options = await pair.beside.prepare(pair.patiently, source, target, pair.options)
            self._standing = None
        standing = self._standing or self._ask_ledger()
        if self._follow_renames(sources, standing):
            standing = self._ask_ledger()
        links = self._map(source, target, standing)
        if pair.options.dry_run:
            self._rehearse(links, sources, standing, began)
            return
        trips: list[Trip] = []
        counts, removed, through = sources, 0, False
        try:
            await self._let_settle(standing)
            trips += self._prepare(links, sources, targets, standing)
            if trips:
                counts = await self._carry(links, targets, trips)
            failed = {trip.link.source for trip in trips if trip.error}
            from mailhaul.engine.mirror import mirror

            removed = await mirror(
                pair,
                {link.source for link in links} - failed,
                {**targets, **{trip.target.path: trip.target for trip in trips if trip.target}},
                counts,
                trips,
            )
            through = True
        except MailhaulError as error:
            pair.unfinished.append(str(error))
            raise
        except OSError as error:
            pair.unfinished.append(_said_by_machine(error))
            raise
        except BaseException:
            pair.unfinished.append("the pass was stopped before its end; run again to go on")
            raise
        finally:
            pair.tell(self._finished(links, counts, trips, removed, began, through=through))
            pair.ledger.commit()

    def _prepare_to_map(self) -> None:
        self._ask_ledger()
        learn_names()

    def _ask_ledger(self) -> Standing:
        self._standing = standing_of(self._pair.ledger, self._pair.options)
        return self._standing

    async def _let_settle(self, standing: Standing) -> None:
        """A server may go on storing for a moment what it had received when we were cut off: who
        looks at once finds nothing, and would send it again."""
        from mailhaul.engine.trips import SETTLING

        rest = SETTLING - self._pair.ledger.quiet
        if rest > 0 and standing.unsettled:
            reason = "a run was cut off a moment ago, and what it had sent may still arrive"
            self._pair.tell(Waiting(Side.TARGET, reason, rest))
            await self._pair.sleep(rest)

    # listing and mapping

    async def _listed(self, store: Source, side: Side) -> list[Folder]:
        async def look() -> list[Folder]:
            await store.open()
            return await store.folders()

        folders = await self._pair.patiently(look, side)
        notices = tuple(store.traffic.notices)
        self._pair.tell(Opened(side, store.capabilities.server, notices))
        return folders

    def _map(
        self, source: Sequence[Folder], target: Sequence[Folder], standing: Standing
    ) -> tuple[FolderLink, ...]:
        pair = self._pair
        known = {row.source: row.target for row in standing.rows.values()}
        plan = plan_folders(
            source, target, pair.target.capabilities.names, pair.options, known=known
        )
        sources = {folder.path: folder for folder in source}
        targets = {folder.path: folder for folder in target}
        idle = sum(
            standing.idle(row, sources[link.source], targets.get(link.target))
            for link in plan.links
            if (row := standing.rows.get((link.source, link.target))) is not None
        )
        pair.tell(Mapped(plan.links, idle, plan.excluded, plan.problems))
        pair.notes += plan.notes
        if plan.problems:
            raise BadInput("; ".join(plan.problems))
        return plan.links

    def _follow_renames(self, sources: Mapping[FolderPath, Folder], standing: Standing) -> bool:
        """A source folder that is gone while one we never saw is in the very same state has been
        renamed: its row follows, so that nothing is carried twice (C2). Whether any was."""
        ledger = self._pair.ledger
        if self._pair.options.dry_run:
            return False
        renamed = False
        rows = standing.rows.values()
        known = {row.source for row in rows}
        states: dict[str, list[Folder]] = {}
        for folder in sources.values():
            if folder.path not in known and folder.state is not None and folder.count:
                states.setdefault(folder.state, []).append(folder)
        for row in rows:
            same = states.get(row.source_state or "", [])
            if row.source not in sources and len(same) == 1 and ledger.known(row):
                ledger.rename(row, same[0].path)
                renamed = True
                self._pair.notes.append(
                    f"{shown(row.source)} is called {shown(same[0].path)} at the source now; "
                    f"it stays {shown(row.target)} at the target"
                )
        return renamed

    def _rehearse(
        self,
        links: Sequence[FolderLink],
        sources: Mapping[FolderPath, Folder],
        standing: Standing,
        began: float,
    ) -> None:
        pair, census = self._pair, 0
        for link in links:
            count, size = sources[link.source].count or 0, sources[link.source].size or 0
            new = max(0, count - standing.known(link.source))
            census += count
            pair.tell(Listed(link.source, new, round(size * new / count) if new else 0))
        pair.tell(
            Finished(
                Tally(census=census),
                self._clock() - began,
                pair.round_trips(),
                pair.target.traffic.writes,
                notes=(*pair.notes, "this was a dry run: nothing was written"),
            )
        )

    # carrying

    def _prepare(
        self,
        links: Sequence[FolderLink],
        sources: Mapping[FolderPath, Folder],
        targets: Mapping[FolderPath, Folder],
        standing: Standing,
    ) -> "list[Trip]":
        """The folders to carry."""
        from mailhaul.engine.trips import Trip

        ledger = self._pair.ledger
        trips: list[Trip] = []
        for link in links:
            source, there = sources[link.source], targets.get(link.target)
            if there is not None and not there.selectable:
                there = None
            row = standing.rows.get((link.source, link.target))
            if row is None:
                row = ledger.link(link.source, link.target)
            elif there is None and ledger.known(row) and not self._pair.options.restore:
                self._gone(row, standing)
                continue
            elif standing.idle(row, source, there):
                continue
            trips.append(Trip(link, source, there, row, anew=standing.anew(row, source)))
        return trips

    def _gone(self, row: FolderRow, standing: Standing) -> None:
        self._pair.unfinished.append(
            f"{shown(row.target)} is gone at the target, where "
            f"{plural(standing.known(row.source), 'message')} of {shown(row.source)} had been put; "
            "leave the folder out with --exclude, or carry it again with --restore"
        )

    async def _carry(
        self,
        links: Sequence[FolderLink],
        targets: Mapping[FolderPath, Folder],
        trips: "list[Trip]",
    ) -> dict[FolderPath, Folder]:
        """Carries all, then looks at the source's folders again: those to which more came
        meanwhile are carried again, those that were idle too. Gives the last count."""
        from mailhaul.engine.trips import carry_all

        pair = self._pair
        behind: list[Trip] = trips
        for round_ in range(ROUNDS):
            folders = await carry_all(pair, behind)
            if folders is None:
                folders = await pair.patiently(pair.source.folders, Side.SOURCE)
            sources = {folder.path: folder for folder in folders}
            standing = self._ask_ledger()
            trips += self._awoken(links, sources, targets, trips, standing)
            behind = []
            for trip in trips:
                now = sources.get(trip.link.source)
                if now is None or trip.error or trip.target is None:
                    continue
                moved = now.state is not None and now.state != trip.row.source_state
                if moved or now.count not in (None, standing.known(trip.link.source)):
                    trip.anew = not moved
                    trip.source = now
                    behind.append(trip)
            if not behind or round_ == ROUNDS - 1:
                break
        return sources

    def _awoken(
        self,
        links: Sequence[FolderLink],
        sources: Mapping[FolderPath, Folder],
        targets: Mapping[FolderPath, Folder],
        trips: "Sequence[Trip]",
        standing: Standing,
    ) -> "list[Trip]":
        """Folders that were idle and are no more."""
        from mailhaul.engine.trips import Trip

        going = {trip.link.source for trip in trips}
        awoken = []
        for link in links:
            source, target = sources.get(link.source), targets.get(link.target)
            row = standing.rows.get((link.source, link.target))
            if source is None or target is None or row is None or link.source in going:
                continue
            if not standing.idle(row, source, target):
                awoken.append(Trip(link, source, target, row))
        return awoken

    # the end

    def _finished(
        self,
        links: Sequence[FolderLink],
        counts: Mapping[FolderPath, Folder],
        trips: "Sequence[Trip]",
        removed: int,
        began: float,
        *,
        through: bool,
    ) -> Finished:
        pair = self._pair
        assert self._standing is not None
        fates = pair.ledger.fates() if trips else self._standing.fates
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
                pair.unfinished.append(f"{shown(trip.link.source)}: {trip.error}")
        failed = {trip.link.source for trip in trips if trip.error or trip.unmade}
        if through:  # else it is no wonder
            pair.unfinished += unaccounted(tallies, failed)
        pair.notes += lossy(effects.values())
        for effect in effects.values():
            pair.notes += effect.notes
        return Finished(
            replace(added(tallies.values()), removed=removed),
            self._clock() - began,
            pair.round_trips(),
            pair.target.traffic.writes,
            tallies,
            tuple(dict.fromkeys(pair.unfinished)),
            tuple(dict.fromkeys(pair.notes)),
        )


def _said_by_machine(error: OSError) -> str:
    name = f" at {printable(str(error.filename), 200)}" if error.filename else ""
    why = printable(error.strerror or str(error), 200)
    return f"the pass was stopped, for this machine says: {why}{name}; mend that and run again"
