"""Directories of .eml files as target: what is written, and when it counts (docs/files.md).

What is read of a target is read as of a source (stores/eml.py).
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import FolderFailed, MailhaulError
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.message import SYSTEM_FLAGS, Entry, Flags, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Capabilities, Changes, FlagChange, Refused, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import eml_tree, manifest
from mailhaul.stores.eml import EmlSource, file_name, uid_of
from mailhaul.stores.file_messages import (
    BATCH_MESSAGES,
    BATCH_OCTETS,
    Turns,
    store_blob,
)
from mailhaul.stores.found_folders import (
    Found,
    is_promised,
    with_inbox,
    with_promised_inbox,
)
from mailhaul.stores.line_ends import Form
from mailhaul.stores.manifest import Manifest, Record
from mailhaul.stores.safe_paths import (
    create_file,
    directory,
    is_there,
    telling,
)


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
        return manifest.past(place, {uid_of(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        book = self._ours(folder)
        with telling(folder.native), book.locked():
            lines = []
            for change in changes:
                flags = book.flags_after(uid_of(change.key), _kept(change.add), change.remove)
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
            gone = [uid for uid in map(uid_of, keys) if book.record(uid) is not None]
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


def _kept(flags: Flags) -> Flags:
    # A manifest could hold anything; but `\\Forwarded` and the like are no flags anywhere (D17).
    return frozenset(
        flag for flag in flags if not flag.startswith("\\") or flag.lower() in SYSTEM_FLAGS
    )
