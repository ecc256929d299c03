"""One folder, once: survey the target, page the source, decide, carry, record.

Everything here can be cut off anywhere and begun again: decisions come from the ledger and from
what both sides list, never from what an earlier attempt remembered. Order of things:

1. Survey the target since its tail: what is there and in no row is a *stranger*. A renumbered
   target loses its keys first and is surveyed whole.
2. Page the source since its cursor. Known messages: flags that changed at the source are applied,
   three ways. New ones: found again among rows that a renumbering lost, else adopted from the
   strangers, else fetched and appended. Rows are written as results come in.
3. Cursors move last.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor, Folder, shown
from mailhaul.core.identity import HEADER_LIMIT, subject_of
from mailhaul.core.message import Entry, Flags, Key, Message, folded
from mailhaul.core.store import Appended, Changes, FlagChange, Refused, Source, Target
from mailhaul.engine.accounting import Effects
from mailhaul.engine.cargo import Cargo, decided
from mailhaul.engine.ledger import RENUMBERED, FolderRow, Ledger, MessageRow
from mailhaul.engine.matching import Trait, match, match_read
from mailhaul.engine.outcomes import Carried, Event, Fate, Listed, Options, Settled, Side
from mailhaul.engine.sides import blamed, closing
from mailhaul.engine.strangers import Strangers, read_octets, traits_of

ROWS_A_COMMIT = 250
"""So many messages are lost to the ledger at most when the process is killed; they are found again
at the target by looking."""


@dataclass(slots=True)
class Carrier:
    """What one folder needs on its way: both sides, the ledger, and where to tell."""

    source: Source
    target: Target
    ledger: Ledger
    options: Options
    tell: Callable[[Event], None]
    effects: Effects = field(default_factory=Effects)


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
    visit = _Visit(carrier, row, source, target, ahead)
    try:
        if anew or row.source_cursor is None or carrier.ledger.unkeyed(row):
            await visit.check_source()
        await visit.survey(look)
        if visit.row.source_cursor is None and row.source_cursor is not None:
            await visit.check_source()
        await visit.page(None if anew else visit.row.source_cursor)
        if visit.surprised:
            await visit.page(None)
    except CursorExpired:
        visit = _Visit(carrier, visit.source_renumbered(), source, target)
        await visit.survey(look=True)
        await visit.page(None)
    return visit.row


class _Visit:
    """One attempt at one folder."""

    def __init__(
        self,
        carrier: Carrier,
        row: FolderRow,
        source: Folder,
        target: Folder,
        ahead: AsyncIterator[Changes] | None = None,
    ) -> None:
        self._carrier = carrier
        self._ahead = ahead
        self._ledger = carrier.ledger
        self._source = source
        self._target = target
        self._strangers = Strangers(carrier.target, target)
        self._lost: dict[int, MessageRow] = {}
        self._intended: set[Key] = set()
        self._known = False
        self._seen: Cursor | None = None
        self.row = row
        self.surprised = False
        """A listing of changes named a message as old that no row knows: list whole."""

    # the target

    async def survey(self, look: bool) -> None:
        """Learns who the strangers are, if anyone can be, and writes down in whose numbering the
        keys of this visit will be."""
        row, tail = self.row, self._target.tail
        self._intended = self._ledger.intended(row)
        unkeyed = self._ledger.unkeyed(row)
        renumbered = any(lost.reason == RENUMBERED for lost in self._ledger.lost(row))
        look = look or renumbered or bool(self._intended or unkeyed)
        if not look and tail is not None and self._target.count == 0 and row.target_anchor is None:
            # Nobody is there who could be a stranger.
            self.row = row = replace(row, target_tail=tail, target_seen=tail, target_anchor=tail)
        if look or tail is None or tail not in (row.target_tail, row.target_seen):
            since = None if renumbered else row.target_tail
            try:
                if row.target_anchor is None and self._ledger.known(row):
                    raise CursorExpired("an earlier look for the rows was cut off")
                if since is None and row.target_anchor is not None:
                    target = self._carrier.target
                    await _end(Side.TARGET, target, self._target, row.target_anchor)
                await self._strangers.look(since, self._ours)
                await self._find_unkeyed(unkeyed)
            except CursorExpired:
                await self._target_renumbered()
            self._seen = self._strangers.end if tail is None else tail
            self.row = replace(self.row, target_anchor=self.row.target_anchor or self._seen)
            self._no_strangers()
        await self._anchor()
        self._lost = {_id(lost): lost for lost in self._ledger.lost(row)}
        self._known = self._ledger.known(self.row)

    async def _anchor(self) -> None:
        """Writes down in whose numbering the keys of this visit are, before the first row is."""
        anchor = self.row.source_anchor
        if anchor is None:
            anchor = self._source.tail or await _end(
                Side.SOURCE, self._carrier.source, self._source, None
            )
        self.row = replace(self.row, source_anchor=anchor)
        self._ledger.move(self.row)

    def _ours(self, first: Key, last: Key) -> set[Key]:
        return self._ledger.target_keys(self.row, first, last)

    def _no_strangers(self) -> None:
        """Once nobody is left who might be one of ours, the tail moves on to where we looked."""
        if self._strangers.end is not None and not self._strangers:
            tail = self._carrier.target.past(self._strangers.end, ())
            self._strangers.end = None
            self.row = replace(self.row, target_tail=tail)

    async def _target_renumbered(self) -> None:
        """Its keys mean nothing any more: rows look for their message; what isn't found is carried
        again (what the person had removed before comes back, which beats losing anything)."""
        self.row = self._ledger.lose_targets(self.row)
        self._note(self._target, "the target was renumbered")
        self._strangers = Strangers(self._carrier.target, self._target)
        await self._strangers.look(None, self._ours)
        await self._find_unkeyed(self._ledger.unkeyed(self.row))
        self._ledger.forget(_id(row) for row in self._ledger.unkeyed(self.row))

    async def _find_unkeyed(self, rows: Sequence[MessageRow]) -> None:
        """Rows that are at the target under an unknown key look for it among the strangers."""
        by_id = {_id(row): row for row in rows}

        async def read(traits: Iterable[Trait]) -> None:
            keys = {trait.key: by_id[_number(trait.key)].source_key for trait in traits}
            here = [
                (trait, replace(trait, key=key))
                for trait in traits
                if (key := keys[trait.key]) is not None
            ]
            entries = {copy.key: Entry(copy.key) for _, copy in here}
            await self._read_source((copy for _, copy in here), entries)
            for trait, copy in here:
                trait.loose = copy.loose

        lefts = _traits_of_rows(by_id)
        pairs = await self._strangers.match(lefts, read)
        self._ledger.find_target((_number(number), key) for number, key in pairs)
        for _, stranger in pairs:
            self._strangers.drop(stranger)

    async def _learn(self, rows: Sequence[MessageRow]) -> None:
        """Where the target didn't say under which keys it stored what we sent: looks for them."""
        self._strangers = Strangers(self._carrier.target, self._target)
        await self._strangers.look(self.row.target_tail, self._ours)
        await self._find_unkeyed(rows)
        self._no_strangers()

    async def _read_source(self, traits: Iterable[Trait], entries: dict[Key, Entry]) -> None:
        await read_octets(Side.SOURCE, self._carrier.source, self._source, traits, entries)

    # the source

    async def check_source(self) -> None:
        """Raises `CursorExpired` when the rows' source keys are of another numbering."""
        anchor = self.row.source_cursor or self.row.source_anchor
        if anchor is not None and self._ledger.known(self.row):
            await _end(Side.SOURCE, self._carrier.source, self._source, anchor)

    def source_renumbered(self) -> FolderRow:
        """The row, with all its source keys forgotten."""
        self._note(self._source, "the source was renumbered")
        return self._ledger.lose_sources(self.row)

    async def page(self, since: Cursor | None) -> None:
        """Goes through everything that happened at the source since the cursor."""
        seen: list[Key] = []
        whole = False
        known = self._known
        cursor: Cursor | None = None
        listing = self._ahead if since is None else None
        self._ahead = None
        if listing is None:
            listing = self._carrier.source.changes(self._source, since)
        async with closing(Side.SOURCE, listing) as pages:
            async for page in pages:
                whole = page.whole
                cursor = page.cursor
                if whole and known:
                    seen.extend(entry.key for entry in page.entries)
                if page.entries:
                    await self._entries(page.entries, since is not None)
                if page.vanished:
                    self._ledger.gone(self.row, page.vanished)
        if whole and known:
            there = set(seen)
            self._ledger.gone(
                self.row, [key for key in self._ledger.source_keys(self.row) if key not in there]
            )
        if unkeyed := self._ledger.unkeyed(self.row):
            await self._learn(unkeyed)
        self._ledger.settled(self.row)
        self.row = replace(
            self.row,
            source_state=self._source.state,
            source_cursor=cursor,
            target_seen=self._seen or self.row.target_seen,
        )
        self._ledger.move(self.row)

    async def _entries(self, entries: Sequence[Entry], delta: bool) -> None:
        fresh: list[Entry] = []
        if self._known or self._ledger.known(self.row):
            keys = [entry.key for entry in entries]
            rows = self._ledger.between(self.row, min(keys), max(keys))
            changed: list[tuple[MessageRow, Entry]] = []
            for entry in entries:
                row = rows.get(entry.key)
                if row is None:
                    if delta and entry.size is None and entry.received is None:
                        self.surprised = True
                    else:
                        fresh.append(entry)
                elif self._again(row):
                    fresh.append(_listed(entry, row))
                elif row.flags != entry.flags and row.fate in (Fate.COPIED, Fate.ADOPTED):
                    changed.append((row, entry))
            if changed:
                await self._flags(changed)
        else:
            fresh = list(entries)
        fresh = self._sift(fresh)
        if fresh and self._lost:
            fresh = await self._find_again(fresh)
        if fresh and self._strangers:
            fresh = await self._adopt(fresh)
        if fresh:
            await self._copy(fresh)

    def _again(self, row: MessageRow) -> bool:
        """Whether a message that was decided about is decided about anew."""
        options = self._carrier.options
        if row.fate is Fate.REFUSED:
            return options.retry_refused
        if row.fate is Fate.SKIPPED:
            return options.since is None or (
                row.received is not None and row.received >= options.since.timestamp()
            )
        return row.fate is Fate.MISSING

    def _sift(self, entries: Sequence[Entry]) -> list[Entry]:
        """Leaves out what is skipped by the options."""
        since = self._carrier.options.since
        if since is None:
            return list(entries)
        kept, rows = [], []
        reason = f"received before {since:%Y-%m-%d}"
        for entry in entries:
            if entry.received is not None and entry.received < since:
                rows.append(decided(entry, Fate.SKIPPED, reason))
            else:
                kept.append(entry)
        if rows:
            self.row = self._ledger.add(self.row, rows, self.row.target_tail)
        return kept

    async def _flags(self, changed: Sequence[tuple[MessageRow, Entry]]) -> None:
        """Applies what changed at the source since both sides agreed; the rest stands."""
        orders: list[FlagChange] = []
        agreed: list[tuple[int, Flags]] = []
        for row, entry in changed:
            if row.target_key is None:
                continue
            agreed.append((_id(row), entry.flags))
            before, now = folded(row.flags), folded(entry.flags)
            add = frozenset(flag for flag in entry.flags if flag.lower() not in before)
            remove = frozenset(flag for flag in row.flags if flag.lower() not in now)
            if add or remove:
                orders.append(FlagChange(row.target_key, add, remove))
        if orders:
            async with blamed(Side.TARGET):
                await self._carrier.target.flag(self._target, orders)
            self._carrier.effects.flagged += len(orders)
        self._ledger.agree(agreed)
        self._ledger.commit()

    # who is the same

    async def _find_again(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that were carried before, says a row whose source message was gone: the source
        was renumbered, or the message went away and came back. The rest may still find our own
        copies among the strangers."""
        lefts = await traits_of(Side.SOURCE, self._carrier.source, self._source, entries)
        result = match(lefts, _traits_of_rows(self._lost))
        pairs = list(result.pairs)
        by_key = {entry.key: entry for entry in entries}
        for ours, theirs in result.doubtful:
            await self._read_source(ours, by_key)
            await self._read_copies(theirs)
            pairs += match_read(ours, theirs)
        found = {left: _number(right) for left, right in pairs}
        self._ledger.find_source((number, key) for key, number in found.items())
        changed = []
        for key, number in found.items():
            row = self._lost.pop(number)
            if row.target_key is not None:
                self._strangers.drop(row.target_key)
            if row.flags != by_key[key].flags:
                changed.append((row, by_key[key]))
        if changed:
            await self._flags(changed)
        return [entry for entry in entries if entry.key not in found]

    async def _read_copies(self, traits: Sequence[Trait]) -> None:
        """Reads the target's copies of lost rows whose octets never passed by us."""
        rows = {trait.key: self._lost[_number(trait.key)] for trait in traits}
        copies = {
            key: (trait, replace(trait, key=key))
            for trait in traits
            if trait.exact is None and (key := rows[trait.key].target_key) is not None
        }
        entries = {key: Entry(key) for key in copies}
        unread = [copy for _, copy in copies.values()]
        await read_octets(Side.TARGET, self._carrier.target, self._target, unread, entries)
        for trait, copy in copies.values():
            trait.exact, trait.loose = copy.exact, copy.loose

    async def _adopt(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that are at the target already: what a killed run of ours left behind counts as
        copied, what an earlier tool or a person put there as adopted."""
        lefts = await traits_of(Side.SOURCE, self._carrier.source, self._source, entries)
        by_key = {entry.key: entry for entry in entries}

        async def read(traits: Iterable[Trait]) -> None:
            await self._read_source(traits, by_key)

        pairs = await self._strangers.match(lefts, read)
        settled = {left for left, _ in pairs}
        in_flight = [
            each for each in lefts if each.key in self._intended and each.key not in settled
        ]
        taken = {right for _, right in pairs}
        pairs += await self._strangers.match_octets(in_flight, taken, read)
        if pairs:
            await self._adopted(pairs, by_key, {each.key: each for each in lefts})
        adopted = {left for left, _ in pairs}
        return [entry for entry in entries if entry.key not in adopted]

    async def _adopted(
        self,
        pairs: Sequence[tuple[Key, Key]],
        entries: dict[Key, Entry],
        traits: Mapping[Key, Trait],
    ) -> None:
        lost = {row.target_key: number for number, row in self._lost.items()}
        rows, orders, replaced = [], [], []
        for left, right in pairs:
            entry, there = entries[left], self._strangers.entry(right)
            ours = left in self._intended or right in lost
            fate = Fate.COPIED if ours else Fate.ADOPTED
            rows.append(decided(entry, fate, "", right, traits[left]))
            if right in lost:
                replaced.append(lost[right])
            known = folded(there.flags)
            add = frozenset(flag for flag in entry.flags if flag.lower() not in known)
            if add:
                orders.append(FlagChange(right, add, frozenset()))
        if orders:
            async with blamed(Side.TARGET):
                await self._carrier.target.flag(self._target, orders)
            self._carrier.effects.flagged += len(orders)
        self._ledger.forget(replaced)
        for number in replaced:
            del self._lost[number]
        self.row = self._ledger.add(self.row, rows, self.row.target_tail)
        for _, right in pairs:
            self._strangers.drop(right)
        self._no_strangers()
        octets = sum(entries[left].size or 0 for left, _ in pairs)
        self._carrier.tell(Listed(self._source.path, len(pairs), octets))
        self._carrier.tell(Carried(self._source.path, len(pairs), octets))

    # carrying

    async def _copy(self, entries: Sequence[Entry]) -> None:
        tell, path, target = self._carrier.tell, self._source.path, self._carrier.target
        tell(Listed(path, len(entries), sum(entry.size or 0 for entry in entries)))
        self._ledger.intend(self.row, [entry.key for entry in entries])
        cargo = Cargo(self._carrier.source, self._source, entries)
        done: list[MessageRow] = []
        refused: list[Refused] = []

        def record() -> None:
            keys = [row.target_key for row in done if row.target_key is not None]
            tail = self.row.target_tail
            if tail is not None and keys and not self._strangers:
                tail = target.past(tail, keys)
            self.row = self._ledger.add(self.row, done, tail)
            octets = sum(row.size or 0 for row in done)
            self._carrier.effects.carried += len(done)
            self._carrier.effects.octets += octets
            tell(Carried(path, len(done), octets))
            done.clear()

        try:
            async with (
                closing(Side.SOURCE, cargo.messages()) as messages,
                closing(Side.TARGET, target.append(self._target, messages)) as results,
            ):
                async for result in results:
                    if isinstance(result, Refused):
                        refused.append(result)
                        continue
                    done.append(cargo.row(result))
                    if result.lost or result.note:
                        self._lossy(result)
                    if len(done) >= ROWS_A_COMMIT:
                        record()
        finally:
            if done:
                record()
        for unreadable in cargo.unreadable:
            self._settle(unreadable.entry, Fate.MISSING, unreadable.reason)
        for each in refused:
            await self._refuse(each)
        self._known = True

    def _lossy(self, result: Appended) -> None:
        effects = self._carrier.effects
        for flag in result.lost:
            effects.lost_flags[flag] = effects.lost_flags.get(flag, 0) + 1
        if result.note:
            self._note(self._source, f"{result.entry.key}: {result.note}")

    def _note(self, folder: Folder, text: str) -> None:
        self._carrier.effects.notes.append(f"{shown(folder.path)}: {text}")

    async def _refuse(self, refused: Refused) -> None:
        """Records it, and saves the message beside the state."""
        entry = refused.entry
        subject, saved = "", None
        async with closing(
            Side.SOURCE, self._carrier.source.fetch(self._source, [entry])
        ) as messages:
            async for message in messages:
                if isinstance(message, Message):
                    subject = subject_of(message.blob.head(HEADER_LIMIT))
                    saved = self._save(message)
                    message.blob.close()
        self._settle(entry, Fate.REFUSED, refused.reason, subject, saved)

    def _save(self, message: Message) -> Path:
        directory = self._ledger.directory / "refused"
        directory.mkdir(exist_ok=True, mode=0o700)
        file = directory / f"{self.row.id:04d}-{message.blob.digest().hex()[:16]}.eml"
        with file.open("wb") as out:
            for chunk in message.blob.chunks():
                out.write(chunk)
        return file

    def _settle(
        self, entry: Entry, fate: Fate, reason: str, subject: str = "", saved: Path | None = None
    ) -> None:
        self.row = self._ledger.add(self.row, [decided(entry, fate, reason)], self.row.target_tail)
        self._carrier.tell(Settled(self._source.path, entry.key, fate, reason, subject, saved))


async def _end(side: Side, store: Source, folder: Folder, since: Cursor | None) -> Cursor | None:
    """Where the folder ends now. Raises `CursorExpired` when keys don't mean any more what they
    meant at the cursor."""
    end: Cursor | None = None
    async with closing(side, store.changes(folder, since)) as pages:
        async for page in pages:
            end = page.cursor
    return end


def _listed(entry: Entry, row: MessageRow) -> Entry:
    """The entry, completed from its row where it came from a listing of flags alone."""
    if entry.received is not None or row.received is None:
        return entry
    received = datetime.fromtimestamp(row.received, UTC)
    return replace(entry, size=entry.size or row.size, received=received)


def _traits_of_rows(rows: Mapping[int, MessageRow]) -> list[Trait]:
    """By row id; rows of what was never read have no identity and are left out."""
    return [
        Trait(number, row.identity, row.size, row.received, exact=row.digest)
        for number, row in rows.items()
        if row.identity is not None
    ]


def _id(row: MessageRow) -> int:
    assert row.id is not None
    return row.id


def _number(key: Key) -> int:
    assert isinstance(key, int)
    return key
