"""mbox files as target: what is written, and when it counts (docs/files.md).

What is read of a target is read as of a source (stores/mbox.py).
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Key
from mailhaul.core.store import FlagChange
from mailhaul.core.text import printable
from mailhaul.stores import manifest, mbox_tree
from mailhaul.stores.file_target import FileTarget
from mailhaul.stores.found_folders import Found
from mailhaul.stores.manifest import Manifest, kept, uid_of
from mailhaul.stores.mbox import MboxSource
from mailhaul.stores.mbox_writing import Batch, Mbox
from mailhaul.stores.safe_paths import (
    create_file,
    directory,
    folds_case,
    make_directory,
    telling,
)


def mbox_target(path: Path, spool: Spool | None = None) -> FileTarget:
    """A `Target` that writes mbox files."""
    source = MboxSource(path, spool)
    return FileTarget(source, MboxWriting(source))


class MboxWriting:
    """The `Writing` of mbox files."""

    def __init__(self, source: MboxSource) -> None:
        self._source = source

    def look(self) -> None:
        self._source.folds_case = folds_case(self._source.path)

    def inbox(self) -> str:
        return mbox_tree.native_of(INBOX_PATH)

    def check(self, path: FolderPath) -> None:
        mbox_tree.native_of(path)

    def begin(self) -> None:
        if mbox_tree.inbox_of(self._source.found()) is None:
            self._make(INBOX_PATH, None)

    async def made(self, path: FolderPath, role: Role | None) -> Folder:
        there = {found.path: found.native for found in self._source.found()}
        for depth in range(1, len(path) + 1):
            above = path[:depth]
            if there.get(above) is None:
                there[above] = self._make(above, role if depth == len(path) else None)
        native = there[path]
        assert native is not None
        with telling(native):
            if (await self._source.view(native)).book is None:
                Mbox(self._source.root, native).owned(path)
        return await self._source.shown(Found(path, native))

    async def subscribe(self, folder: Folder) -> None:
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                if not book.subscribed:
                    book.write([{"subscribed": True}])
                    self._source.traffic.writes += 1

    async def batch(self, folder: Folder) -> Batch:
        await self._source.view(folder.native)
        return Batch(Mbox(self._source.root, folder.native), folder.path)

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return manifest.past(place, {uid_of(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                lines = []
                for change in changes:
                    flags = book.flags_after(uid_of(change.key), kept(change.add), change.remove)
                    if flags is not None:
                        lines.append({"uid": change.key, "flags": sorted(flags)})
                if lines:
                    book.write(lines)
                    self._source.traffic.writes += len(lines)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                gone = [uid for uid in map(uid_of, keys) if book.record(uid) is not None]
                if gone:
                    await Mbox(self._source.root, folder.native).take_out(book, gone)
                    self._source.traffic.writes += len(gone)
        return len(gone)

    def _owned(self, folder: Folder) -> Manifest:
        return Mbox(self._source.root, folder.native).owned(folder.path)

    def _make(self, path: FolderPath, role: Role | None) -> str:
        root = self._source.root
        native = mbox_tree.native_of(path)
        steps, file = mbox_tree.steps(native)
        with telling("/".join(path)):
            for depth, name in enumerate(steps):
                with directory(root, steps[:depth]) as above:
                    make_directory(above, name)
            with directory(root, steps) as here:
                try:
                    os.close(create_file(here, file))
                except FileExistsError as error:
                    raise FolderFailed(
                        f"“{printable(native)}” is there already and is no mbox; move it away"
                    ) from error
                os.fsync(here)
            Manifest(root, steps, mbox_tree.manifest_name(file)).begin("mbox", path, role)
        self._source.traffic.writes += 1
        return native
