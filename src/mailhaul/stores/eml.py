"""Directories of .eml files as source (docs/files.md says what is kept where).

A message is one file, octet for octet; everything else about it stands in its folder's manifest.
Its file is made durable first and its line then: a file without a line is what a crash left, is
listed nowhere, and is replaced by the next message. Directories that somebody else filled with
.eml files have no manifest: file names are keys there, and dates are the files' own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, NameRules, Role, State
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Capabilities, Changes, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import eml_tree
from mailhaul.stores.file_messages import (
    PAGE,
    Turns,
    blob_of,
    identity_of,
)
from mailhaul.stores.found_folders import (
    Found,
    note,
    with_parents,
)
from mailhaul.stores.line_ends import Form, from_disk, size_from_disk
from mailhaul.stores.manifest import Manifest, uid_of
from mailhaul.stores.safe_paths import (
    chunks_of,
    directory,
    open_file,
    open_root,
    opening,
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
        with opening(self.path):
            self.root = open_root(self.path)
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
                note(self.traffic.notices, f"“{native}”: {error}")
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
            record = book.record(uid_of(entry.key)) if book is not None else None
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
                    left_out = f"“{native}/{entry.name}” was left out: it is no regular file"
                    note(self.traffic.notices, left_out)
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


def file_name(uid: int) -> str:
    return f"{uid:08d}.eml"


def _foreign_state(names: Sequence[tuple[str, os.stat_result]]) -> str:
    digest = blake2b(digest_size=16)
    for name, status in names:
        figures = f"\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\0"
        digest.update(os.fsencode(name) + figures.encode())
    return f"F {digest.hexdigest()}"
