"""The only way file stores touch the disk: below an opened directory, one plain name at a time.

Whatever a folder is called and whatever already lies in the tree, nothing outside the root is
read or written (failure-modes E17; CVE-like cases in security.md 5): names are coded so that none
can be `..`, hidden, reserved or hold a slash; every step is taken relative to a directory's
descriptor with O_NOFOLLOW; files are opened without blocking and must turn out to be regular.
File calls are made in line, not in a thread: they are short, and docs/decisions says why.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.blob import CHUNK
from mailhaul.core.errors import BadInput, Closed, ClosedReason, FolderFailed, RetryLater
from mailhaul.core.text import printable
from mailhaul.imap import mailbox_names

_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LONGEST_NAME = 255
"""Octets of one name, on every common file system."""


@dataclass(frozen=True, slots=True)
class NameCoding:
    """How a folder's name becomes a file's name, and back.

    Characters that can't stand there are written as `escape` and two hexadecimal digits.
    `utf7` writes what isn't ASCII in modified UTF-7, as IMAP servers do on disk. `reserved` are
    names (folded) that mean something else there; `endings` can't end a name.
    """

    escape: str
    special: frozenset[str]
    utf7: bool
    reserved: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    portable: bool = True
    """Also keeps away from what Windows can't hold."""


def encode_name(coding: NameCoding, text: str) -> str:
    """The file name for a folder's name; never empty, `.`, `..`, hidden, or with a slash in it.
    Raises `FolderFailed` when no file can be called so (too long, half a character)."""
    if not text:
        raise FolderFailed("a folder without a name can't be kept in a file; give it one")
    parts = [_escaped(coding, character) for character in text]
    if text[0] in ".~":
        parts[0] = _hexed(coding, text[0])
    lowered = text.lower()
    if lowered in coding.reserved or (coding.portable and _WINDOWS.fullmatch(text)):
        parts[0] = _hexed(coding, text[0])
    if coding.portable and text[-1] in ". ":
        parts[-1] = _hexed(coding, text[-1])
    for ending in coding.endings:
        if lowered.endswith(ending):
            parts[-len(ending)] = _hexed(coding, text[-len(ending)])
    name = "".join(parts)
    try:
        name = mailbox_names.encode(name) if coding.utf7 else name
        length = len(name.encode())
    except (BadInput, UnicodeEncodeError) as error:
        raise FolderFailed(
            f"folder “{printable(text, 120)}” holds half a character; rename it"
        ) from error
    if length > LONGEST_NAME:
        raise FolderFailed(
            f"folder “{printable(text, 120)}” needs {length} octets as a file name and disks take "
            f"{LONGEST_NAME}; map it to a shorter name"
        )
    return name


def decode_name(coding: NameCoding, name: str) -> str:
    """What a file name means as a folder's name: exactly what `encode_name` was given, or, for a
    name of another making, the name itself with octets that are no UTF-8 as `%E9`."""
    text = mailbox_names.decode(name) if coding.utf7 and name.isascii() else name
    if text is not None:
        text = _unescaped(coding, text)
        try:
            if encode_name(coding, text) == name:
                return text
        except FolderFailed:
            pass
    if coding.utf7 and name.isascii() and (plain := mailbox_names.decode(name)) is not None:
        return plain
    return "".join(
        f"%{ord(character) & 0xFF:02X}" if "\udc80" <= character <= "\udcff" else character
        for character in name
    )


def open_root(path: Path) -> int:
    """A descriptor of the store's own directory; the root itself may be a symbolic link."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def is_there(path: Path) -> bool:
    """Whether a store's own directory is there. Raises OSError when something else is."""
    if not path.exists():
        return False
    path.mkdir(exist_ok=True)  # makes nothing: fails for what is no directory
    return True


def folds_case(path: Path) -> bool:
    """Whether the disk at `path`, or where that will be, takes `Sent` and `sent` for one name
    (E1)."""
    resolved = path.resolve()
    while not resolved.exists():
        resolved = resolved.parent
    swapped = resolved.name.swapcase()
    if swapped == resolved.name:
        return False
    other = resolved.with_name(swapped)
    return other.exists() and other.samefile(resolved)


