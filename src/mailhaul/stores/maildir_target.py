"""Maildirs as target: what is written, and when it counts (docs/files.md says what is kept where).

What is read of a target is read as of a source (stores/maildir.py).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Capabilities, Changes, FlagChange, Refused, Traffic
from mailhaul.stores import maildir_delivery, maildir_subscriptions, maildir_tree
from mailhaul.stores.file_messages import (
    BATCH_MESSAGES,
    BATCH_OCTETS,
    Turns,
)
from mailhaul.stores.found_folders import is_promised, with_inbox, with_promised_inbox
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_folder import (
    Scan,
    letters_for,
    letters_of,
    letters_of_flags,
    remove_file,
    rename_file,
)
from mailhaul.stores.maildir_tail import read_tail
from mailhaul.stores.maildir_tree import Layout
from mailhaul.stores.safe_paths import (
    directory,
    folds_case,
    is_there,
    telling,
)


class MaildirTarget:
    """A `Target` over a Maildir tree. Opening it makes nothing: where nothing is, the first write
    makes a Maildir++.

    `clock` gives microseconds since 1970, for the names of new files.
    """

    def __init__(
        self,
        path: Path,
        spool: Spool | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = path
        self._clock = clock
        self._source = MaildirSource(path, spool)
        self._stamp = 0
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
        layout = self._source.layout
        native = maildir_tree.native_of(INBOX_PATH, layout, root_is_inbox=layout is Layout.PLUS)
        return with_promised_inbox(found, native)

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
        maildir_tree.native_of(path, self._source.layout, root_is_inbox=True)
        await self._begin()
        root = self._source.root
        found = maildir_tree.find_folders(root, self.traffic.notices)
        there = {each.path: each.native for each in found}
        for depth in range(1, len(path) + 1):
            above = path[:depth]
            if there.get(above) is None:
                there[above] = self._made(above, {each.native for each in found})
        return self._source.shown(path, there[path], maildir_subscriptions.read(root))

    async def subscribe(self, folder: Folder) -> None:
        if self._source.layout is Layout.PLUS:
            await self._begin()
            with telling("subscriptions"):
                if maildir_subscriptions.add(self._source.root, folder.path):
                    self.traffic.writes += 1

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        here = self._source.scanned(folder)
        self._stamp = max(self._stamp, maildir_delivery.last_stamp(here.names))
        batch = maildir_delivery.Batch(self._source.root, maildir_tree.steps(folder.native))
        try:
            async for message in messages:
                failure = await self._added(folder, here, batch, message)
                if failure or len(batch) >= BATCH_MESSAGES or batch.octets >= BATCH_OCTETS:
                    for answer in self._announced(folder, batch):
                        yield answer
                    await asyncio.sleep(0)
                if failure:
                    raise failure
            for answer in self._announced(folder, batch):
                yield answer
        finally:
            batch.discard()

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        tail = read_tail(place)
        if tail is None:
            return place
        for key in keys:
            tail = tail.over(str(key))
        return tail.written()

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        here = self._source.scanned(folder)
        with (
            telling(folder.native),
            directory(self._source.root, maildir_tree.steps(folder.native)) as inside,
        ):
            turns = Turns()
            for change in changes:
                await turns.after()
                name = here.name(str(change.key))
                if name is None:
                    continue
                added, _ = letters_for(inside, here.keywords, change.add)
                gone = letters_of_flags(here.keywords, change.remove)
                letters = "".join(sorted(set(letters_of(name)) - set(gone) | set(added)))
                if letters != letters_of(name):
                    renamed = rename_file(inside, name, letters)
                    here.renamed(name, renamed)
                    self.traffic.writes += 1
            self._synced(inside)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        here = self._source.scanned(folder)
        removed = 0
        with (
            telling(folder.native),
            directory(self._source.root, maildir_tree.steps(folder.native)) as inside,
        ):
            turns = Turns()
            for key in keys:
                await turns.after()
                name = here.name(str(key))
                if name is not None and remove_file(inside, name):
                    here.renamed(name, None)
                    removed += 1
                    self.traffic.writes += 1
            self._synced(inside)
        return removed

    async def _begin(self) -> None:
        """Makes the root, and a Maildir++ of it when it holds no Maildir."""
        if self._begun:
            return
        with telling(str(self.path)):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._source.open()
        with telling(str(self.path)):
            if maildir_tree.layout_of(self.path) is None:
                maildir_tree.make_folder(self._source.root, "")
        self._begun = True

    def _made(self, path: FolderPath, taken: set[str | None]) -> str:
        root = self._source.root
        root_is_inbox = self._source.layout is Layout.PLUS or "" in taken
        native = maildir_tree.native_of(path, self._source.layout, root_is_inbox=root_is_inbox)
        with telling("/".join(path)):
            if maildir_tree.make_folder(root, native):
                self.traffic.writes += 1
        return native

    async def _added(
        self,
        folder: Folder,
        here: Scan,
        batch: maildir_delivery.Batch,
        message: Message,
    ) -> MailhaulError | None:
        """Writes the message beside the others; what prevents it comes back as an error, so that
        those before it are announced first."""
        self._stamp = max(self._stamp + 1, self._clock())
        try:
            with telling(folder.native):
                await batch.add(message, self._stamp, here.keywords)
            self.traffic.octets_out += message.blob.size
        except MailhaulError as error:
            return error
        finally:
            message.blob.close()
        return None

    def _announced(self, folder: Folder, batch: maildir_delivery.Batch) -> list[Appended]:
        with telling(folder.native):
            answers = batch.commit()
        self.traffic.writes += len(answers)
        return answers

    def _synced(self, inside: int) -> None:
        with directory(inside, ["cur"]) as current:
            os.fsync(current)
