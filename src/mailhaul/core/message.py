"""One mail: its key inside a folder, its flags, its line in a listing, and itself."""

from dataclasses import dataclass
from datetime import datetime

from mailhaul.core.blob import Blob

Key = int | str
"""A message's name inside a folder: the UID where the store numbers its messages, else a string.
Keys of one folder are of one type; ascending order is the folder's own order."""

Flags = frozenset[str]
"""IMAP flags and keywords (RFC 3501 2.3.2). System flags in their canonical spelling (`\\Seen`),
keywords as the store spells them. `\\Recent` and `\\*` are never among them."""

SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}
NO_FLAGS: Flags = frozenset()


def folded(flags: Flags) -> Flags:
    """`flags` for comparison: keywords are case-insensitive (RFC 3501 9; failure-modes D18)."""
    return frozenset(flag.lower() for flag in flags)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two copies the same message on any two systems, as far as its header tells.

    `digest` is `core.identity.header_identity` of the header fields Message-ID, Date, From and
    Subject: 16 bytes. `named` says whether there was a Message-ID at all.
    """

    digest: bytes
    named: bool


@dataclass(slots=True, eq=False)
class Entry:
    """One line of a folder's listing.

    `size` is what the store says (RFC822.SIZE: octets with CRLF), not what the message will turn
    out to be (D11). `received` is the INTERNALDATE, aware, or None when the store gives none or
    nonsense (D14). Both are None in a listing of flags alone (see `Changes`).
    """

    key: Key
    flags: Flags = NO_FLAGS
    size: int | None = None
    received: datetime | None = None


@dataclass(slots=True, eq=False)
class Message:
    """A whole mail as it was fetched: its listing line and its bytes."""

    entry: Entry
    blob: Blob


@dataclass(slots=True, eq=False)
class Unreadable:
    """A message that is listed but that the source won't hand over, or hands a substitute for
    (failure-modes finding 5, B14, D13, D24). `reason` is printable."""

    entry: Entry
    reason: str
