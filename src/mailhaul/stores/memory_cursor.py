"""Cursors of the reference store.

Cursors are written `C uidvalidity uidnext modseq`, tails `T uidvalidity uidnext`; `changes` since
a tail lists what was added and ends in a tail.
"""

import re
from dataclasses import dataclass

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor
from mailhaul.core.text import printable
from mailhaul.stores.memory_mailbox import MemoryFolder

_CURSOR = re.compile(r"(?:C (\d+) (\d+) (\d+)|T (\d+) (\d+))")


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor, read; `modseq` is None in a tail."""

    uidvalidity: int
    uidnext: int
    modseq: int | None


def cursor_of(here: MemoryFolder) -> Cursor:
    """The end of all that has happened in the folder."""
    return _written(Place(here.uidvalidity, here.uidnext, here.modseq))


def tail_of(here: MemoryFolder) -> Cursor:
    """The end of the folder's messages."""
    return _written(Place(here.uidvalidity, here.uidnext, None))


def place_of(here: MemoryFolder, cursor: Cursor) -> Place:
    """What a cursor means in this folder. Raises `CursorExpired` when it means nothing there."""
    place = _parsed(cursor)
    if place is None or place.uidvalidity != here.uidvalidity:
        raise CursorExpired(f"folder “{printable('/'.join(here.path))}” was renumbered")
    # A server restored from a backup is behind the cursor with its UIDVALIDITY unchanged.
    if place.uidnext > here.uidnext or (place.modseq or 0) > here.modseq:
        raise CursorExpired(f"folder “{printable('/'.join(here.path))}” went back in time")
    return place


def past(cursor: Cursor, uids: set[int]) -> Cursor:
    """The tail at `cursor`, moved on over these as far as they follow each other; what is no
    cursor of ours is given back."""
    place = _parsed(cursor)
    if place is None:
        return cursor
    uidnext = place.uidnext
    while uidnext in uids:
        uidnext += 1
    return _written(Place(place.uidvalidity, uidnext, None))


def _written(place: Place) -> Cursor:
    if place.modseq is None:
        return Cursor(f"T {place.uidvalidity} {place.uidnext}")
    return Cursor(f"C {place.uidvalidity} {place.uidnext} {place.modseq}")


def _parsed(cursor: Cursor) -> Place | None:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        return None
    if match[1] is None:
        return Place(int(match[4]), int(match[5]), None)
    return Place(int(match[1]), int(match[2]), int(match[3]))
