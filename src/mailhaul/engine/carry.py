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

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from mailhaul.core.errors import CursorExpired, MailhaulError
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.identity import HEADER_LIMIT, header_identity, subject_of
from mailhaul.core.message import Entry, Flags, Identity, Key, Message, Unreadable, folded
from mailhaul.core.store import Appended, FlagChange, Refused, Source, Target
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.matching import Trait, loose_digest, match, match_read
from mailhaul.engine.outcomes import Carried, Event, Fate, Listed, Options, Settled, Side

_Each = TypeVar("_Each")

ROWS_A_COMMIT = 250
"""So many messages are lost to the ledger at most when the process is killed; they are found again
at the target by looking."""


@dataclass(slots=True)
class Effects:
    """What was done in this pass, for the accounting; survives retries of a folder."""

    flagged: int = 0
    removed: int = 0
    carried: int = 0
    octets: int = 0
    lost_flags: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Carrier:
    """What one folder needs on its way: both sides, the ledger, and where to tell."""

    source: Source
    target: Target
    ledger: Ledger
    options: Options
    tell: Callable[[Event], None]
    effects: Effects = field(default_factory=Effects)


@asynccontextmanager
async def blamed(side: Side) -> AsyncIterator[None]:
    """Errors that pass through here are about that side, unless they know better already."""
    try:
        yield
    except MailhaulError as error:
        if error.side is None:
            error.side = side
        raise


async def carry(
    carrier: Carrier, row: FolderRow, source: Folder, target: Folder, *, look: bool, anew: bool
) -> FolderRow:
    """Brings the folder up to date and returns its row with the cursors moved.

    `look` surveys the target even if its tail says that nothing was added (after a failure: what
    was in flight may have arrived). `anew` lists the source whole. Raises what the stores raise.
    """
    visit = _Visit(carrier, row, source, target)
    await visit.survey(look)
    anew = anew or visit.anew
    try:
        await visit.page(None if anew else row.source_cursor)
    except CursorExpired:
        carrier.ledger.lose_sources(visit.row)
        carrier.effects.notes.append(f"{'/'.join(source.path)}: the source was renumbered")
        visit = _Visit(carrier, visit.row, source, target)
        await visit.survey(look=True, whole=True)
        await visit.page(None)
    return visit.row


