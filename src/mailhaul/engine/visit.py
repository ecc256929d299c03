"""One attempt at one folder: what it works with, and what it has learnt so far."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailhaul.core.folder import Cursor, Folder, shown
from mailhaul.core.message import Entry, Flags, Key
from mailhaul.core.store import Changes, FlagChange, Source, Target
from mailhaul.engine.accounting import Effects
from mailhaul.engine.beside import Beside
from mailhaul.engine.cargo import decided
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.ledger_row import Unsure
from mailhaul.engine.matching import Trait
from mailhaul.engine.outcomes import Event, Fate, Options, Settled, Side
from mailhaul.engine.strangers import Strangers, read_octets


@dataclass(frozen=True, slots=True)
class Postponed:
    """Flags that are changed together with what is removed in the folder (`mirror`), in one look.
    `row` is where the folder stands once that is done: until then the ledger's row stays where it
    was, so that a pass cut off before it finds them changed again."""

    row: FolderRow
    orders: Sequence[FlagChange]
    agreed: Sequence[tuple[int, Flags]]
    unsure: Mapping[int, Unsure]


@dataclass(slots=True)
class Carrier:
    """What one folder needs on its way: both sides, the ledger, and where to tell. `read` is told
    when the source has handed over all that its folder holds. `postponed` is what an attempt
    leaves for later."""

    source: Source
    target: Target
    ledger: Ledger
    options: Options
    tell: Callable[[Event], None]
    read: Callable[[], None]
    effects: Effects = field(default_factory=Effects)
    beside: Beside | None = None
    postponed: Postponed | None = None


class Visit:
    """One attempt at one folder: `source` at the one side, `target` at the other."""

    def __init__(
        self,
        carrier: Carrier,
        row: FolderRow,
        source: Folder,
        target: Folder,
        ahead: AsyncIterator[Changes] | None = None,
    ) -> None:
        self.carrier = carrier
        self.ledger = carrier.ledger
        self.row = row
        """As it stands now."""
        self.source = source
        self.target = target
        self.ahead = ahead
        """The whole listing of the source, when it has been asked for and not been taken."""
        self.strangers = Strangers(carrier.target, target)
        self.lost: dict[int, MessageRow] = {}
        """Rows without a source message, by id."""
        self.intended: set[Key] = set()
        """What may have been on its way when an earlier attempt was cut off."""
        self.sent: dict[int | None, Flags] = {}
        """Flags that any of it was sent with, by size: of twins nobody knows which one was it."""
        self.unsure: dict[int, Unsure] = {}
        """Rows, by id, whose flags were on their way when an earlier attempt was cut off."""
        self.attempt = 0
        """How many attempts have left intents that are not settled."""
        self.uncertain: set[Key] = set()
        """Of that, what no row knew to be at the target when this attempt began."""
        self.gone: Counter[tuple[int | None, int | None]] = Counter()
        """How many rows without a source message there were when this attempt began, by size and
        received date; counted only if anything may have been on its way."""
        self.place: Cursor | None = None
        """A tail of the target: who lies before it is in a row or has been looked at."""
        self.known = False
        """Whether the ledger knows any message of this folder."""
        self.seen: Cursor | None = None
        """The target's tail, once it was looked at."""
        self.last = False
        """The page at hand is the source's last."""
        self.behind: dict[Key, int] = {}
        """How many messages come after each of the page at hand, where that matters."""
        self.removes = False
        """The page at hand is the last, and names messages that are to be removed."""
        self.orders: list[FlagChange] = []
        self.agreed: list[tuple[int, Flags]] = []
        """Flags that wait for the removals."""
        self.surprised = False
        """A listing of changes named a message as old that no row knows: list whole."""

    def told_all(self) -> None:
        """The source has handed over the messages of a page."""
        if self.last:
            self.carrier.read()

    def ours(self, first: Key, last: Key) -> set[Key]:
        """The target keys in that closed range that a row knows, or who knows besides."""
        keys, beside = self.ledger.target_keys(self.row, first, last), self.carrier.beside
        return keys if beside is None else keys | beside.there(self.row, first, last)

    def no_strangers(self) -> None:
        """Once nobody is left who might be one of ours, the tail moves on to where we looked."""
        if self.strangers.end is not None and not self.strangers:
            tail = self.carrier.target.past(self.strangers.end, ())
            self.strangers.end = None
            self.row = replace(self.row, target_tail=tail)


def note(visit: Visit, folder: Folder, text: str) -> None:
    """Something about the folder that is worth reading at the end."""
    visit.carrier.effects.notes.append(f"{shown(folder.path)}: {text}")


def settle(
    visit: Visit,
    entry: Entry,
    fate: Fate,
    reason: str,
    subject: str = "",
    saved: Path | None = None,
) -> None:
    """Records and tells what became of a message that was not carried."""
    visit.row = visit.ledger.add(visit.row, [decided(entry, fate, reason)], visit.row.target_tail)
    visit.carrier.tell(Settled(visit.source.path, entry.key, fate, reason, subject, saved))


async def read_source(visit: Visit, traits: Iterable[Trait], entries: dict[Key, Entry]) -> None:
    """Reads messages of the source and fills in their digests."""
    await read_octets(Side.SOURCE, visit.carrier.source, visit.source, traits, entries)


def traits_of_rows(rows: Mapping[int, MessageRow]) -> list[Trait]:
    """By row id; rows of what was never read have no identity and are left out."""
    return [
        Trait(number, row.identity, row.size, row.received, exact=row.digest)
        for number, row in rows.items()
        if row.identity is not None
    ]


def id_of(row: MessageRow) -> int:
    assert row.id is not None
    return row.id


def number_of(key: Key) -> int:
    assert isinstance(key, int)
    return key
