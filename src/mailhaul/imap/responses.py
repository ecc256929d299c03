"""What a server says, as events: the reader makes them, the client hands them to commands.

Commands and stores see these values only, never wire octets. Where a value may be hostile text it
is still bytes: whoever shows it sends it through `core.text.printable`.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

from mailhaul.core.blob import Blob
from mailhaul.core.message import Entry, Flags
from mailhaul.imap.syntax import ProtocolFault, Value, parse

_TOOK = re.compile(rb" ?\(\d{1,9}\.\d{1,9}(?: \+ \d{1,9}\.\d{1,9})* secs\)\.?\Z")


@dataclass(slots=True, eq=False)
class Listing:
    """Listing lines that stood next to one another: UID, flags, date and size each; when `whole`
    is false, UID and flags alone."""

    entries: list[Entry]
    whole: bool = True


@dataclass(slots=True, eq=False)
class Body:
    """One whole message. `blob` is None when the server sent NIL (failure-modes D13)."""

    uid: int
    blob: Blob | None


@dataclass(slots=True, eq=False)
class Fetched:
    """A FETCH response of any other shape. What it didn't hold is None; `uid` may be missing in an
    unsolicited one (C5). `attributes` are its further values by upper-case name."""

    uid: int | None
    flags: Flags | None = None
    size: int | None = None
    received: datetime | None = None
    modseq: int | None = None
    attributes: dict[bytes, Value] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Untagged:
    """`* NAME …` or `* number NAME`. `values()` parses what follows, once it is wanted."""

    name: bytes
    number: int | None
    fragments: list[bytes | Blob]

    def values(self) -> list[Value]:
        """Raises `ProtocolFault` when it is no IMAP syntax."""
        return parse(self.fragments)

    def values_if_any(self) -> list[Value]:
        """The same; none when it is no IMAP syntax, for what can be done without."""
        try:
            return parse(self.fragments)
        except ProtocolFault:
            return []


@dataclass(slots=True, eq=False)
class Status:
    """OK, NO, BAD, BYE or PREAUTH; `tag` is None for an untagged one. `code` is the response
    code's name in capitals, empty when there is none; `arguments` its raw rest (RFC 9051 7.1)."""

    tag: bytes | None
    kind: bytes
    code: bytes
    arguments: bytes
    text: bytes

    @property
    def said(self) -> bytes:
        """The text without the time that Dovecot says it took."""
        return _TOOK.sub(b"", self.text)


@dataclass(slots=True, eq=False)
class Continuation:
    """`+ …`: the server waits for more (RFC 9051 7.6); the text may be missing (F10)."""

    text: bytes


Event = Listing | Body | Fetched | Untagged | Status | Continuation
