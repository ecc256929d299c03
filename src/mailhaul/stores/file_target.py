"""What all file stores do as targets, whatever the format: one `Target`, made of a source to read
with and of a `Writing`, which is all that a format says of its own.

Opening makes nothing; the first write makes the store's directory and its inbox.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import (
    Appended,
    Capabilities,
    Changes,
    FlagChange,
    Refused,
    Source,
    Traffic,
)
from mailhaul.stores.file_messages import BATCH_MESSAGES, BATCH_OCTETS
from mailhaul.stores.found_folders import is_promised, with_inbox, with_promised_inbox
from mailhaul.stores.safe_paths import is_there, telling


class FileSource(Source, Protocol):
    """A `Source` over files below one directory."""

    path: Path
    root: int
    """The directory's descriptor; negative while it isn't open."""


class Batch(Protocol):
    """Messages written to one folder and not yet announced."""

    octets: int

    def __len__(self) -> int: ...

    async def add(self, message: Message) -> None:
        """Writes the message. What raises OSError leaves no trace."""

    def commit(self) -> list[Appended]:
        """Makes durable what was added; the batch is empty then. Raises OSError."""

    def close(self) -> None:
        """Lets go; what was not committed counts for nothing."""


class Writing(Protocol):
    """How one format is written. All but `look`, `inbox`, `check` and `past` is called when the
    directory is open."""

    def look(self) -> None:
        """Learns what must be known of a place where nothing may be yet. Raises OSError."""

    def inbox(self) -> str:
        """What the inbox will be called (`Folder.native`) where there is none yet."""

    def check(self, path: FolderPath) -> None:
        """Raises `FolderFailed` for a folder that this format can't keep."""

    def begin(self) -> None:
        """Makes what every mailbox of this format has, when it is missing."""

    async def made(self, path: FolderPath, role: Role | None) -> Folder:
        """The folder, made if missing, with parents."""

    async def subscribe(self, folder: Folder) -> None: ...

    async def batch(self, folder: Folder) -> Batch: ...

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor: ...

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None: ...

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int: ...


class FileTarget:
    """A `Target` over files: read as `source` reads them, written as `writing` says."""

    def __init__(self, source: FileSource, writing: Writing) -> None:
        self._source = source
        self._writing = writing
        self._begun = False

    @property
    def capabilities(self) -> Capabilities:
        return self._source.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._source.traffic

    async def open(self) -> None:
        with telling(str(self._source.path)):
            there = is_there(self._source.path)
            self._writing.look()
        if there:
            await self._source.open()

    async def close(self) -> None:
        await self._source.close()
        self._begun = False

    async def folders(self) -> list[Folder]:
        found = await self._source.folders() if self._source.root >= 0 else []
        return with_promised_inbox(found, self._writing.inbox())

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
        self._writing.check(path)
        if not self._begun:
            with telling(str(self._source.path)):
                self._source.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._source.open()
            self._writing.begin()
            self._begun = True
        return await self._writing.made(path, role)

    async def subscribe(self, folder: Folder) -> None:
        if self.capabilities.keeps_subscriptions:
            await self._writing.subscribe(await self._kept(folder))

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        folder = await self._kept(folder)
        batch = await self._writing.batch(folder)
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
        return self._writing.past(place, keys)

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        await self._writing.flag(folder, changes)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        return await self._writing.remove(folder, keys)

    async def _kept(self, folder: Folder) -> Folder:
        """The folder, made now when it was only promised."""
        return await self.create(folder.path, None) if is_promised(folder) else folder

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
