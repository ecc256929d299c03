"""Folders: where they lie, what they are for, and what a target allows them to be called."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from mailhaul.core.text import printable

FolderPath = tuple[str, ...]
"""A folder's place: its components from the top of the personal namespace, without the server's
prefix and delimiter. The inbox is `INBOX_PATH`. A component may hold any character."""

INBOX_PATH: FolderPath = ("INBOX",)


def shown(path: FolderPath) -> str:
    """The path for people: joined by `/`, in quotation marks, printable."""
    return "“" + printable("/".join(path), 200) + "”"


State = NewType("State", str)
"""Opaque. Two equal states of one folder: nothing at all happened between them."""

Cursor = NewType("Cursor", str)
"""Opaque. A place in a folder's history (for IMAP: UIDVALIDITY, UIDNEXT and MODSEQ)."""


class Role(StrEnum):
    """Special use (RFC 6154, RFC 8457), with the inbox as one of them."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    TRASH = "trash"
    JUNK = "junk"
    ARCHIVE = "archive"
    ALL = "all"
    FLAGGED = "flagged"
    IMPORTANT = "important"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a mailbox as a listing shows it.

    `native` is the store's own name for it, opaque to everyone but the store (E4).
    `role` is what the server itself says (SPECIAL-USE, XLIST, `INBOX`); names are read by
    `engine.folders`. `count` is messages, `size` octets; None when the store can't say cheaply.
    """

    path: FolderPath
    native: str
    role: Role | None = None
    selectable: bool = True
    subscribed: bool = False
    count: int | None = None
    size: int | None = None
    state: State | None = None
    """None: the store can't tell whether something happened; look inside."""
    tail: Cursor | None = None
    """The end of the folder: `changes(folder, tail)` gives what is added after. Two equal tails:
    nothing was added and nothing renumbered between them. None: not known without looking."""


@dataclass(frozen=True, slots=True)
class NameRules:
    """What a target allows in folder names (failure-modes E1–E10), as far as it is known.

    `forbidden` characters can't stand in a component, nor `begins_not` at the beginning of the
    first one; `reserved` components (folded) can't be
    made at the top. Lengths are octets of the native name. `inferiors_of_mail` is false where a
    folder holds either mail or folders (E10).
    """

    delimiter: str | None = "/"
    forbidden: frozenset[str] = frozenset()
    begins_not: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()
    folds_case: bool = False
    trims_blanks: bool = False
    longest_component: int | None = None
    longest_path: int | None = None
    deepest: int | None = None
    inferiors_of_mail: bool = True
    encodes_utf7: bool = True
    """Lengths count the modified UTF-7 form (RFC 3501 5.1.3), else UTF-8."""
