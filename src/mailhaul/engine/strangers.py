"""Strangers: messages at the target that no row of the ledger knows.

What a killed run of ours left behind, what an earlier tool or the person put there: before anything
is sent, a source message looks for itself among them (`engine.matching`).
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Sequence

from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry, Identity, Key, Message
from mailhaul.core.store import Source
from mailhaul.engine.ledger_row import seconds
from mailhaul.engine.matching import Trait, loose_digest, match, match_read
from mailhaul.engine.outcomes import Side
from mailhaul.engine.sides import closing

Read = Callable[[Iterable[Trait]], Awaitable[None]]
"""Reads messages and fills in the digests of their traits: where only octets can decide."""


class Strangers:
    """The strangers of one folder. `end` is the cursor up to which was looked."""

    def __init__(self, target: Source, folder: Folder) -> None:
        self._target = target
        self._folder = folder
        self._entries: dict[Key, Entry] = {}
        self._traits: dict[Key, Trait] = {}
        self.end: Cursor | None = None

    def __bool__(self) -> bool:
        return bool(self._entries)

    async def look(self, since: Cursor | None, known: Callable[[Key, Key], set[Key]]) -> None:
        """Lists what was added since the cursor and is not among the keys that `known` gives for
        a range. Raises `CursorExpired` when the target was renumbered."""
        async with closing(Side.TARGET, self._target.changes(self._folder, since)) as pages:
            async for page in pages:
                self.end = page.cursor
                if not page.entries:
                    continue
                keys = [entry.key for entry in page.entries]
                ours = known(min(keys), max(keys))
                for entry in page.entries:
                    if entry.key not in ours:
                        self._entries[entry.key] = entry

    def entry(self, key: Key) -> Entry:
        return self._entries[key]

    def looking(self, like: Container[tuple[int | None, int | None]]) -> list[Entry]:
        """Those of one of these sizes and received dates (seconds since 1970), in their order."""
        entries = self._entries.values()
        return [entry for entry in entries if (entry.size, seconds(entry)) in like]

    def drop(self, key: Key) -> None:
        """That one is no stranger any more; one who never was is passed over."""
        self._entries.pop(key, None)
        self._traits.pop(key, None)

    async def match(self, lefts: Sequence[Trait], read: Read) -> list[tuple[Key, Key]]:
        """Pairs of a left's key and the stranger that is the same message. `read` is asked for the
        lefts' octets where nothing else decides. The caller drops whom it takes."""
        if not lefts or not self._entries:
            return []
        await self._identify()
        result = match(lefts, self._traits.values())
        pairs = list(result.pairs)
        for ours, theirs in result.doubtful:
            pairs += await self._match_read(ours, theirs, read)
        return pairs

    async def match_octets(
        self, lefts: Sequence[Trait], taken: set[Key], read: Read
    ) -> list[tuple[Key, Key]]:
        """Pairs by octets alone, strangers in `taken` left out: for what a cut run may have sent,
        so that even a server that alters headers can't make us send it twice."""
        theirs = [trait for key, trait in self._traits.items() if key not in taken]
        return await self._match_read(lefts, theirs, read) if lefts and theirs else []

    async def _match_read(
        self, lefts: Sequence[Trait], theirs: Sequence[Trait], read: Read
    ) -> list[tuple[Key, Key]]:
        await read_octets(Side.TARGET, self._target, self._folder, theirs, self._entries)
        if any(left.exact is None for left in lefts):
            await read(lefts)
        pairs = match_read(lefts, theirs)
        if len(pairs) < len(lefts):
            await read(lefts)
            pairs = match_read(lefts, theirs)
        return pairs

    async def _identify(self) -> None:
        fresh = [entry for key, entry in self._entries.items() if key not in self._traits]
        for trait in await traits_of(Side.TARGET, self._target, self._folder, fresh):
            self._traits[trait.key] = trait


async def traits_of(
    side: Side, store: Source, folder: Folder, entries: Sequence[Entry]
) -> list[Trait]:
    """What the listing and the headers tell of these messages, in their order; vanished ones are
    left out."""
    if not entries:
        return []
    found: dict[Key, Identity] = {}
    keys = [entry.key for entry in entries]
    async with closing(side, store.identify(folder, keys)) as identities:
        async for key, identity in identities:
            found[key] = identity
    return [trait(entry, found[entry.key]) for entry in entries if entry.key in found]


def trait(entry: Entry, identity: Identity) -> Trait:
    return Trait(entry.key, identity, entry.size, seconds(entry))


async def read_octets(
    side: Side, store: Source, folder: Folder, traits: Iterable[Trait], entries: dict[Key, Entry]
) -> None:
    """Reads those messages that have not been read and fills in their digests."""
    wanted = {each.key: each for each in traits if each.loose is None}
    if not wanted:
        return
    in_order = [entries[key] for key in sorted(wanted)]
    async with closing(side, store.fetch(folder, in_order)) as messages:
        async for message in messages:
            if isinstance(message, Message):
                read = wanted[message.entry.key]
                read.exact, read.loose = message.blob.digest(), loose_digest(message.blob)
                message.blob.close()
