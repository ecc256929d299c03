"""What happened in a folder since a cursor, with as much as the server can tell of it.

With QRESYNC the server names what changed and what is gone; with CONDSTORE what changed, and the
count tells whether something is gone; else all flags come in one flight. Inventory is never taken
by SEARCH (C18), sequence numbers are never looked at (C4).

Cursors are written `v1 uidvalidity uidnext modseq count id` (modseq 0: the server keeps none; no
id: it tells none) and, for a folder's tail, `uidvalidity:uidnext`. The id is the folder's MAILBOXID
(RFC 8474): servers give the same UIDVALIDITY to folders made in the same second, so that two that
have changed places can't be told apart by their numbers (C2, E18).
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry, Key
from mailhaul.core.store import Changes
from mailhaul.core.text import printable
from mailhaul.imap import commands, sequence
from mailhaul.imap.lane import Facts, Lane
from mailhaul.imap.responses import Event, Fetched, Listing, Untagged
from mailhaul.stores import imap_listing
from mailhaul.stores.imap_listing import FLAGS, HIGHEST, LINE, collected
from mailhaul.stores.imap_mailbox import Mailbox

PAGE = 5000
"""Messages of one page, about."""

_MOST_VANISHED = 1_000_000
_NUMBER = r"(\d{1,20})"
_OBJECT_ID = r"[A-Za-z0-9_-]{1,255}"
_CURSOR = re.compile(
    rf"v1 {_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER}(?: ({_OBJECT_ID}))?|{_NUMBER}:{_NUMBER}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor, read. `modseq` is None for a folder's tail, 0 where the server keeps none."""

    uidvalidity: int
    uidnext: int
    modseq: int | None = None
    count: int = 0
    object_id: str = ""
    """Empty where the server tells none."""


