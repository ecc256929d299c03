"""The reference store: opens a `MemoryMailbox` as a source or as a target.

It keeps core/store.py to the letter, and does so in the plainest way; the engine's scenario and
crash tests stand on it. `faults` is called with an operation and a folder's native name before and
after every step that writes ("before append", "after append"; also create, subscribe, flag,
remove), and where a real server could fail while reading ("open", "folders", "page", "identify",
"fetch"). It may change the mailbox, raise `Disconnected`, or raise a crash of its own:
"after append" is the ambiguous window, where the message is stored and nobody was told (A2).
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence

from mailhaul.core.blob import Spool
from mailhaul.core.errors import Closed, ClosedReason, FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role, State
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Entry, Flags, Identity, Key, Message, Unreadable, folded
from mailhaul.core.store import (
    Appended,
    Capabilities,
    Changes,
    FlagChange,
    Quota,
    Refused,
    Traffic,
)
from mailhaul.core.text import printable
from mailhaul.stores.found_folders import with_inbox
from mailhaul.stores.memory_cursor import Place, cursor_of, past, place_of, tail_of
from mailhaul.stores.memory_mailbox import MemoryFolder, MemoryMailbox, Stored

Faults = Callable[[str, str], None]


class MemorySource:
    """A `Source` over a mailbox in memory."""

    def __init__(
        self, mailbox: MemoryMailbox, faults: Faults | None = None, spool: Spool | None = None
    ) -> None:
        self.mailbox = mailbox
        self.traffic = Traffic()
        self._faults = faults or (lambda operation, folder: None)
        self._spool = spool or Spool()
        self.opened = False

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(self.mailbox)

    async def open(self) -> None:
        if not self.opened:
            self._faults("open", "")
            self.traffic.connections += 1
            self.traffic.round_trips += 1
            self.opened = True

    async def close(self) -> None:
        self.opened = False

    async def folders(self) -> list[Folder]:
        await self._ask("folders", "")
        return [_shown(self.mailbox, path) for path in self.mailbox.paths]

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        await self._ask("page", folder.native)
        here = _selected(self.mailbox, folder)
        place = None if since is None else place_of(here, since)
        entries, vanished, whole = _news(self.mailbox, here, place)
        tail = place is not None and place.modseq is None
        end = tail_of(here) if tail else cursor_of(here)
        size = self.mailbox.habits.page
        last = max(0, len(entries) - 1) // size * size
        for start in range(0, last, size):
            yield Changes(entries[start : start + size], whole=whole)
            await self._ask("page", folder.native)
        yield Changes(entries[last:], vanished, whole, end)

    async def identify(
        self, folder: Folder, keys: Sequence[Key]
    ) -> AsyncIterator[tuple[Key, Identity]]:
        await self._ask("identify", folder.native)
        for key in keys:
            stored = _selected(self.mailbox, folder).messages.get(_uid(key))
            if stored is not None:
                yield key, header_identity(stored.data)

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        self.traffic.round_trips += 1
        for entry in entries:
            await self._ask("fetch", folder.native, flights=0)
            stored = _selected(self.mailbox, folder).messages.get(_uid(entry.key))
            if stored is None:
                continue
            reason = self.mailbox.habits.unreadable(stored.data)
            if reason is not None:
                yield Unreadable(entry, printable(reason))
                continue
            self.traffic.octets_in += len(stored.data)
            writer = self._spool.writer(len(stored.data))
            writer.write(stored.data)
            yield Message(entry, writer.finish())

    async def _ask(self, operation: str, folder: str, flights: int = 1) -> None:
        assert self.opened, "open() comes first"
        self.traffic.round_trips += flights
        await asyncio.sleep(0)  # others take their turn, as they would while a server answers
        self._faults(operation, folder)


class MemoryTarget:
    """A `Target` over a mailbox in memory."""

    def __init__(
        self, mailbox: MemoryMailbox, faults: Faults | None = None, spool: Spool | None = None
    ) -> None:
        self.mailbox = mailbox
        self._faults = faults or (lambda operation, folder: None)
        self._source = MemorySource(mailbox, faults, spool)

    @property
    def capabilities(self) -> Capabilities:
        return self._source.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._source.traffic

    async def open(self) -> None:
        await self._source.open()

    async def close(self) -> None:
        await self._source.close()

    async def folders(self) -> list[Folder]:
        return await self._source.folders()

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        return self._source.changes(folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        return self._source.identify(folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        return self._source.fetch(folder, entries)

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        await self._flight()
        existing = _existing(self.mailbox, path)
        if existing is None or not self.mailbox.folder(existing).selectable:
            _refuse_name(self.mailbox, path)
            native = _native(path)
            self._faults("before create", native)
            declared = role if self.mailbox.habits.keeps_roles else None
            made = self.mailbox.make(path, declared)
            made.selectable = True
            existing = made.path
            self._wrote("create")
            self._faults("after create", native)
        shown = _shown(self.mailbox, existing)
        assert shown.tail is not None or not self.mailbox.habits.tells_tail
        return shown

    async def subscribe(self, folder: Folder) -> None:
        await self._flight()
        here = self.mailbox.folder(_path(folder.native))
        if self.mailbox.habits.keeps_subscriptions and not here.subscribed:
            self._faults("before subscribe", folder.native)
            here.subscribed = True
            self._wrote("subscribe")
            self._faults("after subscribe", folder.native)

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        answers: list[Appended | Refused] = []
        full = False
        async for message in messages:
            try:
                full = self._full()
                if not full:
                    answers.append(self._stored(folder, message))
            finally:
                message.blob.close()
            if full or len(answers) >= self.mailbox.habits.window:
                await self._flight()
                for answer in answers:
                    yield answer
                answers = []
            if full:
                break
        if answers:
            await self._flight()
            for answer in answers:
                yield answer
        if full:
            raise Closed("the mailbox is full; make room or raise its quota", ClosedReason.FULL)

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return past(place, {_uid(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        await self._flight()
        path = _selected(self.mailbox, folder).path
        for change in changes:
            self._faults("before flag", folder.native)
            if self.mailbox.flag(_uid(change.key), change.add, change.remove, path):
                self._wrote("flag")
            self._faults("after flag", folder.native)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        await self._flight()
        path = _selected(self.mailbox, folder).path
        removed = 0
        for key in keys:
            self._faults("before remove", folder.native)
            if self.mailbox.expunge(_uid(key), path=path):
                removed += 1
                self._wrote("remove")
            self._faults("after remove", folder.native)
        return removed

    async def discard(self, folder: Folder) -> bool:
        await self._flight()
        path = _path(folder.native)
        if path not in self.mailbox.paths:
            return True
        below = any(each[: len(path)] == path and each != path for each in self.mailbox.paths)
        if path == INBOX_PATH or below or self.mailbox.folder(path).messages:
            return False
        self.mailbox.delete(path)
        self._wrote("discard")
        return True

    def _full(self) -> bool:
        most = self.mailbox.habits.most_messages
        return most is not None and self.mailbox.total() >= most

    def _stored(self, folder: Folder, message: Message) -> Appended | Refused:
        habits = self.mailbox.habits
        data = b"".join(message.blob.chunks())
        here = _selected(self.mailbox, folder)
        if habits.append_limit is not None and len(data) > habits.append_limit:
            reason = f"{len(data)} octets; the server takes {habits.append_limit}"
            return Refused(message.entry, reason)
        words = habits.refuses(data)
        if words is not None:
            return Refused(message.entry, printable(words))
        self._faults("before append", folder.native)
        received = message.entry.received if habits.keeps_received else None
        uid = self.mailbox.deliver(habits.alters(data), here.path, message.entry.flags, received)
        self._wrote("append")
        self.traffic.octets_out += len(data)
        self._faults("after append", folder.native)
        kept = folded(here.messages[uid].flags)
        lost: Flags = frozenset(flag for flag in message.entry.flags if flag.lower() not in kept)
        return Appended(message.entry, uid if habits.announces_keys else None, lost)

    async def _flight(self) -> None:
        assert self._source.opened, "open() comes first"
        self.traffic.round_trips += 1
        await asyncio.sleep(0)

    def _wrote(self, verb: str) -> None:
        self.traffic.writes += 1
        self.mailbox.written[verb] += 1


def _capabilities(mailbox: MemoryMailbox) -> Capabilities:
    habits = mailbox.habits
    quota = None
    if habits.most_messages is not None:
        quota = Quota(used_messages=mailbox.total(), limit_messages=habits.most_messages)
    return Capabilities(
        server="memory",
        keeps_keywords=habits.keeps_keywords,
        keeps_received=habits.keeps_received,
        keeps_subscriptions=habits.keeps_subscriptions,
        append_limit=habits.append_limit,
        quota=quota,
        names=habits.names,
    )


def _shown(mailbox: MemoryMailbox, path: FolderPath) -> Folder:
    here, habits = mailbox.folder(path), mailbox.habits
    look_inside = here.selectable
    state = State(cursor_of(here)) if habits.tells_state and look_inside else None
    return Folder(
        path=path,
        native=_native(path),
        role=here.role,
        selectable=here.selectable,
        subscribed=here.subscribed,
        count=len(here.messages) if look_inside else None,
        size=sum(len(stored.data) for stored in here.messages.values()) if look_inside else None,
        state=state,
        tail=tail_of(here) if habits.tells_tail and look_inside else None,
    )


def _selected(mailbox: MemoryMailbox, folder: Folder) -> MemoryFolder:
    here = mailbox.folder(_path(folder.native))
    if not here.selectable:
        raise FolderFailed(f"folder “{printable(folder.native)}” can't be opened: it holds no mail")
    return here


def _news(
    mailbox: MemoryMailbox, here: MemoryFolder, place: Place | None
) -> tuple[list[Entry], list[Key], bool]:
    """Entries, vanished keys, and whether that is the whole folder."""
    messages = here.messages.values()
    if place is None:
        return [_entry(stored) for stored in messages], [], True
    if place.modseq is None:
        return [_entry(stored) for stored in messages if stored.uid >= place.uidnext], [], False
    if not mailbox.habits.tells_modseq:
        listed = [
            _entry(stored) if stored.uid >= place.uidnext else Entry(stored.uid, stored.flags)
            for stored in messages
        ]
        return listed, [], True
    changed = [
        _entry(stored) if stored.uid >= place.uidnext else Entry(stored.uid, stored.flags)
        for stored in messages
        if stored.modseq > place.modseq
    ]
    vanished: list[Key] = [
        uid for modseq, uid in here.vanished if modseq > place.modseq and uid < place.uidnext
    ]
    return changed, vanished, False


def _entry(stored: Stored) -> Entry:
    return Entry(stored.uid, stored.flags, len(stored.data), stored.received)


def _existing(mailbox: MemoryMailbox, path: FolderPath) -> FolderPath | None:
    fold = mailbox.habits.names.folds_case
    wanted = tuple(part.casefold() for part in path) if fold else path
    for known in mailbox.paths:
        folding = tuple(part.casefold() for part in known) if fold else known
        if folding == wanted or (known == INBOX_PATH == with_inbox(path)):
            return known
    return None


def _refuse_name(mailbox: MemoryMailbox, path: FolderPath) -> None:
    """Raises `FolderFailed` when the server's name rules forbid this folder (E5–E8)."""
    rules = mailbox.habits.names
    shown = printable("/".join(path))
    if not path or "" in path:
        raise FolderFailed(f"folder “{shown}” has an empty name; give it one")
    if rules.deepest is not None and len(path) > rules.deepest:
        raise FolderFailed(
            f"folder “{shown}” lies {len(path)} deep; the server takes {rules.deepest}"
        )
    if path[0].casefold() in rules.reserved:
        raise FolderFailed(f"folder “{shown}” has a reserved name; choose another")
    for part in path:
        if rules.forbidden & set(part) or (rules.delimiter and rules.delimiter in part):
            raise FolderFailed(f"folder “{shown}” has a character that the server forbids")
        if rules.longest_component is not None and len(part.encode()) > rules.longest_component:
            raise FolderFailed(f"folder “{shown}” has too long a name")


def _native(path: FolderPath) -> str:
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in path)


def _path(native: str) -> FolderPath:
    return tuple(part.replace("%2F", "/").replace("%25", "%") for part in native.split("/"))


def _uid(key: Key) -> int:
    assert isinstance(key, int)
    return key
