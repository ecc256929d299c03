"""Before a folder is paged: who at the target is a stranger, and whether keys still mean the same.

A renumbered side loses its keys first; then each row looks for its message anew.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry
from mailhaul.core.store import Source
from mailhaul.engine.ledger import RENUMBERED, FolderRow, MessageRow
from mailhaul.engine.matching import Trait
from mailhaul.engine.outcomes import Side
from mailhaul.engine.sides import closing
from mailhaul.engine.strangers import Strangers
from mailhaul.engine.visit import Visit, id_of, note, number_of, read_source, traits_of_rows


async def survey(visit: Visit, look: bool) -> None:
    """Learns who the strangers are, if anyone can be, and writes down in whose numbering the
    keys of this visit will be."""
    row, tail = visit.row, visit.target.tail
    end = tail
    for intent in visit.ledger.intents(row):
        visit.intended.update(message.key for message in intent.messages)
        for message in intent.messages:
            sent = visit.sent.get(message.size, message.flags)
            visit.sent[message.size] = sent | message.flags
        visit.attempt = max(visit.attempt, intent.attempt + 1)
    if visit.intended:
        visit.uncertain = visit.ledger.uncertain(row, visit.intended)
        visit.gone = Counter((lost.size, lost.received) for lost in visit.ledger.lost(row))
    visit.unsure = visit.ledger.unsure(row)
    unkeyed = visit.ledger.unkeyed(row)
    renumbered = any(lost.reason == RENUMBERED for lost in visit.ledger.lost(row))
    look = look or renumbered or bool(visit.intended or unkeyed)
    if not look and tail is not None and visit.target.count == 0 and row.target_anchor is None:
        # Nobody is there who could be a stranger.
        visit.row = row = replace(row, target_tail=tail, target_seen=tail, target_anchor=tail)
    if look or tail is None or tail not in (row.target_tail, row.target_seen):
        since = None if renumbered else row.target_tail
        try:
            if row.target_anchor is None and visit.ledger.known(row):
                raise CursorExpired("an earlier look for the rows was cut off")
            if since is None and row.target_anchor is not None:
                target = visit.carrier.target
                await _end(Side.TARGET, target, visit.target, row.target_anchor)
            await visit.strangers.look(since, visit.ours)
            await _find_unkeyed(visit, unkeyed)
        except CursorExpired:
            await _target_renumbered(visit)
        end = visit.strangers.end
        visit.seen = end if tail is None else tail
        visit.row = replace(visit.row, target_anchor=visit.row.target_anchor or visit.seen)
        visit.no_strangers()
    visit.place = None if end is None else visit.carrier.target.past(end, ())
    await _anchor(visit)
    visit.lost = {id_of(lost): lost for lost in visit.ledger.lost(row)}
    visit.known = visit.ledger.known(visit.row)


async def check_source(visit: Visit) -> None:
    """Raises `CursorExpired` when the rows' source keys are of another numbering."""
    anchor = visit.row.source_cursor or visit.row.source_anchor
    if anchor is not None and visit.ledger.known(visit.row):
        await _end(Side.SOURCE, visit.carrier.source, visit.source, anchor)


def source_renumbered(visit: Visit) -> FolderRow:
    """The row, with all its source keys forgotten."""
    note(visit, visit.source, "the source was renumbered")
    return visit.ledger.lose_sources(visit.row)


async def learn(visit: Visit, rows: Sequence[MessageRow]) -> None:
    """Where the target didn't say under which keys it stored what we sent: looks for them."""
    visit.strangers = Strangers(visit.carrier.target, visit.target)
    await visit.strangers.look(visit.row.target_tail, visit.ours)
    await _find_unkeyed(visit, rows)
    visit.no_strangers()


async def _anchor(visit: Visit) -> None:
    """Writes down in whose numbering the keys of this visit are, before the first row is."""
    anchor = visit.row.source_anchor
    if anchor is None:
        anchor = visit.source.tail or await _end(
            Side.SOURCE, visit.carrier.source, visit.source, None
        )
    visit.row = replace(visit.row, source_anchor=anchor)
    visit.ledger.move(visit.row)


async def _target_renumbered(visit: Visit) -> None:
    """Its keys mean nothing any more: rows look for their message; what isn't found is carried
    again (what the person had removed before comes back, which beats losing anything)."""
    visit.row = visit.ledger.lose_targets(visit.row)
    note(visit, visit.target, "the target was renumbered")
    visit.strangers = Strangers(visit.carrier.target, visit.target)
    await visit.strangers.look(None, visit.ours)
    await _find_unkeyed(visit, visit.ledger.unkeyed(visit.row))
    visit.ledger.forget(id_of(row) for row in visit.ledger.unkeyed(visit.row))


async def _find_unkeyed(visit: Visit, rows: Sequence[MessageRow]) -> None:
    """Rows that are at the target under an unknown key look for it among the strangers."""
    by_id = {id_of(row): row for row in rows}

    async def read(traits: Iterable[Trait]) -> None:
        keys = {trait.key: by_id[number_of(trait.key)].source_key for trait in traits}
        here = [
            (trait, replace(trait, key=key))
            for trait in traits
            if (key := keys[trait.key]) is not None
        ]
        entries = {copy.key: Entry(copy.key) for _, copy in here}
        await read_source(visit, (copy for _, copy in here), entries)
        for trait, copy in here:
            trait.loose = copy.loose

    lefts = traits_of_rows(by_id)
    pairs = await visit.strangers.match(lefts, read)
    visit.ledger.find_target((number_of(number), key) for number, key in pairs)
    for _, stranger in pairs:
        visit.strangers.drop(stranger)


async def _end(side: Side, store: Source, folder: Folder, since: Cursor | None) -> Cursor | None:
    """Where the folder ends now. Raises `CursorExpired` when keys don't mean any more what they
    meant at the cursor."""
    end: Cursor | None = None
    async with closing(side, store.changes(folder, since)) as pages:
        async for page in pages:
            end = page.cursor
    return end
