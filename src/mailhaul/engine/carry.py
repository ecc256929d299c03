"""One folder, once: survey the target, page the source, decide, carry, record.

Everything here can be cut off anywhere and begun again: decisions come from the ledger and from
what both sides list, never from what an earlier attempt remembered. Order of things:

1. Survey the target since its tail: what is there and in no row is a *stranger*. A renumbered
   target loses its keys first and is surveyed whole.
2. Page the source since its cursor. Known messages: flags that changed at the source are applied,
   three ways. New ones: found again among rows that a renumbering lost, else adopted from the
   strangers, else fetched and appended. Rows are written as results come in.
3. Cursors move last. Flags of a folder from which something is to be removed wait for that, and its
   cursor with them (`Carrier.postponed`).
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry, Key
from mailhaul.core.store import Changes
from mailhaul.engine.beside import Beside
from mailhaul.engine.cargo import decided
from mailhaul.engine.flags import apply_flags, differs
from mailhaul.engine.ledger import FolderRow, MessageRow
from mailhaul.engine.outcomes import Delete, Fate, Side
from mailhaul.engine.recognition import adopt, find_again
from mailhaul.engine.sending import send
from mailhaul.engine.sides import closing, together
from mailhaul.engine.stranded import claim
from mailhaul.engine.survey import check_source, learn, source_renumbered, survey
from mailhaul.engine.visit import Carrier, Postponed, Visit
from mailhaul.engine.window import left_out, reconsidered


async def carry(
    carrier: Carrier,
    row: FolderRow,
    source: Folder,
    target: Folder,
    *,
    look: bool = False,
    anew: bool = False,
    ahead: AsyncIterator[Changes] | None = None,
) -> FolderRow:
    """Brings the folder up to date and returns its row with the cursors moved.

    `look` surveys the target even if its tail says that nothing was added (after a failure: what
    was in flight may have arrived). `anew` lists the source whole. `ahead` is the whole listing of
    the source, if it has been asked for already; the caller closes it. Raises what the stores
    raise.
    """
    visit = Visit(carrier, row, source, target, ahead)
    carrier.postponed = None
    try:
        if anew or row.source_cursor is None or carrier.ledger.unkeyed(row):
            await check_source(visit)
        await survey(visit, look)
        if visit.row.source_cursor is None and row.source_cursor is not None:
            await check_source(visit)
        await _page(visit, None if anew else visit.row.source_cursor)
        if visit.surprised:
            await _page(visit, None)
    except CursorExpired:
        visit = Visit(carrier, source_renumbered(visit), source, target)
        await survey(visit, look=True)
        await _page(visit, None)
    return visit.row


async def _page(visit: Visit, since: Cursor | None) -> None:
    """Goes through everything that happened at the source since the cursor."""
    seen: list[Key] = []
    whole = False
    known = visit.known
    cursor: Cursor | None = None
    listed = 0
    listing = visit.ahead if since is None else None
    visit.ahead = None
    visit.orders, visit.agreed = [], []
    if listing is None:
        listing = visit.carrier.source.changes(visit.source, since)
    async with closing(Side.SOURCE, listing) as pages:
        async for page in pages:
            whole = page.whole
            cursor = page.cursor
            if whole and known:
                seen.extend(entry.key for entry in page.entries)
            visit.last = cursor is not None
            visit.removes = visit.last and bool(page.vanished) and _mirrors(visit)
            if visit.carrier.options.newest is not None and page.whole:
                listed += len(page.entries)
                visit.behind = _behind(page.entries, (visit.source.count or 0) - listed)
            if page.entries:
                await _entries(visit, page.entries, since is not None)
            if page.vanished:
                visit.ledger.gone(visit.row, page.vanished)
    if whole and known:
        there = set(seen)
        visit.ledger.gone(
            visit.row, [key for key in visit.ledger.source_keys(visit.row) if key not in there]
        )
    if unkeyed := visit.ledger.unkeyed(visit.row):
        await learn(visit, unkeyed)
    if not (visit.surprised and since is not None):  # else there is more to be listed
        await claim(visit)
        visit.ledger.settled(visit.row)
    visit.row = replace(visit.row, target_seen=visit.seen or visit.row.target_seen)
    moved = replace(visit.row, source_state=visit.source.state, source_cursor=cursor)
    postponed = bool(visit.orders)
    visit.carrier.postponed = (
        Postponed(moved, visit.orders, visit.agreed, visit.unsure) if postponed else None
    )
    if not postponed:
        visit.ledger.flags_settled(visit.row)
    visit.ledger.move(visit.row if postponed else moved)
    visit.row = moved


def _mirrors(visit: Visit) -> bool:
    return visit.carrier.options.delete is Delete.MIRROR


async def _entries(visit: Visit, entries: Sequence[Entry], delta: bool) -> None:
    fresh: list[Entry] = []
    changed: list[tuple[MessageRow, Entry]] = []
    if visit.known or visit.ledger.known(visit.row):
        rows = visit.ledger.among(visit.row, [entry.key for entry in entries])
        for entry in entries:
            row = rows.get(entry.key)
            if row is None:
                if delta and entry.size is None and entry.received is None:
                    visit.surprised = True
                else:
                    fresh.append(entry)
            elif _again(visit, row):
                fresh.append(_listed(entry, row))
            elif row.fate in (Fate.COPIED, Fate.ADOPTED) and differs(visit, row, entry):
                changed.append((row, entry))
    else:
        fresh = list(entries)
    fresh = _sift(visit, fresh)
    if changed and fresh:
        await together(apply_flags(visit, changed), _carry_new(visit, fresh))
    elif changed:
        await apply_flags(visit, changed)
    else:
        await _carry_new(visit, fresh)


async def _carry_new(visit: Visit, entries: Sequence[Entry]) -> None:
    """What is new to us: carried before all the same, at the target already, or to be sent."""
    if entries and visit.lost:
        entries = await find_again(visit, entries)
    if entries and visit.carrier.beside is not None:
        entries = await _settled_besides(visit, visit.carrier.beside, entries)
    if entries and visit.strangers:
        entries = await adopt(visit, entries)
    if entries:
        await send(visit, entries)


async def _settled_besides(
    visit: Visit, beside: Beside, entries: Sequence[Entry]
) -> Sequence[Entry]:
    """What need not be carried for a reason that the ledger doesn't know."""
    rows = await beside.settled(visit.source, entries)
    if not rows:
        return entries
    visit.row = visit.ledger.add(visit.row, rows, visit.row.target_tail)
    settled = {row.source_key for row in rows}
    return [entry for entry in entries if entry.key not in settled]


