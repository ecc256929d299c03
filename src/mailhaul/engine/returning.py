"""The way back of a mailbox: what arrived on the new side since the switch goes to the old one.

A pass in the other direction, with a ledger of its own; source is the new side, target the old one,
which is opened for writing here and nowhere else. What the forward ledger knows came from the old
side and is skipped by its key; what was received before the switch is skipped by its date; what its
user has moved to another folder since is recognised and skipped. All else is copied or adopted as
in any pass, and nothing at the old side is ever removed (docs/decisions/0085).

When a pass is through, the forward ledger learns which messages are at both sides now, so that no
later pass forward takes its own side's mail for new.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from mailhaul.core.errors import CursorExpired, FolderFailed, MailhaulError
from mailhaul.core.folder import INBOX_PATH, Folder, FolderPath
from mailhaul.core.message import SYSTEM_FLAGS, Entry, Key
from mailhaul.core.store import Source, Target
from mailhaul.engine.beside import Patiently
from mailhaul.engine.cargo import decided
from mailhaul.engine.folder_choice import VIEWS, joined
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.matching import Trait, match, match_read
from mailhaul.engine.outcomes import Delete, Event, Fate, Finished, Options, Side
from mailhaul.engine.pace import Sleep
from mailhaul.engine.passes import run_pass
from mailhaul.engine.sides import closing
from mailhaul.engine.strangers import read_octets, traits_of

CAME = "the old system has it, or had it"
MOVED = "the old system has it in another folder, from which it was moved here"

_Place = tuple[FolderPath, Key]


async def run_return(
    new: Source,
    old: Target,
    forward: Ledger,
    back: Ledger,
    options: Options,
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    chance: random.Random | None = None,
) -> AsyncIterator[Event]:
    """Brings to `old` what arrived at `new` since `options.since`, and tells of it as `run_pass`
    does, which says what it raises.

    `forward` is the ledger of the passes from old to new, `back` that of this way. Idempotent and
    killable as any pass. Folder choice and map of the options are not used: folders go where they
    came from, those that the new side alone has by their names.
    """
    assert options.since is not None
    known = _Forward(new, old, forward, back, options.since.timestamp())
    options = replace(
        options, folders=(), exclude=(), maps={}, delete=Delete.NEVER, once=True, restore=True
    )
    events = run_pass(
        new, old, back, options, sleep=sleep, clock=clock, chance=chance, beside=known
    )
    async with aclosing(cast("AsyncGenerator[Event, None]", events)) as stream:
        # Who has heard the last event may listen no longer: it is told when all is done.
        finished: Finished | None = None
        try:
            async for event in stream:
                if isinstance(event, Finished):
                    finished = event
                else:
                    yield event
            await known.agree()
        except (MailhaulError, OSError):
            if finished is not None:
                yield finished
            raise
        if finished is not None:
            yield finished


@dataclass(frozen=True, slots=True)
class _Copy:
    """A message that the old side has, says a row of either ledger: where that was, and where its
    copy was at the new side."""

    row: MessageRow
    old: _Place | None
    new: _Place | None

    @property
    def places(self) -> set[tuple[Side, _Place]]:
        """Two rows that share one of these tell of one message."""
        sides = ((Side.TARGET, self.old), (Side.SOURCE, self.new))
        return {(side, place) for side, place in sides if place is not None}


class _Forward:
    """What the forward ledger tells a pass back (`engine.beside.Beside`)."""

    def __init__(
        self, new: Source, old: Target, forward: Ledger, back: Ledger, since: float
    ) -> None:
        self._new = new
        self._old = old
        self._forward = forward
        self._back = back
        self._since = since
        self._patiently: Patiently | None = None
        """How this pass waits for a side."""
        self._folders: dict[FolderPath, Folder] = {}
        """Of the new side."""
        self._there: dict[FolderPath, FolderRow] = {row.source: row for row in forward.folders()}
        """By their path at the old side."""
        self._valid: dict[FolderPath, bool] = {}
        """Whether the forward ledger's keys of that folder at the new side are as they were."""
        self._moved_now: defaultdict[bytes, set[_Place]] = defaultdict(set)
        """What this pass has found moved, by header identity."""
        self._one = asyncio.Lock()

    # before the pass

    async def prepare(
        self,
        patiently: Patiently,
        source: Sequence[Folder],
        target: Sequence[Folder],
        options: Options,
    ) -> Options:
        """Links each folder with where it came from. Chosen are those that the old side has, and
        what else holds anything that arrived; so no folder is made there to stay empty."""
        self._patiently = patiently
        self._folders = {folder.path: folder for folder in source if folder.selectable}
        self._valid.clear()
        linked = {row.source: row.target for row in self._back.folders()}
        for path, row in self._origins().items():
            if path in self._folders and path not in linked:
                self._link(path, row)
                linked[path] = row.source
        self._back.commit()
        there = {folder.path for folder in target if folder.selectable}
        wanted = {INBOX_PATH}
        for folder in source:
            if not folder.selectable or folder.role in VIEWS:
                continue
            if linked.get(folder.path) in there or await patiently(
                lambda folder=folder: self._has_new(folder),  # type: ignore[misc]
                Side.SOURCE,
            ):
                wanted.add(folder.path)
        names = sorted(joined(path) for path in wanted if path in self._folders)
        return replace(options, folders=tuple(names))

    def _origins(self) -> dict[FolderPath, FolderRow]:
        """For each folder of the new side the one from which it came; of several the one of the
        same path, else the first."""
        origins: dict[FolderPath, FolderRow] = {}
        for row in self._there.values():
            if row.target not in origins or row.source == row.target:
                origins[row.target] = row
        return origins

    def _link(self, path: FolderPath, row: FolderRow) -> None:
        """What the forward passes had seen at the old side can't be a stranger there."""
        made = self._back.link(path, row.source)
        self._back.subscribed(made)  # as the person has left it
        tail = None if row.source_cursor is None else self._old.past(row.source_cursor, ())
        anchor = row.source_anchor
        self._back.move(replace(made, target_tail=tail if anchor else None, target_anchor=anchor))

    async def _has_new(self, folder: Folder) -> bool:
        if folder.count == 0:
            return False
        async with closing(Side.SOURCE, self._new.changes(folder, None)) as pages:
            async for page in pages:
                new = [entry for entry in page.entries if self._is_new(entry)]
                if new and len(await self.settled(folder, new)) < len(new):
                    return True
        return False

    def _is_new(self, entry: Entry) -> bool:
        return entry.received is None or entry.received.timestamp() >= self._since

    # while it runs

    def there(self, folder: FolderRow, first: Key, last: Key) -> set[Key]:
        """Messages of the old side that the forward passes have carried, or decided about."""
        row = self._there.get(folder.target)
        if row is None or row.source_anchor is None or row.source_anchor != folder.target_anchor:
            return set()  # renumbered since
        return set(self._forward.between(row, first, last))

    async def settled(self, folder: Folder, entries: Sequence[Entry]) -> Sequence[MessageRow]:
        """Rows for what the old side has already."""
        keys = [entry.key for entry in entries]
        came = set[Key]()
        if await self._keys_hold(folder.path):
            came = self._forward.written_keys(folder.path, min(keys), max(keys))
        rows = [decided(each, Fate.SKIPPED, CAME) for each in entries if each.key in came]
        rest = [entry for entry in entries if entry.key not in came]
        if rest:
            async with self._one:  # or two folders would take one copy for the origin of both
                rows += await self._moved(folder, rest)
        return rows

    async def _keys_hold(self, path: FolderPath) -> bool:
        if path not in self._valid:
            self._valid[path] = await self._numbered_as_before(path)
        return self._valid[path]

    async def _numbered_as_before(self, path: FolderPath) -> bool:
        folder = self._folders.get(path)
        rows = [row for row in self._there.values() if row.target == path]
        if folder is None or not rows:
            return False
        for row in rows:
            anchor = row.target_seen or row.target_tail or row.target_anchor
            if row.target_anchor is None or anchor is None:
                if self._forward.known(row):
                    return False
                continue
            try:
                async with closing(Side.SOURCE, self._new.changes(folder, anchor)) as pages:
                    async for _ in pages:
                        pass
            except CursorExpired:
                return False
        return True

    async def _moved(self, folder: Folder, entries: Sequence[Entry]) -> list[MessageRow]:
        """Rows for messages of which the old side has a copy, whose own copy at the new side is no
        longer where it was."""
        traits = await traits_of(Side.SOURCE, self._new, folder, entries)
        copies = await self._gone(folder.path, traits)
        if not copies:
            return []
        result = match(traits, copies.values())
        pairs = list(result.pairs)
        by_key = {entry.key: entry for entry in entries}
        for ours, theirs in result.doubtful:
            await read_octets(Side.SOURCE, self._new, folder, ours, by_key)
            pairs += match_read(ours, theirs)
        moved = {left for left, _ in pairs}
        for each in traits:
            if each.key in moved:
                self._moved_now[each.identity.digest].add((folder.path, each.key))
        return [
            decided(by_key[each.key], Fate.SKIPPED, MOVED, trait=each)
            for each in traits
            if each.key in moved
        ]

    async def _gone(self, path: FolderPath, traits: Sequence[Trait]) -> dict[int, Trait]:
        """Copies at the old side of what looks like these, by a number: those whose place at the
        new side is empty, and which stand for no message that was found moved before."""
        wanted = {trait.identity.digest for trait in traits}
        back = self._back.of_identities(wanted)
        copies, takers = await self._copies(wanted, back), self._takers(wanted, back)
        if not copies:
            return {}
        places = {copy.new for copy in copies if copy.new is not None}
        for trait in traits:  # asked about once more, after a failure
            takers[trait.identity.digest].discard((path, trait.key))
        there = await self._present(places | {place for each in takers.values() for place in each})
        gone: dict[int, Trait] = {}
        spoken_for = {
            digest: sum(there.get(place) == digest for place in each)
            for digest, each in takers.items()
        }
        for number, copy in enumerate(copies):
            row = copy.row
            assert row.identity is not None
            digest = row.identity.digest
            if copy.new is not None and there.get(copy.new) == digest:
                continue
            if spoken_for.get(digest, 0):
                spoken_for[digest] -= 1
                continue
            gone[number] = Trait(number, row.identity, row.size, row.received, exact=row.digest)
        return gone

    async def _copies(
        self, wanted: set[bytes], back: Sequence[tuple[FolderRow, MessageRow]]
    ) -> list[_Copy]:
        found: list[_Copy] = []
        for folder, row in self._forward.of_identities(wanted):
            old = None if row.source_key is None else (folder.source, row.source_key)
            known = row.target_key is not None and await self._keys_hold(folder.target)
            new = (folder.target, _known(row.target_key)) if known else None
            found.append(_Copy(row, old, new))
        for folder, row in back:
            old = None if row.target_key is None else (folder.target, row.target_key)
            new = None if row.source_key is None else (folder.source, row.source_key)
            found.append(_Copy(row, old, new))
        seen = set[tuple[Side, _Place]]()
        copies = []
        for copy in found:
            if copy.row.fate in (Fate.COPIED, Fate.ADOPTED) and not copy.places & seen:
                copies.append(copy)
                seen |= copy.places
        return copies

    def _takers(
        self, wanted: set[bytes], back: Sequence[tuple[FolderRow, MessageRow]]
    ) -> dict[bytes, set[_Place]]:
        takers = {digest: set(self._moved_now.get(digest, ())) for digest in wanted}
        for folder, row in back:
            if row.reason == MOVED and row.source_key is not None and row.identity is not None:
                takers[row.identity.digest].add((folder.source, row.source_key))
        return takers

    async def _present(self, places: Iterable[_Place]) -> dict[_Place, bytes]:
        """Which header lies at each of these places of the new side."""
        keys = defaultdict[FolderPath, list[Key]](list)
        for path, key in places:
            keys[path].append(key)
        there: dict[_Place, bytes] = {}
        for path, wanted in keys.items():
            folder = self._folders.get(path)
            if folder is None:
                continue
            try:
                async with closing(
                    Side.SOURCE, self._new.identify(folder, sorted(wanted))
                ) as found:
                    async for key, identity in found:
                        there[path, key] = identity.digest
            except FolderFailed:
                continue  # it is gone, and with it what lay there
        return there

    # after it

    async def agree(self) -> None:
        """Tells the forward ledger what is at both sides now: found there, not written by it."""
        number, self._forward.number = self._forward.number, 0
        try:
            for folder in self._back.folders():
                row = await self._forward_row(folder)
                if row is not None:
                    self._tell(row, folder)
        finally:
            self._forward.number = number
        self._forward.commit()

    async def _forward_row(self, folder: FolderRow) -> FolderRow | None:
        """The forward ledger's row of a folder of the way back; None when their keys are not of
        one numbering, or the folders are linked otherwise."""
        row = self._there.get(folder.target)
        if folder.source_anchor is None or folder.target_anchor is None:
            return None
        if row is None:
            if next(self._back.at_both(folder), None) is None:
                return None
            row = self._forward.link(folder.target, folder.source)
        if row.target != folder.source:
            return None
        if row.source_anchor is None and row.target_anchor is None:
            row = replace(
                row, source_anchor=folder.target_anchor, target_anchor=folder.source_anchor
            )
            self._forward.move(row)
            self._there[row.source] = row
            return row
        if row.source_anchor != folder.target_anchor or self._patiently is None:
            return None
        hold = await self._patiently(lambda: self._keys_hold(row.target), Side.SOURCE)
        return row if hold else None

    def _tell(self, row: FolderRow, folder: FolderRow) -> None:
        """Flags that a side may not have kept are left out, or a pass would take them away at the
        other."""
        both = list(self._back.at_both(folder))
        if not both:
            return
        known = self._forward.among(row, [_known(each.target_key) for each in both])
        keys = [_known(each.source_key) for each in both]
        written = self._forward.written_keys(row.target, min(keys), max(keys))
        rows = [
            replace(
                each,
                source_key=each.target_key,
                target_key=each.source_key,
                fate=Fate.ADOPTED,
                flags=each.flags & frozenset(SYSTEM_FLAGS.values()),
                reason="",
                id=None,
            )
            for each in both
            if each.target_key not in known and each.source_key not in written
        ]
        if rows:
            self._forward.add(row, rows, row.target_tail)


def _known(key: Key | None) -> Key:
    assert key is not None
    return key
