"""Directories of .eml files as target: what is written, and when it counts (docs/files.md).

What is read of a target is read as of a source (stores/eml.py).
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Entry, Key, Message
from mailhaul.core.store import Appended, FlagChange
from mailhaul.core.text import printable
from mailhaul.stores import eml_tree, manifest
from mailhaul.stores.eml import EmlSource, file_name
from mailhaul.stores.file_messages import (
    Turns,
    store_blob,
)
from mailhaul.stores.file_target import FileTarget
from mailhaul.stores.found_folders import (
    Found,
)
from mailhaul.stores.line_ends import Form
from mailhaul.stores.manifest import Manifest, Record, kept, uid_of
from mailhaul.stores.safe_paths import (
    create_file,
    directory,
    telling,
)


@dataclass(frozen=True, slots=True)
class _Written:
    """A message whose file is there and whose line is not; the file is open."""

    entry: Entry
    record: Record
    descriptor: int


def eml_target(path: Path, spool: Spool | None = None) -> FileTarget:
    """A `Target` that writes .eml files with manifests."""
    source = EmlSource(path, spool)
    return FileTarget(source, EmlWriting(source))


class EmlWriting:
    """The `Writing` of .eml files."""

    def __init__(self, source: EmlSource) -> None:
        self._source = source

    def look(self) -> None:
        """Directories have numbers for names: nothing about the disk matters."""

    def inbox(self) -> str:
        root = self._source.root
        return eml_tree.FIRST if root < 0 else eml_tree.next_directory(root)

    def check(self, path: FolderPath) -> None:
        if not path or "" in path:
            raise FolderFailed("a folder without a name can't be kept; give it one")

    def begin(self) -> None:
        if INBOX_PATH not in {found.path for found in self._source.found()}:
            self._make(INBOX_PATH, None)

    async def made(self, path: FolderPath, role: Role | None) -> Folder:
        there = {found.path: found.native for found in self._source.found()}
        for depth in range(1, len(path) + 1):
            if there.get(path[:depth]) is None:
                there[path[:depth]] = self._make(path[:depth], role if depth == len(path) else None)
        return self._source.shown(Found(path, there[path]))

    async def subscribe(self, folder: Folder) -> None:
        book = self._ours(folder)
        with telling(folder.native), book.locked():
            if not book.subscribed:
                book.write([{"subscribed": True}])
                self._source.traffic.writes += 1

    async def batch(self, folder: Folder) -> "Batch":
        return Batch(self._source.root, folder.native, self._ours(folder))

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return manifest.past(place, {uid_of(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        book = self._ours(folder)
        with telling(folder.native), book.locked():
            lines = []
            for change in changes:
                flags = book.flags_after(uid_of(change.key), kept(change.add), change.remove)
                if flags is not None:
                    lines.append({"uid": change.key, "flags": sorted(flags)})
            if lines:
                book.write(lines)
                self._source.traffic.writes += len(lines)

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
                self._source.traffic.writes += len(gone)
            turns = Turns()
            for uid in gone:
                await turns.after()
                with suppress(FileNotFoundError):
                    os.unlink(file_name(uid), dir_fd=here)
        return len(gone)

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
        self._source.traffic.writes += 1
        return native


class Batch:
    """Messages whose files are there and whose lines are not."""

    def __init__(self, root: int, native: str, book: Manifest) -> None:
        self._root = root
        self._native = native
        self._book = book
        self._written: list[_Written] = []
        self.octets = 0

    def __len__(self) -> int:
        return len(self._written)

    async def add(self, message: Message) -> None:
        """Puts the message's file on disk. Raises OSError."""
        entry, uid = message.entry, self._book.uidnext + len(self._written)
        with directory(self._root, eml_tree.steps(self._native)) as here:
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
        record = Record(uid, size, digest, entry.received, kept(entry.flags))
        self._written.append(_Written(entry, record, descriptor))
        self.octets += size

    def commit(self) -> list[Appended]:
        """Writes the lines of what was added, durably. Raises OSError, and `FolderFailed` when
        another process has added some."""
        written, book = self._written, self._book
        if not written:
            return []
        with directory(self._root, eml_tree.steps(self._native)) as here:
            # All at once: the first fsync makes the file system write down what the others need.
            for each in written:
                os.fsync(each.descriptor)
            os.fsync(here)
            with book.locked():
                if book.uidnext != written[0].record.uid:
                    raise FolderFailed(
                        f"“{printable(self._native)}” was written to by another process meanwhile"
                    )
                book.add([each.record for each in written])
        self.close()
        return [
            Appended(each.entry, each.record.uid, each.entry.flags - each.record.flags)
            for each in written
        ]

    def close(self) -> None:
        """Lets go; what has no line counts for nothing."""
        for each in self._written:
            os.close(each.descriptor)
        self._written = []
        self.octets = 0
