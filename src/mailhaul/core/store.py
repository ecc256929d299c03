"""The store contract: what it means to read a mailbox, and to write one.

A connector implements `Source`, or `Target`, which is a source that can be written. The engine
knows nothing else. One suite, tests/stores/conformance.py, holds every connector to this page.

Every coroutine here may raise `RetryLater` (try the same call again after a pause; connectors
reconnect by themselves at the next call) and `Closed` (a person must act first). Calls for
different folders may run at the same time; a connector may pipeline them onto one connection in
the order in which they were made. A caller always consumes an iterator to its end, or closes it,
and never makes a `Source` call wait for a `Target` call of another folder or the other way round.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mailhaul.core.folder import Cursor, Folder, FolderPath, NameRules, Role
from mailhaul.core.message import Entry, Flags, Identity, Key, Message, Unreadable


@dataclass(frozen=True, slots=True)
class Quota:
    """Storage in octets and messages; None where there is no limit or none is known."""

    used: int | None = None
    limit: int | None = None
    used_messages: int | None = None
    limit_messages: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A handful of declared facts about an opened mailbox."""

    server: str
    """What the server calls itself, printable, for people: name and version."""
    keeps_keywords: bool = True
    """Keywords survive. When false, only system flags are kept."""
    keeps_received: bool = True
    """The received date survives."""
    keeps_subscriptions: bool = True
    append_limit: int | None = None
    """Largest message in octets that `append` takes; None: not known."""
    quota: Quota | None = None
    names: NameRules = field(default_factory=NameRules)
    extensions: frozenset[str] = frozenset()
    """What the server advertises, in capitals, for people."""


@dataclass(slots=True)
class Traffic:
    """What a store has done on the wire since it was opened; a connector counts up as it goes.

    `round_trips` counts how often the client had nothing left in flight, or waited for `+`, and
    so had to wait for the other side before it could go on: connecting is one, up to the greeting
    (what is said before that has come shares its wait), then one for each flight. `writes` counts
    commands that change the mailbox. Octets are before TLS and COMPRESS.
    """

    round_trips: int = 0
    writes: int = 0
    octets_in: int = 0
    octets_out: int = 0
    connections: int = 0
    notices: list[str] = field(default_factory=list)
    """What a person should know about the connection (plaintext waiver, pinned certificate,
    quirks met, ALERT texts), printable, each once."""


@dataclass(slots=True, eq=False)
class Changes:
    """One page of what happened in a folder since a cursor.

    `entries` are messages that are new, or whose flags may differ, in the folder's order. New ones
    carry `size` and `received`; known ones may carry flags alone. `vanished` are keys that are
    gone. `whole` says that the pages of this call together list every message there is, so that
    a known key that appears on none of them is gone. `cursor` is set on the last page only (there
    always is a last page, be it empty): where the next call goes on.
    """

    entries: Sequence[Entry] = ()
    vanished: Sequence[Key] = ()
    whole: bool = False
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class FlagChange:
    """`add` and `remove` at one message; other flags are left as they are."""

    key: Key
    add: Flags
    remove: Flags


@dataclass(slots=True, eq=False)
class Appended:
    """The message of `entry` (the source's listing line) is durable at the target.

    `key` is its key there; None when the target stored it but can't be brought to tell where: the
    caller finds it by looking. `lost` are flags and keywords the target would not take (D17, D18).
    `note` is printable and names anything else the target changed, else empty.
    """

    entry: Entry
    key: Key | None
    lost: Flags = frozenset()
    note: str = ""


@dataclass(slots=True, eq=False)
class Refused:
    """The target will never take this message; `reason` is printable, with the server's words."""

    entry: Entry
    reason: str


