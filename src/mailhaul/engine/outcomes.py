"""What a pass tells while it runs, and what it was asked to do.

`engine.passes.run_pass` yields these; renderers show them, tests count them. Every text in them
is printable. Figures are exact: they come from the ledger and the census, not from counters.
"""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mailhaul.core.folder import FolderPath, Role
from mailhaul.core.message import Key


class Side(StrEnum):
    SOURCE = "source"
    TARGET = "target"


class Fate(StrEnum):
    """What became of a source message; each has exactly one."""

    COPIED = "copied"
    ADOPTED = "adopted"
    SKIPPED = "skipped"
    REFUSED = "refused"
    MISSING = "missing"


class Delete(StrEnum):
    NEVER = "never"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Options:
    """What a pass is asked to do. Globs are over paths joined by `/`, `*` crossing it."""

    folders: tuple[str, ...] = ()
    """Only these; all when empty."""
    exclude: tuple[str, ...] = ()
    maps: MappingOf[FolderPath, FolderPath] = field(default_factory=dict)
    """Source path to target path; what lies below follows."""
    since: datetime | None = None
    """Older messages are skipped, by received date."""
    before: datetime | None = None
    """Messages received then or later are skipped: another pass carries them."""
    newest: int | None = None
    """Only so many of each folder, from its end; the others are skipped, for another pass."""
    delete: Delete = Delete.NEVER
    max_delete: int = 100
    """With mirror: when more than this many would be removed, none is, and the pass says so."""
    dry_run: bool = False
    connections: int = 1
    """At most this many a side, split by folder."""
    once: bool = False
    """What was skipped stays so, whatever this pass would have made of it."""
    retry_refused: bool = False
    """Offer the target again what it refused before."""
    restore: bool = False
    """Carry folders again that were removed at the target since."""
    retries: int = 6
    """Failures in a row without progress before a folder is given up."""


@dataclass(frozen=True, slots=True)
class FolderLink:
    """Where one source folder goes. `notes` say what was changed in its name and why."""

    source: FolderPath
    target: FolderPath
    role: Role | None = None
    exists: bool = False
    count: int | None = None
    size: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A side is logged in. `server` is what it calls itself."""

    side: Side
    server: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """The folder map, before the first byte is written. `idle` folders have not changed."""

    links: tuple[FolderLink, ...]
    idle: int = 0
    excluded: tuple[FolderPath, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """So much is to be carried in this folder (more may come): messages and octets."""

    folder: FolderPath
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Carried:
    """So much more is durable at the target and in the ledger."""

    folder: FolderPath
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A message that was not copied, and why: skipped, refused or missing. `saved` is the .eml."""

    folder: FolderPath
    key: Key
    fate: Fate
    reason: str
    subject: str = ""
    saved: Path | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is wrong with any message; `side` wants us to wait so many seconds, and why."""

    side: Side
    reason: str
    seconds: float
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class FolderDone:
    """This folder is through for this pass. `error` says why it isn't complete, else empty."""

    folder: FolderPath
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """The accounting: census = copied + adopted + skipped + refused + missing, always.

    The five fates are over all messages the source holds now, from the ledger. What this pass did
    itself stands in `flagged` and `removed` (messages at the target) and `carried` (messages it
    appended) and `octets`.
    """

    census: int = 0
    copied: int = 0
    adopted: int = 0
    skipped: int = 0
    refused: int = 0
    missing: int = 0
    flagged: int = 0
    removed: int = 0
    carried: int = 0
    octets: int = 0

    @property
    def accounted(self) -> int:
        return self.copied + self.adopted + self.skipped + self.refused + self.missing

    @property
    def adds_up(self) -> bool:
        return self.accounted == self.census


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a pass that came to its end. `unfinished` are sentences: what is not done
    and why; empty when everything is accounted for. `notes` is everything else worth reading."""

    tally: Tally
    seconds: float
    round_trips: MappingOf[Side, int]
    wire_writes: int
    folders: MappingOf[FolderPath, Tally] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return (
            self.tally.adds_up
            and not self.unfinished
            and not (self.tally.refused or self.tally.missing)
        )


Event = Opened | Mapped | Listed | Carried | Settled | Waiting | FolderDone | Finished
