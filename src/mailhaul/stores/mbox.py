"""mbox files as source and target (docs/files.md says what is kept where).

Message octets are never altered: what an mbox can't keep stands in a manifest beside it. Reading
an mbox that somebody else wrote makes nothing: keys count from 1 there and are good until messages
are taken out or the file is written anew, which its history tells.
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import Closed, ClosedReason, CursorExpired, FolderFailed, MailhaulError
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, NameRules, Role, State
from mailhaul.core.identity import HEADER_LIMIT, header_identity
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Capabilities, Changes, FlagChange, Refused, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import manifest, mbox_tree
from mailhaul.stores.file_messages import BATCH_MESSAGES, BATCH_OCTETS, PAGE, Turns, blob_of
from mailhaul.stores.found_folders import (
    DEEPEST,
    Found,
    is_promised,
    note,
    with_inbox,
    with_promised_inbox,
)
from mailhaul.stores.manifest import Manifest
from mailhaul.stores.mbox_folder import View, octets, stamp_of
from mailhaul.stores.mbox_writing import Batch, Mbox, kept
from mailhaul.stores.safe_paths import (
    create_file,
    directory,
    folds_case,
    is_there,
    make_directory,
    open_root,
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
        try:
            self._single = self.path.name if self.path.is_file() else None
            self.root = open_root(self.path.parent if self._single else self.path)
            self.folds_case = folds_case(self.path)
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
                place = view.place(_uid(key))
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
                place = view.place(_uid(entry.key))
                if place is None:
                    continue
                with telling(folder.native):
                    expected = place.end - place.start
                    blob = await blob_of(octets(descriptor, place), expected, self._spool)
                    moved = os.pread(descriptor, 5, place.line) != b"From "
                known = view.sha256(_uid(entry.key))
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
                f"“{native}” holds {view.index.expunged} messages that Thunderbird has deleted and "
                "not yet compacted; they were left out",
            )
        return view

    def _opened(self, folder: Folder) -> int:
        with telling(folder.native):
            return Mbox(self.root, folder.native).open()


class MboxTarget:
    """A `Target` that writes mbox files. Opening it makes nothing; the first write makes the inbox
    too."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self._source = MboxSource(path, spool)
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
            self._source.folds_case = folds_case(self.path)
        if there:
            await self._source.open()

    async def close(self) -> None:
        await self._source.close()
        self._begun = False

    async def folders(self) -> list[Folder]:
        found = await self._source.folders() if self._source.root >= 0 else []
        return with_promised_inbox(found, mbox_tree.native_of(INBOX_PATH))

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        return self._source.changes(folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        return self._source.identify(folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        return self._source.fetch(folder, entries)

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        path = with_inbox(path)
        mbox_tree.native_of(path)
        await self._begin()
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
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                if not book.subscribed:
                    book.write([{"subscribed": True}])
                    self.traffic.writes += 1

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        await self._source.view(folder.native)
        batch = Batch(Mbox(self._source.root, folder.native), folder.path)
        try:
            async for message in messages:
                failure = await self._added(folder, batch, message)
                if failure or len(batch) >= BATCH_MESSAGES or batch.octets >= BATCH_OCTETS:
                    for answer in self._announced(folder, batch):
                        yield answer
                    await asyncio.sleep(0)
                if failure:
                    raise failure
            for answer in self._announced(folder, batch):
                yield answer
        finally:
            batch.close()

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        return manifest.past(place, {_uid(key) for key in keys})

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                lines = []
                for change in changes:
                    flags = book.flags_after(_uid(change.key), kept(change.add), change.remove)
                    if flags is not None:
                        lines.append({"uid": change.key, "flags": sorted(flags)})
                if lines:
                    book.write(lines)
                    self.traffic.writes += len(lines)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        with telling(folder.native):
            book = self._owned(folder)
            with book.locked():
                gone = [uid for uid in map(_uid, keys) if book.record(uid) is not None]
                if gone:
                    await Mbox(self._source.root, folder.native).take_out(book, gone)
                    self.traffic.writes += len(gone)
        return len(gone)

    async def _begin(self) -> None:
        """Makes the root and the inbox when they are missing."""
        if self._begun:
            return
        with telling(str(self.path)):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._source.open()
        if mbox_tree.inbox_of(self._source.found()) is None:
            self._make(INBOX_PATH, None)
        self._begun = True

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
        self.traffic.writes += 1
        return native

    async def _added(self, folder: Folder, batch: Batch, message: Message) -> MailhaulError | None:
        """Adds the message; what prevents it comes back, so that those before are announced."""
        try:
            with telling(folder.native):
                await batch.add(message)
            self.traffic.octets_out += message.blob.size
        except MailhaulError as error:
            return error
        finally:
            message.blob.close()
        return None

    def _announced(self, folder: Folder, batch: Batch) -> list[Appended]:
        with telling(folder.native):
            answers = batch.commit()
        self.traffic.writes += len(answers)
        return answers


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


def _uid(key: Key) -> int:
    return key if isinstance(key, int) else -1
