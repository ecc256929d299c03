"""mbox files as source (docs/files.md says what is kept where).

Message octets are never altered: what an mbox can't keep stands in a manifest beside it. Reading
an mbox that somebody else wrote makes nothing: keys count from 1 there and are good until messages
are taken out or the file is written anew, which its history tells.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import CursorExpired, FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, NameRules, Role, State
from mailhaul.core.identity import HEADER_LIMIT, header_identity
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Capabilities, Changes, Traffic
from mailhaul.core.text import plural, printable
from mailhaul.stores import mbox_tree
from mailhaul.stores.file_messages import PAGE, Turns, blob_of
from mailhaul.stores.found_folders import (
    DEEPEST,
    Found,
    note,
)
from mailhaul.stores.manifest import uid_of
from mailhaul.stores.mbox_folder import View, octets, stamp_of
from mailhaul.stores.mbox_writing import Mbox
from mailhaul.stores.safe_paths import (
    folds_case,
    open_root,
    opening,
    telling,
)


class MboxSource:
    """A `Source` over a directory of mbox files, or one such file, which is the inbox then."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self.traffic = Traffic()
        self.root = -1
        self._single: str | None = None
        self.folds_case = False
        self._spool = spool or Spool()
        self._views: dict[str, View] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            server=f"mbox files at {printable(str(self.path), 200)}",
            names=NameRules(
                delimiter=None,
                longest_component=mbox_tree.LONGEST,
                deepest=DEEPEST,
                encodes_utf7=False,
                folds_case=self.folds_case,
            ),
        )

    async def open(self) -> None:
        if self.root >= 0:
            return
        with opening(self.path):
            self._single = self.path.name if self.path.is_file() else None
            self.root = open_root(self.path.parent if self._single else self.path)
            self.folds_case = folds_case(self.path)
        self.traffic.connections += 1

    async def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
        self.root = -1
        self._views.clear()

    async def folders(self) -> list[Folder]:
        shown = []
        for found in self.found():
            try:
                shown.append(await self.shown(found))
            except FolderFailed as error:
                # It is there and can't be read: whoever looks inside is told so.
                note(self.traffic.notices, str(error))
                shown.append(Folder(found.path, found.native or "?"))
            await asyncio.sleep(0)
        return shown

    def found(self) -> list[Found]:
        """Every folder on disk."""
        if self._single is not None:
            return [Found(INBOX_PATH, self._single)]
        return mbox_tree.find_folders(self.root, self.traffic.notices)

    async def shown(self, found: Found) -> Folder:
        """The folder as it is now; a file without a manifest isn't read for that."""
        role = Role.INBOX if found.path == INBOX_PATH else None
        if found.native is None:
            return Folder(found.path, f"?{'/'.join(found.path)}", role, selectable=False)
        mbox = Mbox(self.root, found.native)
        with telling(found.native):
            descriptor = mbox.open()
            try:
                there = mbox.manifest(descriptor) is not None
                state = State(f"F {stamp_of(descriptor)}")
            finally:
                os.close(descriptor)
        view = await self.view(found.native) if there else None
        if view is None or view.book is None:
            return Folder(found.path, found.native, role, state=state)
        book, strangers = view.book, len(view.index)
        return Folder(
            found.path,
            found.native,
            role or book.role,
            subscribed=book.subscribed,
            count=len(book) + strangers,
            state=State(book.state(strangers)),
            tail=book.tail(strangers),
        )

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        view = await self.view(folder.native)
        if view.book is not None:
            for page in view.book.changes(since, view.strangers()):
                yield page
                await asyncio.sleep(0)
            return
        end = view.foreign_cursor()
        if since == end:
            yield Changes(cursor=end)
            return
        if since is not None:
            _check_history(view, since)
        count = len(view.index)
        for start in range(0, count, PAGE):
            rows = range(start, min(count, start + PAGE))
            yield Changes([view.index.entry(row) for row in rows], whole=True)
            await asyncio.sleep(0)
        yield Changes((), whole=True, cursor=end)

    async def identify(
        self, folder: Folder, keys: Sequence[Key]
    ) -> AsyncIterator[tuple[Key, Identity]]:
        view = await self.view(folder.native)
        descriptor = self._opened(folder)
        try:
            turns = Turns()
            for key in keys:
                await turns.after()
                place = view.place(uid_of(key))
                if place is None:
                    continue
                head = b""
                with telling(folder.native):
                    for chunk in octets(descriptor, place):
                        head += chunk
                        if b"\r\n\r\n" in head or len(head) > HEADER_LIMIT:
                            break
                yield key, header_identity(head)
        finally:
            os.close(descriptor)

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        view = await self.view(folder.native)
        descriptor = self._opened(folder)
        try:
            turns = Turns()
            for entry in entries:
                await turns.after(entry.size or 0)
                place = view.place(uid_of(entry.key))
                if place is None:
                    continue
                with telling(folder.native):
                    expected = place.end - place.start
                    blob = await blob_of(octets(descriptor, place), expected, self._spool)
                    moved = os.pread(descriptor, 5, place.line) != b"From "
                known = view.sha256(uid_of(entry.key))
                if moved or (known is not None and known != blob.digest()):
                    blob.close()
                    yield Unreadable(entry, "the file was changed by another program")
                    continue
                self.traffic.octets_in += blob.size
                yield Message(entry, blob)
        finally:
            os.close(descriptor)

    async def view(self, native: str) -> View:
        """The folder as it is now. Raises `FolderFailed` when it is gone."""
        mbox = Mbox(self.root, native)
        with telling(native):
            descriptor = mbox.open()
            try:
                view = self._views.get(native)
                if view is None or view.stamp != stamp_of(descriptor) or not _fresh(view, mbox):
                    view = View(descriptor, mbox.manifest(descriptor))
                    turns = Turns()
                    for size in view.reading(descriptor):
                        await turns.after(size)
                    self._views[native] = view
            finally:
                os.close(descriptor)
        if view.index.expunged:
            note(
                self.traffic.notices,
                f"“{native}” holds {plural(view.index.expunged, 'message')} that Thunderbird has "
                "deleted and not yet compacted; left out here",
            )
        return view

    def _opened(self, folder: Folder) -> int:
        with telling(folder.native):
            return Mbox(self.root, folder.native).open()


def _fresh(view: View, mbox: Mbox) -> bool:
    """Whether the manifest is where it was; one that has grown is read on."""
    if view.book is None:
        return True
    before = (view.book.validity, view.book.uidnext)
    return view.book.refresh() and (view.book.validity, view.book.uidnext) == before


def _check_history(view: View, since: Cursor) -> None:
    parts = since.split(" ")
    expired = CursorExpired("the mbox was written anew")
    if parts[0] != "F" or len(parts) != 4:
        raise expired
    count = int(parts[1])
    if count > len(view.index) or view.index.history(count) != parts[2]:
        raise expired
