"""Which folders a Maildir tree has, and how they are named on disk.

Two layouts are met, and read even when mixed:

- Maildir++ (Dovecot, Courier): the root is the inbox, each folder a directory `.Sent.2024` beside
  `cur`, levels separated by dots, names in modified UTF-7. A character that can't stand in a name
  (dot, slash, backslash, a leading `~`) is written `\\2e`, as Dovecot's listescape plugin does.
- plain (mbsync `SubFolders Verbatim`, Thunderbird): each directory with `cur` in it is a folder,
  directories nest. Names are coded the same way; a dot need not be.

A folder's native name is its path below the root, empty for the root itself. New folders follow
the layout that is there; an empty target becomes Maildir++.
"""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from mailhaul.core.errors import BadInput, FolderFailed
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.text import printable
from mailhaul.stores.found_folders import (
    DEEPEST,
    Found,
    check_directory,
    note,
    with_inbox,
    with_parents,
)
from mailhaul.stores.safe_paths import (
    LONGEST_NAME,
    NameCoding,
    decode_name,
    directory,
    encode_name,
    is_directory,
    make_directory,
)

PARTS = ("cur", "new", "tmp")

PLUS_NAMES = NameCoding("\\", frozenset("."), utf7=True, portable=False)
PLAIN_NAMES = NameCoding("\\", frozenset(), utf7=True, reserved=frozenset(PARTS))


class Layout(StrEnum):
    PLUS = "Maildir++"
    PLAIN = "plain Maildirs"


def check_maildir(path: Path, *, writing: bool) -> None:
    """Raises `BadInput` unless `path` is a Maildir that can be read, or, when writing, one that can
    be written, an empty directory, or nothing yet in a directory that can be written."""
    if not check_directory(path, "the directory that holds cur, new and tmp", writing=writing):
        return
    shown = printable(str(path), 200)
    empty = next(path.iterdir(), None) is None
    if not (writing and empty) and layout_of(path) is None:
        wanted = "an empty or a new directory" if writing else "the directory that holds them"
        raise BadInput(
            f"“{shown}” is no Maildir: neither it nor a directory in it holds cur, new and tmp; "
            f"name {wanted}"
        )


def layout_of(path: Path) -> Layout | None:
    """What the tree at `path` is; None when no Maildir is in it."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        natives = list(_natives(root, [], []))
    finally:
        os.close(root)
    if any("/" in native or not native.startswith(".") for native in natives if native):
        has_plus = any(native.startswith(".") and "/" not in native for native in natives)
        return Layout.PLUS if has_plus else Layout.PLAIN
    return Layout.PLUS if natives else None


def find_folders(root: int, notices: list[str]) -> list[Found]:
    """Every folder, INBOX first, parents before children; parents that only exist in their
    children's names are among them with no native. What can't be looked into is noted."""
    return with_parents((path_of(native), native) for native in _natives(root, [], notices))


def path_of(native: str) -> FolderPath:
    """Where the folder with this native name lies."""
    if native == "":
        return INBOX_PATH
    if native.startswith(".") and "/" not in native:
        parts = [decode_name(PLUS_NAMES, part) or "." for part in native[1:].split(".")]
    else:
        parts = [decode_name(PLAIN_NAMES, part) for part in native.split("/")]
    return with_inbox(tuple(parts))


def native_of(path: FolderPath, layout: Layout, *, root_is_inbox: bool) -> str:
    """The native name for a new folder. Raises `FolderFailed` when nothing can be called so."""
    if not path:
        raise FolderFailed("a folder without a name can't be kept; give it one")
    if path == INBOX_PATH and root_is_inbox:
        return ""
    coding = PLUS_NAMES if layout is Layout.PLUS else PLAIN_NAMES
    parts = [encode_name(coding, part) for part in path]
    if layout is Layout.PLAIN:
        return "/".join(parts)
    native = "." + ".".join(parts)
    if len(native) > LONGEST_NAME:
        raise FolderFailed(
            f"folder “{printable('/'.join(path), 120)}” needs {len(native)} octets as a directory "
            f"name and disks take {LONGEST_NAME}; map it to a shorter one"
        )
    return native


def steps(native: str) -> list[str]:
    """The directories to walk from the root to the folder."""
    return native.split("/") if native else []


def is_maildir(here: int) -> bool:
    """Whether this directory is a folder. `new` and `tmp` may be missing: tools that carry trees
    about drop empty directories."""
    return is_directory(here, "cur") or (is_directory(here, "new") and is_directory(here, "tmp"))


def make_folder(root: int, native: str) -> bool:
    """Makes the folder with `cur`, `new` and `tmp`, durably; true when something was missing."""
    made = False
    names = steps(native)
    for depth, name in enumerate(names):
        with directory(root, names[:depth]) as parent:
            made |= make_directory(parent, name)
    with directory(root, names) as here:
        for part in PARTS:
            made |= make_directory(here, part)
        if native and "/" not in native and native.startswith("."):
            _mark(here)
    return made


def _mark(here: int) -> None:
    # Maildir++: a folder holds an empty file of this name, by which delivery agents know it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    os.close(os.open("maildirfolder", flags, 0o600, dir_fd=here))


def _natives(root: int, names: list[str], notices: list[str]) -> Iterator[str]:
    try:
        with directory(root, names) as here:
            below = sorted(entry.name for entry in os.scandir(here) if _may_hold(entry, notices))
            if is_maildir(here):
                yield "/".join(names)
    except OSError as error:
        note(notices, f"“{'/'.join(names)}” was left out: {(error.strerror or '').lower()}")
        return
    if len(names) >= DEEPEST:
        note(notices, f"“{'/'.join(names)}” was not looked into: it lies {DEEPEST} deep")
        return
    for name in below:
        if name not in PARTS:
            yield from _natives(root, [*names, name], notices)


def _may_hold(entry: "os.DirEntry[str]", notices: list[str]) -> bool:
    if entry.is_symlink() and entry.is_dir():
        note(notices, f"“{entry.name}” was left out: it is a link to somewhere else")
    return entry.is_dir(follow_symlinks=False)
