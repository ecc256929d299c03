"""One mbox as it is now: what the manifest beside it says, and what the file itself says where
there is no manifest, or more in the file than in it.

A manifest counts when the file still has messages where it says; a program that has rewritten the
file has made it void. Messages after the last one that the manifest knows are strangers (somebody
delivered them), unless their From_ line is ours: a crash has left those, and they don't count.
"""

import os
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from zlib import crc32

from mailhaul.core.folder import Cursor
from mailhaul.core.message import Entry, Flags
from mailhaul.stores.line_ends import Form, from_disk, size_from_disk
from mailhaul.stores.manifest import Manifest, Place
from mailhaul.stores.mbox_format import date_of, marks_of, segments, unquoted
from mailhaul.stores.safe_paths import chunks_of

_NO_DATE = -(2**62)
CHECKED = 64
"""So many of a manifest's messages are looked for in the file before it is believed."""


class Index:
    """The messages that the file itself tells of, from one offset on. Some 60 octets a message."""

    def __init__(self) -> None:
        self._columns = array("q")
        self._flags: list[Flags] = []
        self._spellings: dict[Flags, Flags] = {}
        self.expunged = 0
        self.torn: int | None = None
        """Where a crash's leavings begin, when nothing else follows them."""

    def __len__(self) -> int:
        return len(self._flags)

    def place(self, row: int) -> Place:
        line, start, end = self._columns[6 * row : 6 * row + 3]
        return Place(line, start, end, Form.LF)

    def entry(self, row: int, first: int = 1) -> Entry:
        """The listing line of a message; the first one's key is `first`."""
        size, seconds = self._columns[6 * row + 3 : 6 * row + 5]
        received = None if seconds == _NO_DATE else datetime.fromtimestamp(seconds, UTC)
        return Entry(first + row, self._flags[row], size, received)

    def history(self, count: int) -> str:
        """A digest of where the first `count` messages lie: equal ones mean equal keys."""
        return blake2b(self._columns[: 6 * count].tobytes(), digest_size=16).hexdigest()

    def take(self, descriptor: int, begin: int, token: bytes) -> Iterator[int]:
        """Reads the file from `begin`; From_ lines with `token` in them are a crash's. Yields each
        message's octets before it is looked at: files may be large, and others want their turn."""
        for segment in segments(descriptor, begin):
            if token and token in segment.from_line:
                self.torn = segment.line if self.torn is None else self.torn
                continue
            self.torn = None
            yield segment.end - segment.start
            marks = marks_of(descriptor, segment)
            if marks.expunged:
                self.expunged += 1
                continue
            size = size_from_disk(unquoted(chunks_of(descriptor, segment.start, segment.end)))
            date = date_of(segment.from_line)
            seconds = _NO_DATE if date is None else int(date.timestamp())
            # Sizes and dates follow from the rest, or may be mended; they are no part of history.
            figures = (segment.line, segment.start, segment.end, size, seconds)
            self._columns.extend((*figures, crc32(segment.from_line)))
            # Most messages of a folder have one of a few sets of flags: kept once.
            self._flags.append(self._spellings.setdefault(marks.flags, marks.flags))


class View:
    """A folder at one moment: `book` when there is a manifest that counts. `reading` must have been
    gone through before anything else is asked."""

    def __init__(self, descriptor: int, book: Manifest | None) -> None:
        self.stamp = stamp_of(descriptor)
        self.book = book if book is not None and _counts(descriptor, book) else None
        self.index = Index()

    def reading(self, descriptor: int) -> Iterator[int]:
        """Reads what is only in the file; yields the octets of each message."""
        begin, token = 0, b""
        if self.book is not None:
            begin, token = covered(descriptor, self.book), token_of(self.book)
        return self.index.take(descriptor, begin, token)

    @property
    def first(self) -> int:
        """The key of the first message that is only in the file."""
        return 1 if self.book is None else self.book.uidnext

    def strangers(self) -> list[Entry]:
        return [self.index.entry(row, self.first) for row in range(len(self.index))]

    def place(self, key: int) -> Place | None:
        """Where the message lies; None when it is gone."""
        if self.book is not None and key < self.book.uidnext:
            record = self.book.record(key)
            return None if record is None else record.place
        row = key - self.first
        return self.index.place(row) if 0 <= row < len(self.index) else None

    def sha256(self, key: int) -> bytes | None:
        record = self.book.record(key) if self.book is not None else None
        return None if record is None else record.sha256

    def foreign_cursor(self) -> Cursor:
        count = len(self.index)
        return Cursor(f"F {count} {self.index.history(count)} {self.stamp}")


def stamp_of(descriptor: int) -> str:
    """Equal ones: the file was not touched."""
    status = os.fstat(descriptor)
    return f"{status.st_size}.{status.st_mtime_ns}.{status.st_ino}"


def octets(descriptor: int, place: Place) -> Iterator[bytes]:
    """The message's octets."""
    return from_disk(unquoted(chunks_of(descriptor, place.start, place.end)), place.form)


def covered(descriptor: int, book: Manifest) -> int:
    """Where the file goes on after the last message that the manifest knows."""
    last = book.spread(1)
    if not last or last[-1].place is None:
        return 0
    end = last[-1].place.end
    after = os.pread(descriptor, 4, end)
    return end + len(after) - len(after.lstrip(b"\r\n"))


def token_of(book: Manifest) -> bytes:
    """What marks the From_ lines that we write in this folder."""
    return f"mailhaul@{book.validity}".encode()


def _counts(descriptor: int, book: Manifest) -> bool:
    size = os.fstat(descriptor).st_size
    for record in book.spread(CHECKED):
        place = record.place
        if place is None or place.end > size or os.pread(descriptor, 5, place.line) != b"From ":
            return False
        if os.pread(descriptor, 1, place.start - 1) != b"\n":
            return False
    return os.pread(descriptor, 5, covered(descriptor, book)) in (b"From ", b"")
