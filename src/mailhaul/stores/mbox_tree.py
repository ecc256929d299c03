"""Which folders a tree of mbox files has, and how they are named on disk.

One file is one folder. Folders below it lie in the directory of the same name with `.sbd` at its
end, as in Thunderbird; plain directories of mbox files are read too. A file that ends in `.mbox`
is called without it. Characters that a file name can't hold, or shouldn't, are written `%2f`.
"""

import os
from collections.abc import Iterator
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
    open_file,
)

BELOW = ".sbd"
ENDINGS = (".mbox", ".mbx")
_OTHERS = (".msf", ".dat", ".html", ".json", ".sqlite", ".lock", ".new")
NAMES = NameCoding("%", frozenset(), utf7=False, endings=(BELOW, *ENDINGS, *_OTHERS))
LONGEST = LONGEST_NAME - len(".") - len(".mailhaul.new")
"""Octets of a file name, with room for its manifest's."""


def check_mbox(path: Path, *, writing: bool) -> None:
    """Raises `BadInput` unless `path` is an mbox file or a directory that holds one, or, when
    writing, an empty directory that can be written, or nothing yet."""
    shown = printable(str(path), 200)
    if path.is_file():
        if writing:
            raise BadInput(
                f"“{shown}” is a file; name a directory, each folder becomes a file in it"
            )
        if not os.access(path, os.R_OK):
            raise BadInput(f"“{shown}” can't be read by this user; run as its owner or open it up")
        with path.open("rb") as file:
            if file.read(5) not in (b"From ", b""):
                raise BadInput(
                    f"“{shown}” is no mbox: it doesn't begin with “From ”; name a file that does"
                )
        return
    if not check_directory(path, "an mbox file or a directory of them", writing=writing):
        return
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = any(_is_surely(root, native) for native in _natives(root, [], []))
    finally:
        os.close(root)
    if not found and not (writing and next(path.iterdir(), None) is None):
        wanted = "an empty or a new directory" if writing else "an mbox file or a directory of some"
        raise BadInput(f"“{shown}” holds no mbox: no file in it begins with “From ”; name {wanted}")


def find_folders(root: int, notices: list[str]) -> list[Found]:
    """Every folder, INBOX first, parents before children."""
    return with_parents((path_of(native), native) for native in _natives(root, [], notices))


def path_of(native: str) -> FolderPath:
    """Where the folder with this native name lies."""
    *above, file = native.split("/")
    parts = [decode_name(NAMES, part.removesuffix(BELOW)) for part in above]
    for ending in ENDINGS:
        file = file.removesuffix(ending) or file
    parts.append(decode_name(NAMES, file))
    return with_inbox(tuple(parts))


def native_of(path: FolderPath) -> str:
    """The native name for a new folder. Raises `FolderFailed` when no file can be so called."""
    if not path:
        raise FolderFailed("a folder without a name can't be kept; give it one")
    parts = [encode_name(NAMES, part) for part in path]
    for part in parts:
        if len(part.encode()) > LONGEST:
            raise FolderFailed(
                f"folder “{printable('/'.join(path), 120)}” has too long a name for a file; map it "
                "to a shorter one"
            )
    return "/".join([*(part + BELOW for part in parts[:-1]), parts[-1]])


def steps(native: str) -> tuple[list[str], str]:
    """The directories to walk from the root, and the file in the last of them."""
    *above, file = native.split("/")
    return above, file


def manifest_name(file: str) -> str:
    """The manifest's name beside an mbox."""
    return f".{file}.mailhaul"


def inbox_of(found: list[Found]) -> Found | None:
    return next((each for each in found if each.path == INBOX_PATH), None)


def _natives(root: int, names: list[str], notices: list[str]) -> Iterator[str]:
    try:
        with directory(root, names) as here:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir(follow_symlinks=False) and _is_mbox(
                    here, entry, names, notices
                ):
                    yield "/".join([*names, entry.name])
    except OSError as error:
        note(notices, f"“{'/'.join(names)}” was left out: {(error.strerror or '').lower()}")
        return
    if len(names) >= DEEPEST:
        note(notices, f"“{'/'.join(names)}” was not looked into: it lies {DEEPEST} deep")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _natives(root, [*names, entry.name], notices)


def _is_mbox(here: int, entry: "os.DirEntry[str]", names: list[str], notices: list[str]) -> bool:
    shown = "/".join([*names, entry.name])
    if not entry.is_file(follow_symlinks=False):
        note(notices, f"“{shown}” was left out: it is no regular file")
        return False
    if entry.name.endswith(_OTHERS):
        return False
    try:
        descriptor = open_file(here, entry.name)
    except OSError as error:
        note(notices, f"“{shown}” was left out: {(error.strerror or '').lower()}")
        return False
    try:
        return os.pread(descriptor, 5, 0) in (b"From ", b"")
    finally:
        os.close(descriptor)


def _is_surely(root: int, native: str) -> bool:
    """Whether this is a mail program's mbox: an empty file may be anything, unless a manifest or
    Thunderbird's index lies beside it."""
    above, file = steps(native)
    with directory(root, above) as here:
        for name in (file, manifest_name(file), f"{file}.msf"):
            try:
                descriptor = open_file(here, name)
            except OSError:
                continue
            try:
                if name != file or os.pread(descriptor, 5, 0):
                    return True
            finally:
                os.close(descriptor)
    return False


def has_below(here: int, file: str) -> bool:
    """Whether folders may lie below this mbox."""
    return is_directory(here, file + BELOW)
