"""Directories of .eml files as source and target (docs/files.md says what is kept where).

A message is one file, octet for octet; everything else about it stands in its folder's manifest.
Its file is made durable first and its line then: a file without a line is what a crash left, is
listed nowhere, and is replaced by the next message. Directories that somebody else filled with
.eml files have no manifest: file names are keys there, and dates are the files' own.
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import Closed, ClosedReason, FolderFailed, MailhaulError
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, NameRules, Role, State
from mailhaul.core.message import SYSTEM_FLAGS, Entry, Flags, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Capabilities, Changes, FlagChange, Refused, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import eml_tree, manifest
from mailhaul.stores.file_messages import (
    BATCH_MESSAGES,
    BATCH_OCTETS,
    PAGE,
    Turns,
    blob_of,
    identity_of,
    store_blob,
)
from mailhaul.stores.found_folders import (
    Found,
    is_promised,
    with_inbox,
    with_parents,
    with_promised_inbox,
)
from mailhaul.stores.line_ends import Form, from_disk, size_from_disk
from mailhaul.stores.manifest import Manifest, Record
from mailhaul.stores.safe_paths import (
    chunks_of,
    create_file,
    directory,
    is_there,
    open_file,
    open_root,
    telling,
)


class EmlSource:
    """A `Source` over a tree of .eml files."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self.traffic = Traffic()
        self.root = -1
        self._spool = spool or Spool()
        self._manifests: dict[str, Manifest] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            server=f"eml files at {printable(str(self.path), 200)}",
            names=NameRules(delimiter=None),
        )

    async def open(self) -> None:
        if self.root >= 0:
            return
        try:
            self.root = open_root(self.path)
        except OSError as error:
            raise Closed(
                f"“{printable(str(self.path), 200)}” can't be opened: "
                f"{printable((error.strerror or '').lower())}",
                ClosedReason.FORBIDDEN,
            ) from error
        self.traffic.connections += 1

    async def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
        self._manifests.clear()
        self.root = -1

    async def folders(self) -> list[Folder]:
        shown = []
        for found in self.found():
            try:
                shown.append(self.shown(found))
            except FolderFailed:
                shown.append(Folder(found.path, found.native or "?"))
            await asyncio.sleep(0)
        return shown

    def found(self) -> list[Found]:
        """Every folder on disk; one whose manifest is damaged has its directory's name."""
        named = []
        for native in eml_tree.walk(self.root, [], self.traffic.notices):
            try:
                book = self.manifest(native)
            except FolderFailed as error:
                # Its name is lost with its manifest; whoever looks inside is told why.
                self._note(f"“{native}”: {error}")
                book = None
            path = book.path if book is not None else eml_tree.foreign_path(native)
            named.append((path, native))
        return with_parents(named)

    def shown(self, found: Found) -> Folder:
        """The folder as it is now."""
        role = Role.INBOX if found.path == INBOX_PATH else None
        if found.native is None:
            return Folder(found.path, f"?{'/'.join(found.path)}", role, selectable=False)
        book = self.manifest(found.native)
        if book is None:
            names = self._foreign(found.native)
            state = _foreign_state(names)
            return Folder(found.path, found.native, role, count=len(names), state=State(state))
        return Folder(
            found.path,
            found.native,
            role or book.role,
            subscribed=book.subscribed,
            count=len(book),
            size=book.octets,
            state=State(book.state()),
            tail=book.tail(),
        )

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        book = self.manifest(folder.native)
        if book is not None:
            for page in book.changes(since):
                yield page
                await asyncio.sleep(0)
            return
        names = self._foreign(folder.native)
        end = Cursor(_foreign_state(names))
        if since == end:
            yield Changes(cursor=end)
            return
        turns = Turns()
        for start in range(0, len(names), PAGE):
            entries = []
            for name, status in names[start : start + PAGE]:
                await turns.after(status.st_size)
                entries.append(self._foreign_entry(folder, name, status))
            yield Changes(entries, whole=True)
        yield Changes((), whole=True, cursor=end)

    async def identify(
        self, folder: Folder, keys: Sequence[Key]
    ) -> AsyncIterator[tuple[Key, Identity]]:
        book = self.manifest(folder.native)
        form = Form.LF if book is None else Form.RAW
        turns = Turns()
        for key in keys:
            await turns.after()
            descriptor = self._opened(folder, book, key)
            if not isinstance(descriptor, int):
                continue
            try:
                with telling(folder.native):
                    found = identity_of(descriptor, form)
            finally:
                os.close(descriptor)
            yield key, found

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        book = self.manifest(folder.native)
        form = Form.LF if book is None else Form.RAW
        turns = Turns()
        for entry in entries:
            await turns.after(entry.size or 0)
            descriptor = self._opened(folder, book, entry.key)
            if descriptor is None:
                continue
            if isinstance(descriptor, str):
                yield Unreadable(entry, descriptor)
                continue
            try:
                with telling(folder.native):
                    expected = os.fstat(descriptor).st_size
                    chunks = from_disk(chunks_of(descriptor), form)
                    blob = await blob_of(chunks, expected, self._spool)
            finally:
                os.close(descriptor)
            self.traffic.octets_in += blob.size
            record = book.record(_uid(entry.key)) if book is not None else None
            if record is not None and record.sha256 != blob.digest():
                blob.close()
                yield Unreadable(entry, "the file was changed after it was written here")
                continue
            yield Message(entry, blob)

    def manifest(self, native: str) -> Manifest | None:
        """The folder's manifest as it is now; None when it has none. Raises `FolderFailed` when
        the folder is gone."""
        with telling(native or "INBOX"), directory(self.root, eml_tree.steps(native)):
            book = self._manifests.get(native) or eml_tree.manifest_of(self.root, native)
            self._manifests[native] = book
            return book if book.refresh() else None

    def _foreign(self, native: str) -> list[tuple[str, os.stat_result]]:
        found = []
        with telling(native), directory(self.root, eml_tree.steps(native)) as here:
            for entry in os.scandir(here):
                if not eml_tree.is_message(entry.name):
                    continue
                if not entry.is_file(follow_symlinks=False):
                    self._note(f"“{native}/{entry.name}” was left out: it is no regular file")
                    continue
                with suppress(FileNotFoundError):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(found, key=lambda each: each[0])

    def _foreign_entry(self, folder: Folder, name: str, status: os.stat_result) -> Entry:
        size = status.st_size
        with suppress(OSError), directory(self.root, eml_tree.steps(folder.native)) as here:
            descriptor = open_file(here, name)
            try:
                size = size_from_disk(chunks_of(descriptor))
            finally:
                os.close(descriptor)
        received = datetime.fromtimestamp(int(status.st_mtime), UTC)
        return Entry(eml_tree.key_of(name), size=size, received=received)

    def _opened(self, folder: Folder, book: Manifest | None, key: Key) -> int | str | None:
        """The message's file, or why it can't be read, or None when it is gone."""
        if book is None:
            name = eml_tree.name_of(str(key))
        elif isinstance(key, int) and book.record(key) is not None:
            name = file_name(key)
        else:
            return None
        if name is None:
            return None
        try:
            with directory(self.root, eml_tree.steps(folder.native)) as here:
                return open_file(here, name)
        except FileNotFoundError:
            return None if book is None else "its file is missing, though the manifest names it"
        except OSError as error:
            return f"the file can't be read: {printable((error.strerror or '').lower())}"

    def _note(self, text: str) -> None:
        shown = printable(text)
        if shown not in self.traffic.notices:
            self.traffic.notices.append(shown)


