"""Maildirs as source (docs/files.md says what is kept where).

Reading writes nothing: mail in `new` stays there. A folder's state is a digest of its file names,
so whatever happened shows; what happened is then told by a whole listing, which costs a look at
each file. A tail counts and sums the names up to the last one; a cursor is a state and a tail.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, NameRules, Role, State
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Capabilities, Changes, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import maildir_subscriptions, maildir_tree
from mailhaul.stores.file_messages import (
    PAGE,
    Turns,
    blob_of,
    identity_of,
)
from mailhaul.stores.found_folders import DEEPEST, note
from mailhaul.stores.line_ends import from_disk
from mailhaul.stores.maildir_folder import (
    Scan,
    form_of,
    key_of,
    place_of,
    scan,
    size_of,
)
from mailhaul.stores.maildir_tail import after, read_tail, tail_of
from mailhaul.stores.maildir_tree import Layout
from mailhaul.stores.safe_paths import (
    chunks_of,
    directory,
    folds_case,
    open_file,
    open_root,
    opening,
    telling,
)


class MaildirSource:
    """A `Source` over a Maildir tree."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self.traffic = Traffic()
        self.layout = Layout.PLUS
        self.root = -1
        self.folds_case = False
        self._spool = spool or Spool()
        self._scans: dict[str, Scan] = {}

    @property
    def capabilities(self) -> Capabilities:
        plus = self.layout is Layout.PLUS
        return Capabilities(
            server=f"{self.layout} at {printable(str(self.path), 200)}",
            keeps_subscriptions=plus,
            names=NameRules(
                delimiter=None,
                longest_path=254 if plus else None,
                longest_component=None if plus else 255,
                deepest=DEEPEST,
                folds_case=self.folds_case,
            ),
        )

    async def open(self) -> None:
        if self.root >= 0:
            return
        with opening(self.path):
            self.root = open_root(self.path)
            self.layout = maildir_tree.layout_of(self.path) or Layout.PLUS
            self.folds_case = folds_case(self.path)
        self.traffic.connections += 1

    async def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
        self.root = -1
        self._scans.clear()

    async def folders(self) -> list[Folder]:
        subscribed = maildir_subscriptions.read(self.root)
        shown = []
        for each in maildir_tree.find_folders(self.root, self.traffic.notices):
            shown.append(self.shown(each.path, each.native, subscribed))
            await asyncio.sleep(0)
        return shown

    def shown(
        self, path: FolderPath, native: str | None, subscribed: frozenset[FolderPath]
    ) -> Folder:
        """The folder as it is now; without native, a level that holds only folders."""
        role = Role.INBOX if path == INBOX_PATH else None
        if native is None:
            name = "/".join(path)
            return Folder(path, f"?{name}", role, selectable=False, subscribed=path in subscribed)
        try:
            here = scan(self.root, maildir_tree.steps(native))
        except OSError as error:
            # It is there and can't be read: whoever looks inside is told so.
            reason = (error.strerror or "").lower()
            note(self.traffic.notices, f"“{native}” can't be read: {reason}")
            return Folder(path, native, role, subscribed=path in subscribed)
        return Folder(
            path,
            native,
            role,
            subscribed=path in subscribed,
            count=len(here.names),
            state=State(here.state()),
            tail=tail_of(here),
        )

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        here = self.scanned(folder)
        state = here.state()
        names, whole, end = here.names, True, Cursor(f"C {state} {tail_of(here)}")
        if since is not None:
            tail = read_tail(since)
            if tail is None:
                raise CursorExpired(f"folder “{printable(folder.native)}” never gave that cursor")
            if since.startswith("T "):
                names, whole = after(here, tail)
                end = tail_of(here)
            elif since == end:
                names, whole = [], False
        turns = Turns()
        for start in range(0, len(names), PAGE):
            entries = []
            for name in names[start : start + PAGE]:
                await turns.after()
                if (entry := self._entry(folder, here, name)) is not None:
                    entries.append(entry)
            yield Changes(entries, whole=whole)
        yield Changes((), whole=whole, cursor=end)

    async def identify(
        self, folder: Folder, keys: Sequence[Key]
    ) -> AsyncIterator[tuple[Key, Identity]]:
        turns = Turns()
        for key in keys:
            await turns.after()
            opened = self._opened(folder, key)
            if opened is None or isinstance(opened, str):
                continue
            descriptor, name = opened
            try:
                with telling(folder.native):
                    found = identity_of(descriptor, form_of(name))
            finally:
                os.close(descriptor)
            yield key, found

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        turns = Turns()
        for entry in entries:
            await turns.after(entry.size or 0)
            opened = self._opened(folder, entry.key)
            if opened is None:
                continue
            if isinstance(opened, str):
                yield Unreadable(entry, opened)
                continue
            descriptor, name = opened
            try:
                with telling(folder.native):
                    expected = os.fstat(descriptor).st_size
                    chunks = from_disk(chunks_of(descriptor), form_of(name))
                    blob = await blob_of(chunks, expected, self._spool)
            finally:
                os.close(descriptor)
            self.traffic.octets_in += blob.size
            yield Message(entry, blob)

    def scanned(self, folder: Folder) -> Scan:
        """The folder's files as they are now. Raises `FolderFailed` when it is gone."""
        with telling(folder.native or "INBOX"):
            here = scan(self.root, maildir_tree.steps(folder.native))
        self._scans[folder.native] = here
        return here

    def known(self, folder: Folder) -> Scan:
        """The folder's files as they were when it was last looked at."""
        return self._scans.get(folder.native) or self.scanned(folder)

    def _entry(self, folder: Folder, here: Scan, name: str) -> Entry | None:
        part, plain = place_of(name)
        try:
            with directory(self.root, [*maildir_tree.steps(folder.native), part]) as inside:
                size, status = size_of(inside, plain)
        except FileNotFoundError:
            return None
        except PermissionError:
            # It is a message all the same; that it can't be read is told when it is asked for.
            return Entry(key_of(plain), here.flags(name), 0, None)
        except OSError as error:
            reason = (error.strerror or "").lower()
            note(self.traffic.notices, f"“{folder.native}/{name}” was left out: {reason}")
            return None
        received = datetime.fromtimestamp(int(status.st_mtime), UTC)
        return Entry(key_of(plain), here.flags(name), size, received)

    def _opened(self, folder: Folder, key: Key) -> tuple[int, str] | str | None:
        """The message's file, or why it can't be read, or None when it is gone."""
        # A name may have changed since the listing: flags are part of it.
        for here in (self.known, self.scanned):
            name = here(folder).name(str(key))
            if name is None:
                continue
            part, plain = place_of(name)
            try:
                with directory(self.root, [*maildir_tree.steps(folder.native), part]) as inside:
                    return open_file(inside, plain), plain
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"the file can't be read: {printable((error.strerror or '').lower())}"
        return None