def _behind(entries: Sequence[Entry], after: int) -> dict[Key, int]:
    """How many messages of the folder come after each of the page; `after` come after the page. A
    message that has come in since the folder was counted is among the newest."""
    last = len(entries) - 1
    return {entry.key: after + last - place for place, entry in enumerate(entries)}


def _again(visit: Visit, row: MessageRow) -> bool:
    """Whether a message that was decided about is decided about anew."""
    options = visit.carrier.options
    if row.fate is Fate.REFUSED:
        return options.retry_refused
    if row.fate is Fate.SKIPPED:
        return reconsidered(options, row)
    return row.fate is Fate.MISSING


def _sift(visit: Visit, entries: Sequence[Entry]) -> list[Entry]:
    """Leaves out what is skipped by the options."""
    options = visit.carrier.options
    if options.since is None and options.before is None and options.newest is None:
        return list(entries)
    kept, rows = [], []
    for entry in entries:
        reason = left_out(options, entry, visit.behind.get(entry.key))
        if reason:
            rows.append(decided(entry, Fate.SKIPPED, reason))
        else:
            kept.append(entry)
    if rows:
        visit.row = visit.ledger.add(visit.row, rows, visit.row.target_tail)
    return kept


def _listed(entry: Entry, row: MessageRow) -> Entry:
    """The entry, completed from its row where it came from a listing of flags alone."""
    if entry.received is not None or row.received is None:
        return entry
    received = datetime.fromtimestamp(row.received, UTC)
    return replace(entry, size=entry.size or row.size, received=received)
