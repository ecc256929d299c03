"""Tells what one side of a verification has and the other has not: messages, folders,
subscriptions. `Match` must have been filled (engine/comparison.py)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial

from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.text import plural
from mailhaul.engine.census import Census
from mailhaul.engine.comparison import (
    EMPTY,
    HARD,
    IDENTIFY_PAGE,
    SOFT,
    Job,
    Match,
    Run,
    identify_page,
    learn_digests,
)
from mailhaul.engine.folder_names import shown
from mailhaul.engine.outcomes import Side, Waiting
from mailhaul.engine.reading import attempts, read_subjects, short
from mailhaul.engine.sides import closing
from mailhaul.engine.verdict import Difference, Kind

SUBJECTS = 50
"""So many missing messages of a folder are looked at for their subject."""
SUBJECT_SIZE = 1024 * 1024


async def tell_missing(run: Run, match: Match) -> AsyncIterator[Difference | Waiting]:
    """Tells what is missing, once the source has said that it is still there."""
    ours = match.ours
    match.missing.sort()
    subjects: dict[int, str] = {}
    for folder, span in ours.parts:
        missing = [number for number in match.missing if number in span]
        for start in range(0, len(missing), IDENTIFY_PAGE):
            page = missing[start : start + IDENTIFY_PAGE]
            for number in page:
                ours.gone[number] = 1
            call = partial(identify_page, run.source, Side.SOURCE, ours, folder, page)
            async for wait in attempts(run.patience, (Side.SOURCE, call)):
                yield wait
    there = [number for number in match.missing if not ours.gone[number]]
    run.vanished += len(match.missing) - len(there)
    match.missing = there
    small = [number for number in there if ours.sizes[number] <= SUBJECT_SIZE][:SUBJECTS]

    async def look() -> None:
        async with closing(
            Side.SOURCE, read_subjects(run.source, Side.SOURCE, ours, small)
        ) as found:
            async for number, subject in found:
                subjects[number] = subject

    async for wait in attempts(run.patience, (Side.SOURCE, look)):
        yield wait
    empty: set[int] = set()
    async for wait in _find_empty(run, ours, there, empty):
        yield wait
    for number in there:
        path, key = ours.folder(number).path, ours.keys[number]
        if number in empty:
            run.empty += 1
            yield Difference(Kind.EMPTY, SOFT, path, EMPTY, key)
            continue
        subject = subjects.get(number, "")
        yield Difference(Kind.MISSING, HARD, path, "not at the target", key, subject=subject)


async def _find_empty(
    run: Run, ours: Census, numbers: Iterable[int], into: set[int]
) -> AsyncIterator[Waiting]:
    """Adds those that hold not one octet: servers store no such message (D6). An announced size
    of 0 is not believed, it may be a server's excuse."""
    announced = [number for number in numbers if not ours.sizes[number]]
    contents: dict[int, bytes] = {}
    async for wait in learn_digests(run, Side.SOURCE, ours, announced, contents):
        yield wait
    nothing = short(hashlib.sha256().digest())
    into.update(number for number, content in contents.items() if content == nothing)


def tell_target(job: Job, match: Match) -> Iterator[Difference]:
    """What the target has more of."""
    for number in sorted(match.doubled):
        detail = "one more copy at the target than at the source"
        key = match.theirs.keys[number]
        yield Difference(Kind.DOUBLED, HARD, job.path, detail, target_key=key)
    if match.extra:
        count = len(match.extra)
        detail = f"{plural(count, 'message')} at the target that the source does not have"
        yield Difference(Kind.EXTRA, SOFT, job.path, detail, count=count)


def tell_folders(run: Run, job: Job, match: Match) -> Iterator[Difference]:
    """Subscriptions, and counts that a server announces but doesn't list."""
    assert job.there is not None
    for folder in job.sources:
        if folder.subscribed and not job.there.subscribed:
            # Everybody shows the inbox, subscribed or not.
            inbox = INBOX_PATH in (folder.path, job.path)
            keeps = run.target.capabilities.keeps_subscriptions
            severity = HARD if keeps and not inbox else SOFT
            detail = f"subscribed at the source; {shown(job.path)} at the target is not"
            yield Difference(Kind.SUBSCRIPTION, severity, folder.path, detail)
    parts = [] if run.options.since else [(each, len(span)) for each, span in match.ours.parts]
    for folder, listed in [*parts, (job.there, len(match.theirs))]:
        if folder.count is not None and folder.count != listed:
            # C18: Exchange counts messages that it won't list.
            detail = f"announced with {plural(folder.count, 'message')}, but {listed} can be listed"
            yield Difference(Kind.COUNT, SOFT, folder.path, detail)


def tell_folder_missing(job: Job, ours: Census) -> Iterator[Difference]:
    """Instead of all else, when the target lacks the folder."""
    for folder, span in ours.parts:
        what = plural(len(span), "message") if span else "nothing in it"
        detail = f"the target has no folder {shown(job.path)}; the source's holds {what}"
        yield Difference(Kind.FOLDER_MISSING, HARD, folder.path, detail)
        for number in span:
            ours.gone[number] = 0