def place_of(cursor: Cursor) -> Place:
    """Raises `CursorExpired` for what is no cursor of this store."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise CursorExpired(f"“{printable(cursor, 80)}” is no place in an IMAP folder; list anew")
    if match[6] is not None:
        return Place(int(match[6]), int(match[7]))
    return Place(int(match[1]), int(match[2]), int(match[3]), int(match[4]), match[5] or "")


def tail_of(uidvalidity: int, uidnext: int) -> Cursor:
    return Cursor(f"{uidvalidity}:{uidnext}")


def past(tail: Cursor, keys: Iterable[Key]) -> Cursor:
    """`Target.past`: a UID that isn't among `keys` may be somebody else's message."""
    try:
        place = place_of(tail)
    except CursorExpired:  # none of ours: it can't be moved, and moving never fails
        return tail
    ours = set(keys)
    uidnext = place.uidnext
    while uidnext in ours:
        uidnext += 1
    return tail_of(place.uidvalidity, uidnext)


async def changes(mailbox: Mailbox, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
    """`Source.changes`."""
    lane = mailbox.lane(folder.native, folder.count or 1)
    if since is None:
        pages = _everything(mailbox, lane, folder)
    else:
        place = place_of(since)
        if place.modseq is None:
            pages = _added(mailbox, lane, folder, place)
        elif place.modseq and mailbox.qresync:
            pages = _resynced(mailbox, lane, folder, place)
        elif place.modseq and mailbox.condstore:
            pages = _changed(mailbox, lane, folder, place)
        else:
            pages = _compared(mailbox, lane, folder, place)
    async for page in pages:
        yield page


# --- Everything ------------------------------------------------------------------------------


async def _everything(mailbox: Mailbox, lane: Lane, folder: Folder) -> AsyncIterator[Changes]:
    """The whole folder, page by page: one window is read while the next is on its way."""
    native = folder.native
    count, uidnext = folder.count, mailbox.uidnext.get(native)
    if count is None or uidnext is None:
        selection, _ = await lane.ask_in(native, fresh=True)
        told = await selection.facts()
        count, uidnext = told.exists, told.uidnext
        windows = _windows(count, uidnext)
        _, flight = await lane.ask_in(native, *(_line(window) for window in windows[:1]))
    else:
        windows = _windows(count, uidnext)
        bodies = mailbox.foresight.commands(native) if len(windows) == 1 else []
        selection, flight = await lane.ask_in(native, _line(windows[0]), *bodies, fresh=True)
        if bodies:
            mailbox.foresight.sent(native, selection, flight.pop())
    last = total = 0
    for index, (low, high) in enumerate(windows):
        if index + 1 < len(windows):
            _, ahead = await lane.ask_in(native, _line(windows[index + 1]))
            flight += ahead
        facts = await selection.facts()
        mailbox.validity[native] = facts.uidvalidity
        entries = await imap_listing.lines(
            mailbox, lane, folder, flight.pop(0), low, high or HIGHEST
        )
        if entries:
            last = max(last, int(entries[-1].key))
            total += len(entries)
        if index + 1 < len(windows):
            yield Changes(entries, whole=True)
        else:
            yield Changes(entries, whole=True, cursor=_cursor(mailbox, native, facts, last, total))


def _windows(count: int, uidnext: int | None) -> list[tuple[int, int | None]]:
    """UID ranges of about `PAGE` messages each; the last is open."""
    if count <= PAGE + PAGE // 5 or uidnext is None or uidnext <= PAGE:
        return [(1, None)]
    step = max(PAGE, uidnext * PAGE // count)
    windows: list[tuple[int, int | None]] = [
        (low, low + step - 1) for low in range(1, uidnext, step)
    ]
    windows[-1] = (windows[-1][0], None)
    return windows


def _line(window: tuple[int, int | None]) -> commands.ReadCommand:
    low, high = window
    return commands.fetch(f"{low}:{'*' if high is None else high}", LINE)


# --- Since a place ---------------------------------------------------------------------------


async def _added(
    mailbox: Mailbox, lane: Lane, folder: Folder, place: Place
) -> AsyncIterator[Changes]:
    """What was added after a tail; the new cursor is a tail again."""
    selection, [news] = await lane.ask_in(folder.native, _line((place.uidnext, None)), fresh=True)
    facts = await selection.facts()
    _check_validity(mailbox, folder, facts, place)
    entries = await imap_listing.lines(mailbox, lane, folder, news, place.uidnext)
    last = max(int(entries[-1].key) if entries else 0, place.uidnext - 1)
    uidnext = max(facts.uidnext or 1, last + 1)
    mailbox.uidnext[folder.native] = uidnext
    for page, done in _pages(entries):
        yield Changes(page, cursor=tail_of(facts.uidvalidity, uidnext) if done else None)


async def _resynced(
    mailbox: Mailbox, lane: Lane, folder: Folder, place: Place
) -> AsyncIterator[Changes]:
    """QRESYNC: one flight tells everything."""
    assert place.modseq
    selection, [news] = await lane.resync(
        folder.native, place.uidvalidity, place.modseq, _line((place.uidnext, None))
    )
    status = await selection.pending.done()
    if status.kind == b"BAD":
        mailbox.traffic.notices.append("the server offers QRESYNC and won't do it; went without")
        mailbox.qresync = False
        news.abandon()
        async for changed in changes(mailbox, folder, _written(place)):
            yield changed
        return
    facts = await selection.facts()
    _check_validity(mailbox, folder, facts, place)
    added = await imap_listing.lines(mailbox, lane, folder, news, place.uidnext)
    vanished = _vanished(selection.changes, place.uidnext)
    if vanished is None or facts.modseq is None:
        async for compared in _compared(mailbox, lane, folder, place):
            yield compared
        return
    entries = [*_flag_news(selection.changes, place.uidnext), *added]
    selection.changes = []
    cursor = _cursor(mailbox, folder.native, facts, _last(entries, place), facts.exists)
    for page, done in _pages(entries):
        yield Changes(page, vanished if done else (), cursor=cursor if done else None)


async def _changed(
    mailbox: Mailbox, lane: Lane, folder: Folder, place: Place
) -> AsyncIterator[Changes]:
    """CONDSTORE alone: what changed is told; what is gone shows in the count only."""
    known = commands.fetch(f"1:{max(1, place.uidnext - 1)}", FLAGS, changed_since=place.modseq)
    selection, [flags, news] = await lane.ask_in(
        folder.native, known, _line((place.uidnext, None)), fresh=True
    )
    facts = await selection.facts()
    _check_validity(mailbox, folder, facts, place)
    changed = (await collected(flags, 1, place.uidnext - 1))[0]
    status = await flags.done()
    added = await imap_listing.lines(mailbox, lane, folder, news, place.uidnext)
    if facts.modseq is None or status.kind != b"OK" or place.count + len(added) != facts.exists:
        async for compared in _compared(mailbox, lane, folder, place):
            yield compared
        return
    entries = [*changed, *added]
    cursor = _cursor(mailbox, folder.native, facts, _last(entries, place), facts.exists)
    for page, done in _pages(entries):
        yield Changes(page, cursor=cursor if done else None)


async def _compared(
    mailbox: Mailbox, lane: Lane, folder: Folder, place: Place
) -> AsyncIterator[Changes]:
    """No change tracking: every message's flags, and the new ones' lines, in one flight."""
    asked = [_line((place.uidnext, None))]
    if place.uidnext > 1:
        asked.insert(0, commands.fetch(f"1:{place.uidnext - 1}", FLAGS))
    selection, flight = await lane.ask_in(folder.native, *asked, fresh=True)
    facts = await selection.facts()
    _check_validity(mailbox, folder, facts, place)
    entries: list[Entry] = []
    if len(flight) > 1:
        entries = await imap_listing.flags(mailbox, lane, folder, flight[0], 1, place.uidnext - 1)
    entries += await imap_listing.lines(mailbox, lane, folder, flight[-1], place.uidnext)
    cursor = _cursor(mailbox, folder.native, facts, _last(entries, place), len(entries))
    for page, done in _pages(entries):
        yield Changes(page, whole=True, cursor=cursor if done else None)


def _flag_news(events: Iterable[Event], uidnext: int) -> list[Entry]:
    found: dict[int, Entry] = {}
    for event in events:
        if isinstance(event, Listing):
            for entry in event.entries:
                found[int(entry.key)] = Entry(entry.key, entry.flags)
        elif isinstance(event, Fetched) and event.uid is not None and event.flags is not None:
            found[event.uid] = Entry(event.uid, event.flags)
    return [found[uid] for uid in sorted(found) if uid < uidnext]


def _vanished(events: Iterable[Event], uidnext: int) -> list[int] | None:
    """The UIDs that VANISHED responses name below `uidnext`; None when they are too many to be
    told one by one, or are no set."""
    gone: list[int] = []
    for event in events:
        if not isinstance(event, Untagged) or event.name != b"VANISHED":
            continue
        values = event.values_if_any()
        ranges = sequence.parsed(values[-1]) if values and isinstance(values[-1], bytes) else None
        if ranges is None:
            return None
        for span in ranges:
            clipped = range(span.start, min(span.stop, uidnext))
            if len(gone) + len(clipped) > _MOST_VANISHED:
                return None
            gone.extend(clipped)
    return gone


def _pages(entries: Sequence[Entry]) -> Iterable[tuple[Sequence[Entry], bool]]:
    """Slices of a page each, and whether it is the last; one empty page when there is none."""
    last = max(0, (len(entries) - 1) // PAGE * PAGE)
    for start in range(0, last + 1, PAGE):
        yield entries[start : start + PAGE], start == last


def _last(entries: Sequence[Entry], place: Place) -> int:
    return max(int(entries[-1].key) if entries else 0, place.uidnext - 1)


def _cursor(mailbox: Mailbox, native: str, facts: Facts, last: int, count: int) -> Cursor:
    uidnext = max(facts.uidnext or 1, last + 1)
    mailbox.uidnext[native] = uidnext
    modseq = facts.modseq if mailbox.condstore and facts.modseq else 0
    return _written(Place(facts.uidvalidity, uidnext, modseq, count, _object_id(facts)))


def _written(place: Place) -> Cursor:
    own = f" {place.object_id}" if place.object_id else ""
    return Cursor(f"v1 {place.uidvalidity} {place.uidnext} {place.modseq or 0} {place.count}{own}")


def _object_id(facts: Facts) -> str:
    told = facts.object_id.decode("latin-1")
    return told if re.fullmatch(_OBJECT_ID, told) else ""


def _check_validity(mailbox: Mailbox, folder: Folder, facts: Facts, place: Place) -> None:
    mailbox.validity[folder.native] = facts.uidvalidity
    shown = printable("/".join(folder.path), 120)
    if facts.uidvalidity != place.uidvalidity:
        raise CursorExpired(
            f"the folder “{shown}” was renumbered or made anew (UIDVALIDITY {place.uidvalidity} "
            f"became {facts.uidvalidity}); it is listed anew"
        )
    now = _object_id(facts)
    if place.object_id and now and now != place.object_id:
        raise CursorExpired(
            f"“{shown}” is another folder now, under the old numbers (MAILBOXID "
            f"{place.object_id} became {now}); it is listed anew"
        )
