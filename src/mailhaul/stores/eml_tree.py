"""Which folders an eml tree has.

Ours are directories `0001`, `0002` … with a `manifest.jsonl` that says which folder each is: no
folder's or sender's words ever become a path (security.md 5). Other directories with .eml files in
them are read too: the directory's name is the folder's, and the root's own files are the inbox.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.text import printable
from mailhaul.stores.found_folders import DEEPEST, check_directory, note, with_inbox
from mailhaul.stores.manifest import Manifest
from mailhaul.stores.safe_paths import (
    NameCoding,
    decode_name,
    directory,
    make_directory,
    open_file,
)

MANIFEST = "manifest.jsonl"
FIRST = "0001"
FOREIGN_NAMES = NameCoding("%", frozenset(), utf7=False)
_OURS = re.compile(r"\d{4,12}")


def check_eml(path: Path, *, writing: bool) -> None:
    """Raises `BadInput` unless `path` is a directory that holds .eml files or an export of ours,
    or, when writing, an export of ours, an empty directory, or nothing yet."""
    if not check_directory(path, "the directory that holds the .eml files", writing=writing):
        return
    shown = printable(str(path), 200)
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        natives = list(walk(root, [], []))
        strange = [native for native in natives if not has_manifest(root, native)]
    finally:
        os.close(root)
    if writing and (strange or (not natives and next(path.iterdir(), None) is not None)):
        raise BadInput(
            f"“{shown}” holds files that mailhaul did not write; name an empty directory"
        )
    if not writing and not natives:
        raise BadInput(f"“{shown}” holds no .eml file; name the directory that holds them")


def walk(root: int, names: list[str], notices: list[str]) -> Iterator[str]:
    """The native name of every folder: its path below the root."""
    native = "/".join(names)
    try:
        with directory(root, names) as here:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            for entry in entries:
                if entry.is_symlink() and entry.is_dir():
                    note(notices, f"“{native}/{entry.name}” was left out: it is a link")
            below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            holds = any(is_message(entry.name) or entry.name == MANIFEST for entry in entries)
    except OSError as error:
        note(notices, f"“{native}” was left out: {(error.strerror or '').lower()}")
        return
    if holds:
        yield native
    if len(names) >= DEEPEST:
        note(notices, f"“{native}” was not looked into: it lies {DEEPEST} deep")
        return
    for name in below:
        if not name.startswith("."):
            yield from walk(root, [*names, name], notices)


def foreign_path(native: str) -> FolderPath:
    """The folder's path, from its directory's."""
    parts = [decode_name(FOREIGN_NAMES, part) for part in steps(native)]
    return with_inbox(tuple(parts)) or INBOX_PATH


def steps(native: str) -> list[str]:
    """The directories to walk from the root to the folder."""
    return native.split("/") if native else []


def has_manifest(root: int, native: str) -> bool:
    try:
        with directory(root, steps(native)) as here:
            os.close(open_file(here, MANIFEST))
            return True
    except OSError:
        return False


def is_message(name: str) -> bool:
    return name.lower().endswith(".eml")


def new_directory(root: int) -> str:
    """Makes the next numbered directory, durably, and returns its name."""
    while not make_directory(root, name := next_directory(root)):
        pass
    return name


def next_directory(root: int) -> str:
    """The name of the next directory to be made."""
    taken = [int(entry.name) for entry in os.scandir(root) if _OURS.fullmatch(entry.name)]
    return f"{max(taken, default=0) + 1:04d}"


def manifest_of(root: int, native: str) -> Manifest:
    """The folder's manifest, not yet read."""
    return Manifest(root, steps(native), MANIFEST)


def key_of(name: str) -> str:
    """The key of a file somebody else wrote: its name, made text where it is no UTF-8."""
    if any("\udc80" <= character <= "\udcff" for character in name):
        return f"\ufffd{os.fsencode(name).hex()}"
    return name


def name_of(key: str) -> str | None:
    """The file's name again; None for what no listing of such files gave."""
    name = os.fsdecode(bytes.fromhex(key[1:])) if key.startswith("\ufffd") else key
    return name if is_message(name) and "/" not in name and "\0" not in name else None
