"""What a verification tells while it runs and at its end. Every text is printable."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Key
from mailhaul.engine.outcomes import Mapped, Opened, Waiting


class Kind(StrEnum):
    """What is not the same. docs/verification.md says of each what it means and what to do."""

    MISSING = "missing"
    MOVED = "moved"
    EMPTY = "empty"
    DOUBLED = "doubled"
    EXTRA = "extra"
    ALTERED = "altered"
    SIZE = "size"
    FLAGS = "flags"
    RECEIVED = "received"
    ORDER = "order"
    UNREADABLE = "unreadable"
    COUNT = "count"
    FOLDER_MISSING = "folder missing"
    FOLDER_FAILED = "folder failed"
    SUBSCRIPTION = "subscription"


class Severity(StrEnum):
    """A `DIFFERENCE` makes the verdict unequal. A `NOTE` is known, explained or harmless."""

    DIFFERENCE = "difference"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What to compare, and how closely. Folder options mean what they mean to a pass, and must be
    the same for both."""

    deep: bool = False
    """Read both sides' octets of every message."""
    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    maps: MappingOf[FolderPath, FolderPath] = field(default_factory=dict)
    since: datetime | None = None
    """Older messages of the source are not looked for, by received date."""
    retries: int = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same on both sides. `folder` is the source's path, for `EXTRA` and
    `DOUBLED` the target's. `count` is how many messages it is about."""

    kind: Kind
    severity: Severity
    folder: FolderPath
    detail: str
    source_key: Key | None = None
    target_key: Key | None = None
    subject: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """So many more of the messages that go to this target folder have been listed, or read: pairs
    of messages, octets of both sides."""

    folder: FolderPath
    listed: int = 0
    read: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class FolderCompared:
    """A target folder and all source folders that go there are through. `identical` have been
    read and have the same octets on both sides."""

    sources: tuple[FolderPath, ...]
    target: FolderPath
    messages: int
    at_target: int
    paired: int
    identical: int
    differences: int
    notes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was compared and what came out. `differences` and `notes` count messages (folders for
    kinds of folders); `explained` counts messages by the name of what a server did to them.
    `problems` are wishes that could not be met (nothing was compared then); `remarks` is what
    happened meanwhile."""

    deep: bool
    folders: int = 0
    messages: int = 0
    at_target: int = 0
    paired: int = 0
    identical: int = 0
    octets: int = 0
    differences: MappingOf[Kind, int] = field(default_factory=dict)
    notes: MappingOf[Kind, int] = field(default_factory=dict)
    explained: MappingOf[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Everything of the source is at the target, as far as was looked."""
        return not self.differences and not self.problems


@dataclass(frozen=True, slots=True)
class Verified:
    """The last event."""

    verdict: Verdict


VerifyEvent = Opened | Mapped | Waiting | Progress | Difference | FolderCompared | Verified