class _Visit:
    """One attempt at one folder."""

    def __init__(self, carrier: Carrier, row: FolderRow, source: Folder, target: Folder) -> None:
        self._carrier = carrier
        self._ledger = carrier.ledger
        self._source = source
        self._target = target
        self._strangers: dict[Key, Entry] = {}
        self._stranger_traits: dict[Key, Trait] = {}
        self._lost: dict[int, MessageRow] = {}
        self._intended: set[Key] = set()
        self._end: Cursor | None = None
        self._known = False
        self.row = row
        self.anew = False

    # the target

    async def survey(self, look: bool, whole: bool = False) -> None:
        """Learns who the strangers are."""
        row, tail = self.row, self._target.tail
        self._intended = self._ledger.intended(row)
        unkeyed = self._ledger.unkeyed(row)
        self._lost = {_id(lost): lost for lost in self._ledger.lost(row)}
        look = look or whole or bool(self._intended) or bool(unkeyed) or bool(self._lost)
        if not look and tail is not None and tail in (row.target_tail, row.target_seen):
            self._known = self._ledger.known(row)
            return
        try:
            end = await self._list_strangers(None if whole or self._lost else row.target_tail)
        except CursorExpired:
            self._ledger.lose_targets(row)
            self.row = row = replace(row, target_tail=None, target_seen=None)
            self._ledger.move(row)
            self._carrier.effects.notes.append(
                f"{'/'.join(self._target.path)}: the target was renumbered"
            )
            unkeyed = self._ledger.unkeyed(row)
            end = await self._list_strangers(None)
            await self._find_unkeyed(unkeyed)
            missing = self._ledger.unkeyed(row)
            self._ledger.forget(_id(each) for each in missing)
            self.anew = True
        else:
            if unkeyed:
                await self._find_unkeyed(unkeyed)
        self._known = self._ledger.known(row)
        self._end = end
        self.row = replace(row, target_seen=tail)
        self._no_strangers()

    def _no_strangers(self) -> None:
        """Once nobody is left who might be one of ours, the tail moves on to where we looked."""
        if self._end is not None and not self._strangers:
            self.row = replace(self.row, target_tail=self._end)
            self._end = None

    async def _list_strangers(self, since: Cursor | None) -> Cursor | None:
        end: Cursor | None = None
        async with (
            blamed(Side.TARGET),
            _closing(self._carrier.target.changes(self._target, since)) as pages,
        ):
            async for page in pages:
                end = page.cursor
                entries = page.entries
                if not entries:
                    continue
                keys = [entry.key for entry in entries]
                known = self._ledger.target_keys(self.row, min(keys), max(keys))
                for entry in entries:
                    if entry.key not in known:
                        self._strangers[entry.key] = entry
        return end

    async def _find_unkeyed(self, rows: Sequence[MessageRow]) -> None:
        """Rows that are at the target under an unknown key look for it among the strangers."""
        lefts = [
            Trait(_id(row), row.identity, row.size, row.received)
            for row in rows
            if row.identity is not None
        ]
        by_id = {_id(row): row for row in rows}

        async def read(traits: Iterable[Trait]) -> None:
            wanted = {
                row.source_key: trait
                for trait in traits
                if (row := by_id[_number(trait.key)]).source_key is not None
            }
            entries = [Entry(key) for key in _ascending(wanted)]
            await self._digest(self._carrier.source, self._source, entries, wanted)

        pairs = await self._match_strangers(lefts, read)
        self._ledger.find_target((_number(row), key) for row, key in pairs)

    async def _match_strangers(
        self, lefts: Sequence[Trait], read: Callable[[Iterable[Trait]], Awaitable[None]]
    ) -> list[tuple[Key, Key]]:
        """Pairs of a left's key and the stranger that is the same message; those strangers are
        strangers no more. `read` fills in the digest of lefts that only octets can decide."""
        if not lefts or not self._strangers:
            return []
        await self._identify_strangers()
        result = match(lefts, self._stranger_traits.values())
        pairs = list(result.pairs)
        for ours, theirs in result.doubtful:
            await read(ours)
            await self._read_strangers(theirs)
            pairs += match_read(ours, theirs)
        for _, stranger in pairs:
            del self._strangers[stranger]
            del self._stranger_traits[stranger]
        return pairs

    async def _identify_strangers(self) -> None:
        fresh = [key for key in self._strangers if key not in self._stranger_traits]
        if not fresh:
            return
        async with (
            blamed(Side.TARGET),
            _closing(self._carrier.target.identify(self._target, fresh)) as found,
        ):
            async for key, identity in found:
                self._stranger_traits[key] = _trait(self._strangers[key], identity)

    async def _read_strangers(self, traits: Iterable[Trait]) -> None:
        wanted = {trait.key: trait for trait in traits if trait.digest is None}
        entries = [self._strangers[key] for key in _ascending(wanted)]
        async with blamed(Side.TARGET):
            await self._digest(self._carrier.target, self._target, entries, wanted)

    async def _digest(
        self, store: Source, folder: Folder, entries: Sequence[Entry], traits: dict[Key, Trait]
    ) -> None:
        if not entries:
            return
        async with _closing(store.fetch(folder, entries)) as messages:
            async for message in messages:
                if isinstance(message, Message):
                    traits[message.entry.key].digest = loose_digest(message.blob)
                    message.blob.close()

    # the source

    async def page(self, since: Cursor | None) -> None:
        """Goes through everything that happened at the source since the cursor."""
        seen: list[Key] = []
        whole = False
        cursor: Cursor | None = None
        async with (
            blamed(Side.SOURCE),
            _closing(self._carrier.source.changes(self._source, since)) as pages,
        ):
            async for page in pages:
                whole = page.whole
                cursor = page.cursor
                if whole and self._known:
                    seen.extend(entry.key for entry in page.entries)
                if page.entries:
                    await self._entries(page.entries)
                if page.vanished:
                    self._ledger.gone(self.row, page.vanished)
        if whole and self._known:
            there = set(seen)
            self._ledger.gone(
                self.row, [key for key in self._ledger.source_keys(self.row) if key not in there]
            )
        self.row = replace(self.row, source_state=self._source.state, source_cursor=cursor)
        self._ledger.move(self.row)

    async def _entries(self, entries: Sequence[Entry]) -> None:
        fresh: list[Entry] = []
        if self._known or self._ledger.known(self.row):
            keys = [entry.key for entry in entries]
            rows = self._ledger.between(self.row, min(keys), max(keys))
            changed: list[tuple[MessageRow, Entry]] = []
            for entry in entries:
                row = rows.get(entry.key)
                if row is None or self._again(row):
                    fresh.append(entry)
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
                rows.append(_decided(entry, Fate.SKIPPED, reason))
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

    # who is the same

    async def _traits(self, entries: Sequence[Entry]) -> list[Trait]:
        by_key = {entry.key: entry for entry in entries}
        found: dict[Key, Trait] = {}
        async with (
            blamed(Side.SOURCE),
            _closing(self._carrier.source.identify(self._source, list(by_key))) as identities,
        ):
            async for key, identity in identities:
                found[key] = _trait(by_key[key], identity)
        return [found[entry.key] for entry in entries if entry.key in found]

    async def _read(self, traits: Iterable[Trait], entries: dict[Key, Entry]) -> None:
        wanted = {trait.key: trait for trait in traits if trait.digest is None}
        async with blamed(Side.SOURCE):
            await self._digest(
                self._carrier.source,
                self._source,
                [entries[key] for key in _ascending(wanted)],
                wanted,
            )

    async def _find_again(self, entries: Sequence[Entry]) -> list[Entry]:
        """After the source was renumbered: entries whose row tells that they were carried. What
        only octets can decide is left to the strangers, where our own copies are too."""
        lefts = await self._traits(entries)
        rights = [
            Trait(number, row.identity, row.size, row.received)
            for number, row in self._lost.items()
            if row.identity is not None
        ]
        result = match(lefts, rights)
        pairs = list(result.pairs)
        by_key = {entry.key: entry for entry in entries}
        for ours, theirs in result.doubtful:
            pairs += await self._find_by_octets(ours, theirs, by_key)
        found = {left: _number(right) for left, right in pairs}
        self._ledger.find_source((number, key) for key, number in found.items())
        changed = []
        for key, number in found.items():
            row = self._lost.pop(number)
            if row.target_key is not None:
                self._strangers.pop(row.target_key, None)
                self._stranger_traits.pop(row.target_key, None)
            if row.flags != by_key[key].flags:
                changed.append((row, by_key[key]))
        if changed:
            await self._flags(changed)
        return [entry for entry in entries if entry.key not in found]

    async def _find_by_octets(
        self, ours: Sequence[Trait], theirs: Sequence[Trait], entries: dict[Key, Entry]
    ) -> list[tuple[Key, Key]]:
        rights = [replace(trait, digest=self._lost[_number(trait.key)].digest) for trait in theirs]
        wanted = [entries[trait.key] for trait in sorted(ours, key=_order)]
        lefts = {trait.key: replace(trait) for trait in ours}
        async with (
            blamed(Side.SOURCE),
            _closing(self._carrier.source.fetch(self._source, wanted)) as messages,
        ):
            async for message in messages:
                if isinstance(message, Message):
                    lefts[message.entry.key].digest = message.blob.digest()
                    message.blob.close()
        return match_read(list(lefts.values()), rights)

    async def _adopt(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that are at the target already: what a killed run of ours left behind counts as
        copied, what an earlier tool or person put there as adopted."""
        lefts = await self._traits(entries)
        by_key = {entry.key: entry for entry in entries}
        identities = {trait.key: trait.identity for trait in lefts}
        strangers = dict(self._strangers)

        async def read(traits: Iterable[Trait]) -> None:
            await self._read(traits, by_key)

        pairs = await self._match_strangers(lefts, read)
        pairs += await self._match_in_flight(lefts, {left for left, _ in pairs}, by_key)
        lost_targets = {row.target_key: number for number, row in self._lost.items()}
        rows, orders, replaced = [], [], []
        for left, right in pairs:
            entry, there = by_key[left], strangers[right]
            ours = left in self._intended or right in lost_targets
            fate = Fate.COPIED if ours else Fate.ADOPTED
            rows.append(_decided(entry, fate, "", right, identities[left]))
            if right in lost_targets:
                replaced.append(lost_targets[right])
            missing = frozenset(f for f in entry.flags if f.lower() not in folded(there.flags))
            if missing:
                orders.append(FlagChange(right, missing, frozenset()))
        for number in replaced:
            del self._lost[number]
        self._ledger.forget(replaced)
        if orders:
            async with blamed(Side.TARGET):
                await self._carrier.target.flag(self._target, orders)
        self.row = self._ledger.add(self.row, rows, self.row.target_tail)
        if pairs:
            octets = sum(by_key[left].size or 0 for left, _ in pairs)
            self._carrier.tell(Listed(self._source.path, len(pairs), octets))
            self._carrier.tell(Carried(self._source.path, len(pairs), octets))
        self._no_strangers()
        adopted = {left for left, _ in pairs}
        return [entry for entry in entries if entry.key not in adopted]

    async def _match_in_flight(
        self, lefts: Sequence[Trait], settled: set[Key], entries: dict[Key, Entry]
    ) -> list[tuple[Key, Key]]:
        """What a cut run may have sent, by its octets: a server that alters headers can't make us
        send it twice."""
        ours = [
            trait for trait in lefts if trait.key in self._intended and trait.key not in settled
        ]
        theirs = list(self._stranger_traits.values())
        if not ours or not theirs:
            return []
        await self._read(ours, entries)
        await self._read_strangers(theirs)
        pairs = match_read(ours, theirs)
        for _, stranger in pairs:
            del self._strangers[stranger]
            del self._stranger_traits[stranger]
        return pairs

    # carrying

    async def _copy(self, entries: Sequence[Entry]) -> None:
        tell, path = self._carrier.tell, self._source.path
        tell(Listed(path, len(entries), sum(entry.size or 0 for entry in entries)))
        self._ledger.intend(self.row, [entry.key for entry in entries])
        cargo = _Cargo(self._carrier.source, self._source, entries)
        done: list[MessageRow] = []
        refused: list[Refused] = []

        def record() -> None:
            keys = [row.target_key for row in done if row.target_key is not None]
            tail = self.row.target_tail
            if tail is not None and keys and not self._strangers:
                tail = self._carrier.target.past(tail, keys)
            self.row = self._ledger.add(self.row, done, tail)
            octets = sum(row.size or 0 for row in done)
            self._carrier.effects.carried += len(done)
            self._carrier.effects.octets += octets
            tell(Carried(path, len(done), octets))
            done.clear()

        try:
            async with (
                blamed(Side.TARGET),
                _closing(self._carrier.target.append(self._target, cargo.messages())) as results,
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
        self._ledger.settled(self.row)
        self._known = True

    def _lossy(self, result: Appended) -> None:
        effects = self._carrier.effects
        for flag in result.lost:
            effects.lost_flags[flag] = effects.lost_flags.get(flag, 0) + 1
        if result.note:
            effects.notes.append(f"{'/'.join(self._source.path)} {result.entry.key}: {result.note}")

    async def _refuse(self, refused: Refused) -> None:
        """Records it, and saves the message beside the state."""
        entry = refused.entry
        subject, saved = "", None
        async with (
            blamed(Side.SOURCE),
            _closing(self._carrier.source.fetch(self._source, [entry])) as messages,
        ):
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
        self.row = self._ledger.add(self.row, [_decided(entry, fate, reason)], self.row.target_tail)
        self._carrier.tell(Settled(self._source.path, entry.key, fate, reason, subject, saved))


class _Cargo:
    """The messages on their way: what passes is noted down."""

    def __init__(self, source: Source, folder: Folder, entries: Sequence[Entry]) -> None:
        self._source = source
        self._folder = folder
        self._entries = entries
        self._passed: dict[Key, tuple[int, bytes, Identity]] = {}
        self.unreadable: list[Unreadable] = []

    async def messages(self) -> AsyncIterator[Message]:
        """Each message that can be read, with its header and octets noted."""
        async with (
            blamed(Side.SOURCE),
            _closing(self._source.fetch(self._folder, self._entries)) as messages,
        ):
            async for message in messages:
                if isinstance(message, Unreadable):
                    self.unreadable.append(message)
                    continue
                blob = message.blob
                identity = header_identity(blob.head(HEADER_LIMIT))
                self._passed[message.entry.key] = (blob.size, blob.digest(), identity)
                yield message

    def row(self, result: Appended) -> MessageRow:
        """The row of a message that has arrived."""
        entry = result.entry
        size, digest, identity = self._passed.pop(entry.key)
        return MessageRow(
            source_key=entry.key,
            target_key=result.key,
            fate=Fate.COPIED,
            flags=entry.flags,
            size=size,
            received=_seconds(entry),
            identity=identity,
            digest=digest,
        )


def _decided(
    entry: Entry,
    fate: Fate,
    reason: str,
    target_key: Key | None = None,
    identity: Identity | None = None,
) -> MessageRow:
    return MessageRow(
        source_key=entry.key,
        target_key=target_key,
        fate=fate,
        flags=entry.flags,
        size=entry.size,
        received=_seconds(entry),
        identity=identity,
        reason=reason,
    )


def _seconds(entry: Entry) -> int | None:
    return None if entry.received is None else int(entry.received.timestamp())


def _trait(entry: Entry, identity: Identity) -> Trait:
    return Trait(entry.key, identity, entry.size, _seconds(entry))


def _id(row: MessageRow) -> int:
    assert row.id is not None
    return row.id


def _number(key: Key) -> int:
    assert isinstance(key, int)
    return key


def _order(trait: Trait) -> Key:
    return trait.key


def _ascending(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys)  # keys of one folder are of one type


@asynccontextmanager
async def _closing(iterator: AsyncIterator[_Each]) -> AsyncIterator[AsyncIterator[_Each]]:
    """The iterator, closed at the end if it wasn't consumed."""
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
