"""Finding canaries in mailboxes, and taking them out again.

A mailbox is looked at through `core.store.Source`: only what was added since a bookmark, and of
that only what is small and came lately, so that a mailbox into which everything else is being
copied at the same time costs little. A canary is taken out through a `Target`, after its token has
been read once more under that very key; a `Source` has no verb that writes, so what came out on
the old side stays there, and is told (docs/decisions/0081).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

from mailhaul.canary.mark import HEADER_LIMIT, LARGEST, Canary, hops_of, token_of
from mailhaul.core.errors import CursorExpired, FolderFailed, RetryLater
from mailhaul.core.folder import Cursor, Folder, FolderPath, Role, shown
from mailhaul.core.message import Entry, Key, Message
from mailhaul.core.store import Source, Target

EVERY = 2.0
"""Seconds between two looks."""

_CLOCKS_DIFFER = timedelta(days=1)
"""A server's clock may be that much behind, and its received dates with it."""
_VIEWS = frozenset({Role.ALL, Role.FLAGGED, Role.IMPORTANT})
"""Folders that show what lies in others (Gmail): there it is no second copy."""

Bookmark = NewType("Bookmark", str)
"""Opaque, and may be kept: where the folders of a mailbox ended."""

EVERYTHING = Bookmark("[]")
"""For whom none was kept: all folders are listed, and what came lately is looked into."""


class Side(StrEnum):
    """Whose mailbox."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Found:
    """A canary in a mailbox. `seen` is when it was found, in seconds since 1970; `received` what
    the server says. `hops` are the hosts that say they handed it on, the last one first."""

    token: str
    side: Side
    path: FolderPath
    key: Key
    seen: float
    role: Role | None = None
    received: datetime | None = None
    hops: tuple[str, ...] = ()

    @property
    def is_view(self) -> bool:
        return self.role in _VIEWS


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has found. `since` is where the next one goes on; `troubles` are folders that
    couldn't be looked into, as sentences."""

    found: tuple[Found, ...]
    since: Bookmark
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """An open mailbox in which canaries may come out, and from where it is looked at."""

    side: Side
    mailbox: Source
    since: Bookmark


@dataclass(frozen=True, slots=True)
class Removal:
    """What came of taking canaries out. `left` are still there, or may be; `troubles` say why."""

    removed: tuple[Found, ...] = ()
    left: tuple[Found, ...] = ()
    troubles: tuple[str, ...] = ()


async def bookmark(mailbox: Source) -> Bookmark:
    """Where the folders of the mailbox end now: before anything is sent to it. One round trip where
    the store tells tails. Raises `RetryLater` and `Closed`."""
    ends: dict[FolderPath, Cursor] = {}
    for folder in await mailbox.folders():
        if folder.selectable:
            end = folder.tail or await _end_of(mailbox, folder)
            if end is not None:
                ends[folder.path] = end
    return _written(ends)


async def look(
    side: Side,
    mailbox: Source,
    canaries: Sequence[Canary],
    since: Bookmark,
    clock: Callable[[], float] = time.time,
) -> Look:
    """Looks once, and waits for nothing. The next look begins where this one ended, so that what it
    has found is to be kept. Raises `RetryLater` and `Closed`: then nothing was looked at, as far as
    bookmarks go."""
    tokens = frozenset(canary.token for canary in canaries)
    oldest = min((canary.made for canary in canaries), default=clock())
    lately = datetime.fromtimestamp(oldest, UTC) - _CLOCKS_DIFFER
    ends = _read(since)
    found: list[Found] = []
    troubles: list[str] = []
    for folder in await mailbox.folders():
        begin = ends.get(folder.path)
        if not folder.selectable or (begin is not None and begin == folder.tail):
            continue
        try:
            entries, end = await _added(mailbox, folder, begin)
            small = [each for each in entries if _may_be_one(each, lately)]
            seen = clock()
            async for message in mailbox.fetch(folder, small):
                if isinstance(message, Message):
                    head = message.blob.head(HEADER_LIMIT)
                    message.blob.close()
                    token = token_of(head, tokens)
                    if token is not None:
                        entry = message.entry
                        place = Found(
                            token, side, folder.path, entry.key, seen, folder.role, entry.received
                        )
                        found.append(replace(place, hops=hops_of(head)))
        except FolderFailed as error:
            troubles.append(str(error))
        else:
            ends[folder.path] = end
    return Look(tuple(found), _written(ends), tuple(troubles))