@dataclass(frozen=True, slots=True)
class _Written:
    """A message whose file is there and whose line is not; the file is open."""

    entry: Entry
    record: Record
    descriptor: int


class EmlTarget:
    """A `Target` that writes .eml files with manifests. Opening it makes nothing; the first write
    makes the inbox too."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self._source = EmlSource(path, spool)
        self._begun = False

    @property
    def capabilities(self) -> Capabilities:
        return self._source.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._source.traffic

    async def open(self) -> None:
        with telling(str(self.path)):
            there = is_there(self.path)
        if there:
            await self._source.open()

    async def close(self) -> None:
        await self._source.close()
        self._begun = False

    async def folders(self) -> list[Folder]:
        root = self._source.root
        if root < 0:
            return with_promised_inbox([], eml_tree.FIRST)
        return with_promised_inbox(await self._source.folders(), eml_tree.next_directory(root))

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        return self._source.changes(folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        return self._source.identify(folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        return self._source.fetch(folder, entries)

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        if not path or "" in path:
            raise FolderFailed("a folder without a name can't be kept; give it one")
        path = with_inbox(path)
        await self._begin()
        there = {found.path: found.native for found in self._source.found()}
        for depth in range(1, len(path) + 1):
            if there.get(path[:depth]) is None:
                there[path[:depth]] = self._make(path[:depth], role if depth == len(path) else None)
        return self._source.shown(Found(path, there[path]))

    async def subscribe(self, folder: Folder) -> None:
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        book = self._ours(folder)
        with telling(folder.native), book.locked():
            if not book.subscribed:
                book.write([{"subscribed": True}])
                self.traffic.writes += 1

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        book = self._ours(folder)
        batch: list[_Written] = []
        octets = 0
        try:
            async for message in messages:
                failure = await self._written(folder, book, batch, message)
                octets += message.blob.size
                if failure or len(batch) >= BATCH_MESSAGES or octets >= BATCH_OCTETS:
                    for answer in self._announced(folder, book, batch):
                        yield answer
                    _let_go(batch)
                    octets = 0
                    await asyncio.sleep(0)
                if failure:
                    raise failure
            for answer in self._announced(folder, book, batch):
                yield answer
        finally:
            _let_go(batch)

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return manifest.past(place, {_uid(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        book = self._ours(folder)
        with telling(folder.native), book.locked():
            lines = []
            for change in changes:
                flags = book.flags_after(_uid(change.key), _kept(change.add), change.remove)
                if flags is not None:
                    lines.append({"uid": change.key, "flags": sorted(flags)})
            if lines:
                book.write(lines)
                self.traffic.writes += len(lines)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        book = self._ours(folder)
        with (
            telling(folder.native),
            book.locked(),
            directory(self._source.root, eml_tree.steps(folder.native)) as here,
        ):
            gone = [uid for uid in map(_uid, keys) if book.record(uid) is not None]
            if gone:
                book.write([{"gone": gone}])
                self.traffic.writes += len(gone)
            turns = Turns()
            for uid in gone:
                await turns.after()
                with suppress(FileNotFoundError):
                    os.unlink(file_name(uid), dir_fd=here)
        return len(gone)

    async def _begin(self) -> None:
        """Makes the root and the inbox when they are missing."""
        if self._begun:
            return
        with telling(str(self.path)):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._source.open()
        if INBOX_PATH not in {found.path for found in self._source.found()}:
            self._make(INBOX_PATH, None)
        self._begun = True

    def _ours(self, folder: Folder) -> Manifest:
        book = self._source.manifest(folder.native)
        if book is None:
            raise FolderFailed(
                f"“{printable(folder.native)}” holds .eml files that mailhaul did not write; "
                "name another directory"
            )
        return book

    def _make(self, path: FolderPath, role: Role | None) -> str:
        root = self._source.root
        with telling("/".join(path)):
            native = eml_tree.new_directory(root)
            eml_tree.manifest_of(root, native).begin("eml", path, role)
        self.traffic.writes += 1
        return native

    async def _written(
        self, folder: Folder, book: Manifest, batch: list[_Written], message: Message
    ) -> MailhaulError | None:
        """Puts the message's file on disk; what prevents it comes back, so that those before it
        are announced first."""
        entry, uid = message.entry, book.uidnext + len(batch)
        try:
            with (
                telling(folder.native),
                directory(self._source.root, eml_tree.steps(folder.native)) as here,
            ):
                with suppress(FileNotFoundError):
                    os.unlink(file_name(uid), dir_fd=here)  # what a crash left has no line
                descriptor = create_file(here, file_name(uid))
                try:
                    await store_blob(descriptor, message.blob, Form.RAW)
                    if entry.received is not None:
                        seconds = int(entry.received.timestamp())
                        os.utime(descriptor, (seconds, seconds))
                except BaseException:
                    os.close(descriptor)
                    raise
            digest, size = message.blob.digest(), message.blob.size
            record = Record(uid, size, digest, entry.received, _kept(entry.flags))
            batch.append(_Written(entry, record, descriptor))
            self.traffic.octets_out += size
        except MailhaulError as error:
            return error
        finally:
            message.blob.close()
        return None

    def _announced(self, folder: Folder, book: Manifest, batch: list[_Written]) -> list[Appended]:
        if not batch:
            return []
        with (
            telling(folder.native),
            directory(self._source.root, eml_tree.steps(folder.native)) as here,
        ):
            # All at once: the first fsync makes the file system write down what the others need.
            for each in batch:
                os.fsync(each.descriptor)
            os.fsync(here)
            with book.locked():
                if book.uidnext != batch[0].record.uid:
                    raise FolderFailed(
                        f"“{printable(folder.native)}” was written to by another process meanwhile"
                    )
                book.add([each.record for each in batch])
        self.traffic.writes += len(batch)
        return [
            Appended(each.entry, each.record.uid, each.entry.flags - each.record.flags)
            for each in batch
        ]


def _let_go(batch: list[_Written]) -> None:
    for each in batch:
        os.close(each.descriptor)
    batch.clear()


def file_name(uid: int) -> str:
    return f"{uid:08d}.eml"


def _kept(flags: Flags) -> Flags:
    # A manifest could hold anything; but `\\Forwarded` and the like are no flags anywhere (D17).
    return frozenset(
        flag for flag in flags if not flag.startswith("\\") or flag.lower() in SYSTEM_FLAGS
    )


def _foreign_state(names: Sequence[tuple[str, os.stat_result]]) -> str:
    digest = blake2b(digest_size=16)
    for name, status in names:
        figures = f"\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\0"
        digest.update(os.fsencode(name) + figures.encode())
    return f"F {digest.hexdigest()}"


def _uid(key: Key) -> int:
    return key if isinstance(key, int) else -1