@runtime_checkable
class Source(Protocol):
    """A mailbox open for reading. There is no verb that writes: no bug can change a source."""

    @property
    def capabilities(self) -> Capabilities:
        """Known once `open` has returned."""

    @property
    def traffic(self) -> Traffic: ...

    async def open(self) -> None:
        """Connects, logs in and learns the capabilities. Raises `Closed` when that can't work.
        Opening an open store does nothing."""

    async def close(self) -> None:
        """Lets go of connections and files. Closing twice is fine, and after a failure."""

    async def folders(self) -> list[Folder]:
        """Every folder of the personal namespace, parents before children, INBOX first; in one
        round trip where the server allows it."""

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        """What happened in `folder` since the cursor; everything there is when that is None.

        Raises `CursorExpired` before the first page when the folder was renumbered since, and
        `FolderFailed` when the folder is gone or can't be opened.
        """

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        """The header identity of each message, in any order; vanished keys are left out."""

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        """The messages, in the order given; vanished ones are left out. The caller closes each
        blob. Octets are exactly what the store holds, with CRLF line ends."""


@runtime_checkable
class Remembers(Protocol):
    """A store that opens faster when it knows what it found the last time."""

    @property
    def memory(self) -> str:
        """What it wants to be given back, and nothing else, before it is opened the next time, in
        another process maybe. Opaque, without secrets; empty where there is nothing."""

    @memory.setter
    def memory(self, text: str) -> None: ...


@runtime_checkable
class Foresees(Protocol):
    """A source that can send for messages together with the listing that names them."""

    def foresee(self, folder: Folder, wanted: bool) -> None:
        """A hint: the next `changes(folder, None)` will be followed by one `fetch` of everything
        it lists. Taken back (`wanted` false) as soon as that is not so any more, at the latest
        when the caller is through with the folder; what came for nothing is thrown away."""


@runtime_checkable
class Target(Source, Protocol):
    """A mailbox open for writing."""

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        """The folder at `path`, made if missing, with parents; one that is there is just returned.
        `state` may be None; `tail` is set. A `role` is declared where the server lets one (CREATE-
        SPECIAL-USE), else ignored. Raises `FolderFailed` when the target won't have it."""

    async def subscribe(self, folder: Folder) -> None:
        """Subscribes; doing so twice is fine, and so is a server that knows no subscriptions."""

    def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        """Stores each message with its flags and received date, and says so for each, in order.

        Every `Appended` is durable. The connector closes each blob once it is done with it.
        Batches and pipelines as it can; a batch that is refused is halved until the culprit
        stands alone. Raises `Disconnected` when it can't be known what became of the last few:
        nothing is ever sent twice by the connector itself (A2). Raises `Closed(FULL)` when the
        mailbox is full (B7).
        """

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        """The tail at `place` (a tail, or a cursor that `changes` gave), moved on over `keys` that
        `append` gave, as far as nothing else lies between; so that what others add is never
        skipped. Comparable with `Folder.tail`. Does no I/O."""

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        """Adds and removes flags; messages that are gone are passed over; flags the target can't
        keep are left out."""

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        """Removes these messages and no other (UID EXPUNGE where the server has it; else a folder
        where others wait for expunge is left alone: `FolderFailed`). Gone ones are passed over.
        Returns how many were asked for removal and are gone."""


@dataclass(frozen=True, slots=True)
class Amended:
    """What `Amends.amend` did: how many messages it removed, and under which keys there is other
    mail, which it left alone."""

    removed: int = 0
    strange: frozenset[Key] = frozenset()


@runtime_checkable
class Amends(Protocol):
    """A target that can change flags and remove messages in one look at a folder."""

    async def amend(
        self, folder: Folder, changes: Sequence[FlagChange], doomed: Mapping[Key, Identity | None]
    ) -> Amended:
        """`flag`, and `remove` of those of `doomed` that still have that header identity (None:
        whatever lies there). Gone ones are passed over, and all of it can be done again."""


@runtime_checkable
class Discards(Protocol):
    """What a target may know besides: taking back a scratch folder that it made. One that doesn't
    know it is never given any (docs/decisions/0050)."""

    async def discard(self, folder: Folder) -> bool:
        """Removes `folder` if it holds no message and no other folder, and isn't the inbox; a
        folder that is gone already is fine. False when it stays, whatever the reason."""
