"""Messages on their way, and the rows they become.

A row holds the digest of its message. That is found out when the target has answered: hashing a
large message takes a while, in which the first octets should be on their way.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from mailhaul.core.blob import Blob
from mailhaul.core.folder import Folder
from mailhaul.core.identity import blob_identity
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Source
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.ledger_row import seconds
from mailhaul.engine.matching import Trait
from mailhaul.engine.outcomes import Fate, Side
from mailhaul.engine.sides import closing


class Cargo:
    """The messages on their way: what passes is noted down. `read` is told when the source has
    handed over the last."""

    def __init__(
        self,
        source: Source,
        folder: Folder,
        entries: Sequence[Entry],
        read: Callable[[], None],
    ) -> None:
        self._source = source
        self._folder = folder
        self._entries = entries
        self._read = read
        self._passed: dict[Key, tuple[Blob, Identity]] = {}
        self.unreadable: list[Unreadable] = []

    async def messages(self) -> AsyncIterator[Message]:
        """Each message that can be read, with its header noted."""
        async with closing(
            Side.SOURCE, self._source.fetch(self._folder, self._entries)
        ) as messages:
            async for message in messages:
                if isinstance(message, Unreadable):
                    self.unreadable.append(message)
                    continue
                self._passed[message.entry.key] = message.blob, blob_identity(message.blob)
                yield message
        self._read()

    def refused(self, entry: Entry) -> None:
        """The target won't have that message."""
        self._passed.pop(entry.key, None)

    def row(self, result: Appended) -> MessageRow:
        """The row of a message that has arrived."""
        entry = result.entry
        blob, identity = self._passed.pop(entry.key)
        return MessageRow(
            source_key=entry.key,
            target_key=result.key,
            fate=Fate.COPIED,
            flags=entry.flags,
            size=blob.size,
            received=seconds(entry),
            identity=identity,
            digest=blob.digest(),
        )


def decided(
    entry: Entry,
    fate: Fate,
    reason: str,
    target_key: Key | None = None,
    trait: Trait | None = None,
) -> MessageRow:
    """The row of a message that was decided about without carrying it."""
    return MessageRow(
        source_key=entry.key,
        target_key=target_key,
        fate=fate,
        flags=entry.flags,
        size=entry.size,
        received=seconds(entry),
        identity=None if trait is None else trait.identity,
        digest=None if trait is None else trait.exact,
        reason=reason,
    )