async def watch(
    places: Sequence[Place],
    canaries: Sequence[Canary],
    *,
    seconds: float,
    every: float = EVERY,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> tuple[Look, ...]:
    """Looks at all places again and again until every canary has been found in one of them, at most
    for so many seconds; what was found, place by place. A server that is away for a while is looked
    at again; one that was away at the last look is among the `troubles`. Raises `Closed`."""
    until = clock() + seconds
    looks = [Look((), place.since) for place in places]
    wanted = {canary.token for canary in canaries}
    while True:
        for number, place in enumerate(places):
            so_far = looks[number]
            try:
                seen = await look(place.side, place.mailbox, canaries, so_far.since, clock)
            except RetryLater as error:
                looks[number] = replace(so_far, troubles=(str(error),))
            else:
                looks[number] = replace(seen, found=so_far.found + seen.found)
        wanted -= {found.token for each in looks for found in each.found}
        left = until - clock()
        if not wanted or left <= 0:
            return tuple(looks)
        await pause(min(every, left))


async def remove(target: Target, found: Sequence[Found]) -> Removal:
    """Takes canaries out of the mailbox in which they were found, and nothing else: what lies under
    the key now is read, and stays unless it bears the token. One that is gone already counts as
    removed. Doing it again does nothing. Raises `RetryLater` and `Closed`."""
    folders = {folder.path: folder for folder in await target.folders()}
    removed: list[Found] = []
    left: list[Found] = []
    troubles: list[str] = []
    for path in dict.fromkeys(each.path for each in found):
        here = [each for each in found if each.path == path]
        folder = folders.get(path)
        if folder is None:
            removed += here
            continue
        try:
            strange = await _taken_out(target, folder, {each.key: each for each in here})
        except FolderFailed as error:
            left += here
            troubles.append(str(error))
        else:
            removed += [each for each in here if each.key not in strange]
            left += [each for each in here if each.key in strange]
            if strange:
                troubles.append(
                    f"other mail lies in {shown(path)} where the canary lay: look again"
                )
    return Removal(tuple(removed), tuple(left), tuple(troubles))


async def _taken_out(target: Target, folder: Folder, doomed: Mapping[Key, Found]) -> frozenset[Key]:
    """Removes what is ours; under which keys there is other mail, which it left alone."""
    entries = [Entry(key) for key in sorted(doomed, key=str)]
    ours: list[Key] = []
    strange: set[Key] = set()
    async for message in target.fetch(folder, entries):
        key = message.entry.key
        if isinstance(message, Message):
            head = message.blob.head(HEADER_LIMIT)
            message.blob.close()
            if token_of(head, {doomed[key].token}) is not None:
                ours.append(key)
                continue
        strange.add(key)
    if ours:
        await target.remove(folder, ours)
    return frozenset(strange)


async def _added(
    mailbox: Source, folder: Folder, begin: Cursor | None
) -> tuple[list[Entry], Cursor]:
    """What was added since, and where the folder ends now; everything, where it was renumbered."""
    entries: list[Entry] = []
    end: Cursor | None = None
    try:
        async for page in mailbox.changes(folder, begin):
            entries += page.entries
            end = page.cursor or end
    except CursorExpired:
        if begin is None:
            raise FolderFailed(f"{shown(folder.path)} is renumbered all the time") from None
        return await _added(mailbox, folder, None)
    assert end is not None, "the last page has a cursor"
    # From a tail only what is new is listed, from another cursor sometimes all there is. What came
    # since the tail was told is then seen once more.
    return entries, (folder.tail or end) if begin is None else end


async def _end_of(mailbox: Source, folder: Folder) -> Cursor | None:
    try:
        return (await _added(mailbox, folder, None))[1]
    except FolderFailed:
        return None  # it is looked at from its beginning later, if it can be opened by then


def _may_be_one(entry: Entry, lately: datetime) -> bool:
    # What comes without a size was there before (`core.store.Changes`).
    small = entry.size is not None and entry.size <= LARGEST
    return small and (entry.received is None or entry.received >= lately)


def _written(ends: Mapping[FolderPath, Cursor]) -> Bookmark:
    return Bookmark(json.dumps([[list(path), end] for path, end in sorted(ends.items())]))


def _read(since: Bookmark) -> dict[FolderPath, Cursor]:
    return {tuple(path): Cursor(end) for path, end in json.loads(since)}
