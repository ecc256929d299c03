"""An IMAP mailbox as source and as target (core/store.py).

A source has no verb that writes, and its connections refuse writing commands. The target is a
source and the verbs. Everything below them stands in the modules beside this one: `imap_mailbox`
(connections, folders), `imap_changes`, `imap_fetch`, `imap_append`, `imap_flags`. All but the first
are imported where they are needed (`load`): listing a mailbox doesn't need them.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TypedDict, Unpack

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.folder import Cursor, Folder, FolderPath, Role
from mailhaul.core.lease import Lease
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import (
    Amended,
    Appended,
    Capabilities,
    Changes,
    FlagChange,
    Refused,
    Traffic,
)
from mailhaul.imap import commands
from mailhaul.stores.imap_mailbox import Mailbox

# ruff: noqa: PLC0415 - starting up is measured, see above.

Trace = Callable[[str], None]


class Manner(TypedDict, total=False):
    """How a mailbox is spoken to; what isn't said is as in `Mailbox`."""

    connections: int
    spool: Spool | None
    trace: Trace | None
    lease: Lease | None
    """Nothing is said while it does not hold."""
    compress: bool
    """A link that turns out to be slow is compressed, where the server can."""


def load() -> None:
    """Imports what a mailbox needs besides being opened and listed."""
    from mailhaul.stores import (  # noqa: F401 - only to have them loaded
        imap_append,
        imap_changes,
        imap_discard,
        imap_fetch,
        imap_flags,
    )


class ImapSource:
    """A mailbox open for reading: EXAMINE and BODY.PEEK only."""

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials, **manner: Unpack[Manner]
    ) -> None:
        self._mailbox = Mailbox(endpoint, credentials, writable=False, **manner)

    @property
    def capabilities(self) -> Capabilities:
        return self._mailbox.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._mailbox.told()

    @property
    def memory(self) -> str:
        """`Remembers.memory`: what the server said the last time."""
        return self._mailbox.memory.text

    @memory.setter
    def memory(self, text: str) -> None:
        self._mailbox.memory.text = text

    async def open(self) -> None:
        await self._mailbox.open()

    async def close(self) -> None:
        await self._mailbox.close()

    async def folders(self) -> list[Folder]:
        return await self._mailbox.folders()

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        from mailhaul.stores import imap_changes

        return imap_changes.changes(self._mailbox, folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        from mailhaul.stores import imap_fetch

        return imap_fetch.identify(self._mailbox, folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        from mailhaul.stores import imap_fetch

        return imap_fetch.fetch(self._mailbox, folder, entries)

    def foresee(self, folder: Folder, wanted: bool) -> None:
        """`Foresees.foresee`: small folders only."""
        if wanted:
            self._mailbox.foresight.want(folder)
        else:
            self._mailbox.foresight.drop(folder.native)


class ImapTarget:
    """A mailbox open for writing."""

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials, **manner: Unpack[Manner]
    ) -> None:
        self._mailbox = Mailbox(endpoint, credentials, writable=True, **manner)

    @property
    def capabilities(self) -> Capabilities:
        return self._mailbox.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._mailbox.told()

    @property
    def memory(self) -> str:
        """`Remembers.memory`: what the server said the last time."""
        return self._mailbox.memory.text

    @memory.setter
    def memory(self, text: str) -> None:
        self._mailbox.memory.text = text

    async def open(self) -> None:
        await self._mailbox.open()

    async def close(self) -> None:
        await self._mailbox.close()

    async def folders(self) -> list[Folder]:
        return await self._mailbox.folders()

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        from mailhaul.stores import imap_changes

        return imap_changes.changes(self._mailbox, folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        from mailhaul.stores import imap_fetch

        return imap_fetch.identify(self._mailbox, folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        from mailhaul.stores import imap_fetch

        return imap_fetch.fetch(self._mailbox, folder, entries)

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        return await self._mailbox.made_folder(path, role)

    async def subscribe(self, folder: Folder) -> None:
        # A server that knows no subscriptions says NO or BAD, and that is all there is to it.
        lane = self._mailbox.lane(folder.native)
        await (await lane.ask(commands.subscribe(folder.native))).done()

    def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        from mailhaul.stores import imap_append

        return imap_append.append(self._mailbox, folder, messages)

    def past(self, tail: Cursor, keys: Iterable[Key]) -> Cursor:
        from mailhaul.stores import imap_changes

        return imap_changes.past(tail, keys)

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        from mailhaul.stores import imap_flags

        await imap_flags.flag(self._mailbox, folder, changes)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        from mailhaul.stores import imap_flags

        return await imap_flags.remove(self._mailbox, folder, keys)

    async def amend(
        self, folder: Folder, changes: Sequence[FlagChange], doomed: Mapping[Key, Identity | None]
    ) -> Amended:
        from mailhaul.stores import imap_flags

        return await imap_flags.amend(self._mailbox, folder, changes, doomed)

    async def discard(self, folder: Folder) -> bool:
        from mailhaul.stores import imap_discard

        return await imap_discard.discard(self._mailbox, folder)
