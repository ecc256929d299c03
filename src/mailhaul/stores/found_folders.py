"""What the trees of all file stores have in common: folders found on disk, and paths checked."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import INBOX_PATH, Folder, FolderPath, Role
from mailhaul.core.text import printable

DEEPEST = 60
"""Levels of directories looked into; deeper trees are somebody's joke."""


@dataclass(frozen=True, slots=True)
class Found:
    """One folder on disk; `native` is None for a level that only exists in others' names."""

    path: FolderPath
    native: str | None


def with_inbox(path: FolderPath) -> FolderPath:
    """`path` with its first component spelled `INBOX` if that is what it means: in any case, but
    in ASCII only (RFC 3501 5.1; a dotless ı is another letter, whatever its capital is)."""
    if path and path[0].isascii() and path[0].upper() == INBOX_PATH[0]:
        return (*INBOX_PATH, *path[1:])
    return path


def with_parents(named: Iterable[tuple[FolderPath, str]]) -> list[Found]:
    """INBOX first, parents before children. Two directories whose names mean the same folder (a
    Maildir++ and a plain one, UTF-8 and UTF-7) are told apart by `~2`."""
    found: dict[FolderPath, str | None] = {}
    for path, native in named:
        free = path
        while found.get(free) is not None:
            free = (*free[:-1], f"{free[-1]} ~2")
        found[free] = native
    for path in list(found):
        for depth in range(1, len(path)):
            found.setdefault(path[:depth], None)
    ordered = sorted(found.items(), key=lambda pair: (pair[0][0] != "INBOX", pair[0]))
    return [Found(path, native) for path, native in ordered]


def with_promised_inbox(folders: list[Folder], native: str) -> list[Folder]:
    """`folders` of a target, and the inbox among them even where it is not made yet: then it can't
    be looked into. It will be called `native`."""
    if folders and folders[0].path == INBOX_PATH:
        return folders
    return [Folder(INBOX_PATH, native, Role.INBOX, selectable=False), *folders]


def is_promised(folder: Folder) -> bool:
    """Whether this is an inbox that was listed before it was made."""
    return folder.path == INBOX_PATH and not folder.selectable


def check_directory(path: Path, wanted: str, *, writing: bool) -> bool:
    """Whether `path` is there. Raises `BadInput` when it can't be used: not there for reading,
    can't be made for writing, is no directory, or is closed to this user. `wanted` says what to
    name instead."""
    shown = printable(str(path), 200)
    if not path.exists():
        if not writing:
            raise BadInput(f"there is no “{shown}”; name {wanted}")
        _check_parent(path)
        return False
    if not path.is_dir():
        raise BadInput(f"“{shown}” is a file; name {wanted}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadInput(f"“{shown}” can't be read by this user; run as its owner or open it up")
    if writing and not os.access(path, os.W_OK):
        raise BadInput(f"“{shown}” can't be written by this user; run as its owner or open it up")
    return True


def note(notices: list[str], text: str) -> None:
    """Adds what a person should know, printable, once."""
    shown = printable(text)
    if shown not in notices:
        notices.append(shown)


def _check_parent(path: Path) -> None:
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise BadInput(
            f"“{printable(str(path), 200)}” can't be made: this user can't write "
            f"“{printable(str(parent), 200)}”; name a place that this user can write"
        )