@contextmanager
def directory(root: int, names: Sequence[str]) -> Iterator[int]:
    """The descriptor of the directory that lies `names` below `root`, no link being followed. A
    negative root is one that isn't there yet."""
    if root < 0:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    here = os.dup(root)
    try:
        for name in names:
            below = os.open(_plain(name), _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def is_directory(parent: int, name: str) -> bool:
    """Whether a real directory is there: a link to one is none."""
    try:
        return stat.S_ISDIR(os.stat(_plain(name), dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def make_directory(parent: int, name: str) -> bool:
    """Makes a directory, durably; false when it was there."""
    try:
        os.mkdir(_plain(name), 0o700, dir_fd=parent)
    except FileExistsError:
        if not is_directory(parent, name):
            raise
        return False
    os.fsync(parent)
    return True


def open_file(parent: int, name: str) -> int:
    """A descriptor for reading a regular file. Raises OSError; a link, FIFO, socket or device is
    ELOOP or EINVAL, at once."""
    descriptor = os.open(_plain(name), _REGULAR, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file")
    return descriptor


def create_file(parent: int, name: str) -> int:
    """A descriptor for writing a file that was not there before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(_plain(name), flags, 0o600, dir_fd=parent)


def open_log(parent: int, name: str) -> int:
    """A descriptor for appending to a regular file, made if missing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(_plain(name), flags, 0o600, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file")
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of it, however often the system takes less."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def chunks_of(descriptor: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The file's octets from `start` to `end` (else to its end), a chunk at a time."""
    while end is None or start < end:
        wanted = CHUNK if end is None else min(CHUNK, end - start)
        data = os.pread(descriptor, wanted, start)
        if not data:
            return
        start += len(data)
        yield data


def replace_file(parent: int, name: str, data: bytes) -> None:
    """Puts `data` in the place of a small file, all or nothing, durably."""
    fresh = f"{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(_plain(fresh), dir_fd=parent)
    descriptor = create_file(parent, fresh)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(fresh, _plain(name), src_dir_fd=parent, dst_dir_fd=parent)
    os.fsync(parent)


@contextmanager
def telling(shown: str) -> Iterator[None]:
    """Turns what the system says about a file into what a caller of a store does next."""
    try:
        yield
    except OSError as error:
        reason = printable(error.strerror or str(error))
        text = f"“{printable(shown, 200)}”: {reason.lower()}"
        if error.errno in _FULL:
            raise Closed(f"{text}; make room on the disk", ClosedReason.FULL) from error
        if error.errno == errno.EROFS:
            raise Closed(f"{text}; mount it for writing", ClosedReason.FORBIDDEN) from error
        if error.errno in (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE):
            raise RetryLater(text, after=5) from error
        raise FolderFailed(text) from error


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """As `telling`, for a store's own directory: without it there is nothing to try again."""
    try:
        yield
    except OSError as error:
        raise Closed(
            f"“{printable(str(path), 200)}” can't be opened: "
            f"{printable((error.strerror or '').lower())}",
            ClosedReason.FORBIDDEN,
        ) from error


def _plain(name: str) -> str:
    assert name not in ("", ".", "..") and "/" not in name and "\0" not in name, name
    return name


def _escaped(coding: NameCoding, character: str) -> str:
    if character == coding.escape or character in "/\0" or character in coding.special:
        return _hexed(coding, character)
    if coding.portable and character in '<>:"|?*\\':
        return _hexed(coding, character)
    if not coding.utf7 and (character < " " or "\x7f" <= character < "\xa0"):
        return _hexed(coding, character)
    return character


def _hexed(coding: NameCoding, character: str) -> str:
    return "".join(f"{coding.escape}{octet:02x}" for octet in character.encode())


def _unescaped(coding: NameCoding, text: str) -> str:
    run = re.compile(f"(?:{re.escape(coding.escape)}[0-9a-f]{{2}})+")
    return run.sub(lambda match: _unhexed(match[0].replace(coding.escape, "")), text)


def _unhexed(digits: str) -> str:
    return bytes.fromhex(digits).decode(errors="replace")
