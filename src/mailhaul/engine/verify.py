"""Proves from outside that a target holds what a source holds, and says what it doesn't.

Shares nothing with the copy: no ledger, no cursor, no matching. It asks both sides what is there.
Level 1 compares counts, header identities, flags, dates and subscriptions, and reads only messages
whose sizes differ. Level 2 (`deep`) reads both sides' octets of every message.

Messages are paired one to one by header identity, copies of one identity by their octets (deep) or
listing lines. One target folder is held at a time; engine/census.py says what a message costs.
Nothing is ever written on either side.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import chain

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import Folder, FolderPath
from mailhaul.core.store import Source
from mailhaul.engine.absences import (
    tell_folder_missing,
    tell_folders,
    tell_missing,
    tell_target,
)
from mailhaul.engine.census import UNKNOWN, Census, seconds
from mailhaul.engine.comparison import (
    HARD,
    IDENTIFY_PAGE,
    SOFT,
    Job,
    Match,
    Run,
    compare_listings,
    identifications,
    pair_up,
    read_and_tell,
)
from mailhaul.engine.folders import FolderMap, plan_folders
from mailhaul.engine.moved import Strays, tell_moved
from mailhaul.engine.outcomes import FolderLink, Mapped, Opened, Options, Side
from mailhaul.engine.pace import Sleep
from mailhaul.engine.reading import Patience, attempts
from mailhaul.engine.sides import closing
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Progress,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
    VerifyOptions,
)


async def verify(
    source: Source,
    target: Source,
    options: VerifyOptions,
    *,
    sleep: Sleep = asyncio.sleep,
    chance: random.Random | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[VerifyEvent]:
    """Compares, telling what it finds as it goes; the last event is `Verified`.

    Opens both stores and leaves them open. Differences come as they are found, folder by folder.
    Messages that vanish meanwhile are left out and the verdict says how many. Waits when told to;
    raises `RetryLater` when a side has failed too often, and `Closed`. May be left at any event: no
    call to a store is under way while one is told.
    """
    run = Run(
        source,
        target,
        options,
        Patience(options.retries, sleep, chance or random.Random()),  # noqa: S311 - pauses only
        clock(),
    )
    listings: dict[Side, list[Folder]] = {}
    looks = [(side, partial(_look, store, side, listings)) for side, store in run.stores]
    async for wait in attempts(run.patience, *looks):
        yield wait
    for side, store in run.stores:
        notices = tuple(store.traffic.notices)
        yield Opened(side, store.capabilities.server, notices)
    sources, targets = listings[Side.SOURCE], listings[Side.TARGET]
    plan = plan_folders(sources, targets, target.capabilities.names, _pass_options(options))
    yield Mapped(plan.links, 0, plan.excluded, plan.problems)
    if plan.problems:
        yield Verified(Verdict(options.deep, problems=plan.problems))
        return
    run.remarks.extend(plan.notes)
    strays = Strays()
    for job in _jobs(plan, sources, targets):
        async for event in _folder(run, job, strays):
            run.count(event)
            yield event
    async for event in tell_moved(target, run.patience, targets, strays):
        run.count(event)
        yield event
    yield Verified(run.verdict())


async def _look(store: Source, side: Side, into: dict[Side, list[Folder]]) -> None:
    await store.open()
    into[side] = await store.folders()


def _pass_options(options: VerifyOptions) -> Options:
    return Options(folders=options.folders, exclude=options.exclude, maps=options.maps)


def _jobs(plan: FolderMap, sources: Sequence[Folder], targets: Sequence[Folder]) -> list[Job]:
    by_path = {folder.path: folder for folder in sources if folder.selectable}
    there = {folder.path: folder for folder in targets if folder.selectable}
    links: dict[FolderPath, list[FolderLink]] = {}
    for link in plan.links:
        links.setdefault(link.target, []).append(link)
    return [
        Job(path, there.get(path), tuple(group), tuple(by_path[link.source] for link in group))
        for path, group in links.items()
    ]


async def _folder(run: Run, job: Job, strays: Strays) -> AsyncIterator[VerifyEvent]:
    """Everything about one target folder; `FolderCompared` last."""
    match = Match()
    counts: Counter[Severity] = Counter()
    strays.looked.add(job.path)
    try:
        async for event in _compare(run, job, match):
            if isinstance(event, Difference):
                counts[event.severity] += event.count
            yield event
        strays.take(job.path, match)
    except FolderFailed as error:
        path = job.path if error.side == Side.TARGET else job.sources[0].path
        counts[HARD] += 1
        match.pairs, match.identical = [], 0
        yield Difference(Kind.FOLDER_FAILED, HARD, path, str(error))
    yield FolderCompared(
        sources=tuple(folder.path for folder in job.sources),
        target=job.path,
        messages=len(match.ours) - match.ours.gone.count(1),
        at_target=len(match.theirs) - match.theirs.gone.count(1),
        paired=len(match.pairs),
        identical=match.identical,
        differences=counts[HARD],
        notes=counts[SOFT],
    )


async def _compare(run: Run, job: Job, match: Match) -> AsyncIterator[VerifyEvent]:
    sources = partial(_list, run.source, Side.SOURCE, job.sources, match.ours, run)
    calls = [(Side.SOURCE, sources)]
    if job.there is not None:
        target = partial(_list, run.target, Side.TARGET, (job.there,), match.theirs, run)
        calls.append((Side.TARGET, target))
    async for wait in attempts(run.patience, *calls):
        yield wait
    if job.there is None:
        for difference in tell_folder_missing(job, match.ours):
            yield difference
        return
    async for event in _identify(run, job, match):
        yield event
    async for wait in pair_up(run, match):
        yield wait
    async for event in read_and_tell(run, job, match):
        yield event
    async for event in tell_missing(run, match):
        yield event
    for difference in chain(
        compare_listings(run, match), tell_target(job, match), tell_folders(run, job, match)
    ):
        yield difference


async def _list(
    store: Source, side: Side, folders: Sequence[Folder], census: Census, run: Run
) -> None:
    census.clear()
    since = seconds(run.options.since) if side is Side.SOURCE else UNKNOWN
    for folder in folders:
        census.begin(folder)
        async with closing(side, store.changes(folder, None)) as pages:
            async for page in pages:
                census.add(
                    entry
                    for entry in page.entries
                    if entry.received is None or seconds(entry.received) >= since
                )


async def _identify(run: Run, job: Job, match: Match) -> AsyncIterator[VerifyEvent]:
    """Learns all identities, both sides at once; who has none has vanished."""
    ours = identifications(run.source, Side.SOURCE, match.ours)
    theirs = identifications(run.target, Side.TARGET, match.theirs)
    for page in range(max(len(ours), len(theirs))):
        calls = [calls[page] for calls in (ours, theirs) if page < len(calls)]
        async for wait in attempts(run.patience, *calls):
            yield wait
        left = max(len(match.ours) - page * IDENTIFY_PAGE, 0)
        yield Progress(job.path, listed=min(IDENTIFY_PAGE, left))
    run.vanished += match.ours.gone.count(1) + match.theirs.gone.count(1)
