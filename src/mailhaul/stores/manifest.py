"""The manifest beside exported mail: what a plain file can't keep, one JSON object a line.

It is only ever appended to and made durable with each batch; a message is there once its line is.
The first line names the folder and its `validity`, a random word: another word, another history.
Then one line a message (`uid`, `size`, `sha256`, `received`, `flags`, and for mbox its place), and
lines for what happened later: `{"uid": 7, "flags": […]}`, `{"gone": [7]}`, `{"subscribed": true}`,
`{"role": "sent"}`. The number of lines is the folder's MODSEQ, so what changed since is known to
the message. A last line without its line end is what a crash left, and counts for nothing.
"""

import errno
import fcntl
import json
import os
import re
import secrets
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailhaul.core.errors import CursorExpired, FolderFailed, RetryLater
from mailhaul.core.folder import Cursor, FolderPath, Role
from mailhaul.core.message import SYSTEM_FLAGS, Entry, Flags, Key
from mailhaul.core.store import Changes
from mailhaul.core.text import printable
from mailhaul.stores.file_messages import PAGE
from mailhaul.stores.line_ends import Form
from mailhaul.stores.safe_paths import chunks_of, directory, open_file, open_log, write_all

LONGEST_LINE = 4 * 1024 * 1024
_NO_DATE = -(2**62)
_FORMS = (Form.LF, Form.CRLF, Form.RAW)
_TAIL = re.compile(r"T (\S+) (\d{1,18})")
_CURSOR = re.compile(r"C (\S+) (\d{1,18}) (\d{1,18})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies in an mbox: its From_ line, its octets, and in which form."""

    line: int
    start: int
    end: int
    form: Form


@dataclass(frozen=True, slots=True)
class Record:
    """One message's line."""

    uid: int
    size: int
    sha256: bytes
    received: datetime | None
    flags: Flags
    place: Place | None = None


class Manifest:
    """A folder's manifest, read. Keeps some 120 octets a message."""

    def __init__(self, root: int, steps: Sequence[str], name: str) -> None:
        """The file `name` in the directory that lies `steps` below `root`."""
        self._root = root
        self._steps = steps
        self.name = name
        self._forget()

    def _forget(self) -> None:
        self.validity = ""
        self.path: FolderPath = ()
        self.role: Role | None = None
        self.subscribed = False
        self.inode = 0
        self.uidnext = 1
        self.lines = 0
        self._first = b""
        self._read = 0
        self._uids = array("q")
        self._sizes = array("q")
        self._received = array("q")
        self._changed = array("q")
        self._places = array("q")
        self._digests = bytearray()
        self._flags: list[Flags] = []
        self._gone: list[tuple[int, int]] = []
        self._spellings: dict[tuple[str, ...], Flags] = {}

    def __len__(self) -> int:
        return len(self._uids)

    @property
    def octets(self) -> int:
        return sum(self._sizes)

    def state(self, strangers: int = 0) -> str:
        """Equal while nothing happened; a cursor too. `strangers` are messages that follow ours in
        the file and have no line yet: they count as numbered."""
        return f"C {self.validity} {self.uidnext + strangers} {self.lines}"

    def tail(self, strangers: int = 0) -> Cursor:
        return Cursor(f"T {self.validity} {self.uidnext + strangers}")

    def refresh(self) -> bool:
        """Reads what was added since the last time; false when there is no manifest. Raises
        `FolderFailed` when it makes no sense, OSError when it can't be read."""
        try:
            with directory(self._root, self._steps) as here:
                descriptor = open_file(here, self.name)
        except OSError as error:
            # What is no regular file is none of ours: the mail is read without it.
            if error.errno not in (errno.ENOENT, errno.ELOOP, errno.EINVAL):
                raise
            self._forget()
            return False
        try:
            # Another first line, or fewer octets than were read: another file of the same name.
            if os.pread(descriptor, len(self._first), 0) != self._first:
                self._forget()
            if os.fstat(descriptor).st_size < self._read:
                self._forget()
            held = b""
            for chunk in chunks_of(descriptor, self._read):
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                if len(held) > LONGEST_LINE:
                    raise self._damaged()
        finally:
            os.close(descriptor)
        return bool(self.validity)

    def begin(self, kind: str, path: FolderPath, role: Role | None = None) -> None:
        """Writes the first line, durably."""
        first = {"mailhaul": kind, "version": 1, "validity": secrets.token_hex(8)}
        self.write([{**first, "path": list(path), "role": role}])
        with directory(self._root, self._steps) as here:
            os.fsync(here)

    def add(self, records: Sequence[Record]) -> None:
        """Writes down messages that are on disk, durably."""
        self.write([_line(record) for record in records])

    def write(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Appends lines, durably, and takes note of them. Raises OSError."""
        text = b"".join(map(line_text, lines))
        with directory(self._root, self._steps) as here:
            descriptor = open_log(here, self.name)
        try:
            if os.fstat(descriptor).st_size > self._read:
                os.ftruncate(descriptor, self._read)  # the torn line that a crash left
            write_all(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for line in text.split(b"\n")[:-1]:
            self._take(line)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing here; what they wrote before is known inside.
        Raises `RetryLater` while another does."""
        with directory(self._root, self._steps) as here:
            descriptor = open_log(here, self.name)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RetryLater("another process is writing to this folder", after=2) from error
            self.refresh()
            yield
        finally:
            os.close(descriptor)

    def record(self, uid: int) -> Record | None:
        """The message's line; None when there is none or it is gone."""
        row = bisect_left(self._uids, uid)
        if row == len(self._uids) or self._uids[row] != uid:
            return None
        place = None
        if self._places:
            line, start, end, form = self._places[4 * row : 4 * row + 4]
            place = Place(line, start, end, _FORMS[form])
        digest = bytes(self._digests[32 * row : 32 * row + 32])
        entry = self._entry(row)
        return Record(uid, self._sizes[row], digest, entry.received, entry.flags, place)

    def records(self) -> Iterator[Record]:
        """All messages in order."""
        for uid in self._uids:
            record = self.record(uid)
            assert record is not None
            yield record

    def flags_after(self, uid: int, add: Flags, remove: Flags) -> Flags | None:
        """The message's flags after a change; None when that changes nothing or it is gone."""
        record = self.record(uid)
        if record is None:
            return None
        unwanted = {flag.lower() for flag in remove}
        left = {flag for flag in record.flags if flag.lower() not in unwanted}
        known = {flag.lower() for flag in left}
        left |= {flag for flag in add if flag.lower() not in known}
        return None if left == record.flags else frozenset(left)

    def spread(self, most: int) -> list[Record]:
        """At most so many of the messages, evenly spread, and the last."""
        total = len(self._uids)
        rows = {round(step * (total - 1) / max(1, most - 1)) for step in range(min(most, total))}
        found = (self.record(self._uids[row]) for row in sorted(rows | {total - 1} - {-1}))
        return [record for record in found if record is not None]

    def copied(self) -> bytes:
        """The manifest's octets, as far as they were read."""
        with directory(self._root, self._steps) as here:
            descriptor = open_file(here, self.name)
        try:
            return b"".join(chunks_of(descriptor, 0, self._read))
        finally:
            os.close(descriptor)

    def changes(self, since: Cursor | None, strangers: Sequence[Entry] = ()) -> Iterator[Changes]:
        """The pages that `Source.changes` gives."""
        end, tail = Cursor(self.state(len(strangers))), self.tail(len(strangers))
        if since is None:
            rows: Sequence[int] = range(len(self._uids))
            yield from self._pages(rows, whole=True)
            yield Changes(strangers, whole=True, cursor=end)
            return
        kind, uidnext, lines = self._placed(since, self.uidnext + len(strangers))
        fresh = bisect_left(self._uids, uidnext)
        added = [
            entry for entry in strangers if isinstance(entry.key, int) and entry.key >= uidnext
        ]
        if kind == "T":
            yield from self._pages(range(fresh, len(self._uids)), whole=False)
            yield Changes(added, cursor=tail)
            return
        known = [row for row in range(fresh) if self._changed[row] > lines]
        yield from self._pages([*known, *range(fresh, len(self._uids))], whole=False)
        gone = [uid for line, uid in self._gone if line > lines and uid < uidnext]
        yield Changes(added, gone, cursor=end)

    def _pages(self, rows: Sequence[int], *, whole: bool) -> Iterator[Changes]:
        for start in range(0, len(rows), PAGE):
            yield Changes([self._entry(row) for row in rows[start : start + PAGE]], whole=whole)

    def _entry(self, row: int) -> Entry:
        seconds = self._received[row]
        received = None if seconds == _NO_DATE else datetime.fromtimestamp(seconds, UTC)
        return Entry(self._uids[row], self._flags[row], self._sizes[row], received)

    def _placed(self, cursor: Cursor, highest: int) -> tuple[str, int, int]:
        match = _TAIL.fullmatch(cursor) or _CURSOR.fullmatch(cursor)
        if match is None or match[1] != self.validity:
            raise CursorExpired("the folder was made anew")
        uidnext, lines = int(match[2]), int(match[3]) if match.re is _CURSOR else 0
        if uidnext > highest or lines > self.lines:
            raise CursorExpired("the folder went back in time")
        return cursor[0], uidnext, lines

    def _take(self, line: bytes) -> None:
        if self.lines == 0:
            self._first = line + b"\n"
        self.lines += 1
        try:
            self._take_object(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise self._damaged() from error
        self._read += len(line) + 1

    def _take_object(self, line: dict[str, Any]) -> None:
        if not isinstance(line, dict):
            raise TypeError("no object")
        if self.lines == 1:
            if line["version"] != 1:
                raise ValueError("of a later mailhaul")
            self.validity = str(line["validity"])
            self.path = tuple(str(part) for part in line["path"])
        if "role" in line:
            self.role = Role(line["role"]) if line["role"] else None
        if "inode" in line:
            self.inode = int(line["inode"])
        if "subscribed" in line:
            self.subscribed = bool(line["subscribed"])
        if "gone" in line:
            for uid in line["gone"]:
                self._drop(int(uid))
        elif "size" in line:
            self._take_message(line)
        elif "uid" in line:
            row = bisect_left(self._uids, line["uid"])
            if row < len(self._uids) and self._uids[row] == line["uid"]:
                self._take_change(row, line)

    def _take_message(self, line: dict[str, Any]) -> None:
        uid = int(line["uid"])
        if uid < self.uidnext:
            raise ValueError("numbers must ascend")
        digest = bytes.fromhex(line["sha256"])
        if len(digest) != 32:
            raise ValueError("no SHA-256")
        received = line["received"]
        when = _NO_DATE if received is None else int(datetime.fromisoformat(received).timestamp())
        flags = self._shared(line["flags"])
        if "place" in line:
            self._places.extend(_place_columns(line["place"]))
        self._uids.append(uid)
        self._sizes.append(int(line["size"]))
        self._received.append(when)
        self._changed.append(self.lines)
        self._digests += digest
        self._flags.append(flags)
        self.uidnext = uid + 1

    def _take_change(self, row: int, line: dict[str, Any]) -> None:
        if "place" in line:
            self._places[4 * row : 4 * row + 4] = _place_columns(line["place"])
        if "flags" in line:
            self._flags[row] = self._shared(line["flags"])
            self._changed[row] = self.lines

    def _drop(self, uid: int) -> None:
        row = bisect_left(self._uids, uid)
        if row == len(self._uids) or self._uids[row] != uid:
            return
        for column in (self._uids, self._sizes, self._received, self._changed, self._flags):
            del column[row]
        del self._digests[32 * row : 32 * row + 32]
        del self._places[4 * row : 4 * row + 4]
        self._gone.append((self.lines, uid))

    def _shared(self, flags: Sequence[str]) -> Flags:
        # Most messages of a folder have one of a few sets of flags: kept once.
        names = tuple(sorted(str(flag) for flag in flags))
        return self._spellings.setdefault(names, frozenset(names))

    def _damaged(self) -> FolderFailed:
        number = self.lines
        self._forget()
        return FolderFailed(
            f"line {number} of “{printable(self.name)}” makes no sense; restore the file, "
            "or move it away and the mail is read without it"
        )


def past(place: Cursor, uids: set[int]) -> Cursor:
    """The tail at `place`, a tail or a cursor, moved on over these as far as they follow each
    other; what no manifest gave is given back."""
    match = _TAIL.fullmatch(place) or _CURSOR.fullmatch(place)
    if match is None:
        return place
    uidnext = int(match[2])
    while uidnext in uids:
        uidnext += 1
    return Cursor(f"T {match[1]} {uidnext}")


def kept(flags: Flags) -> Flags:
    """Those that are kept. A manifest could hold anything, but `\\Forwarded` and the like are no
    flags anywhere (D17)."""
    return frozenset(
        flag for flag in flags if not flag.startswith("\\") or flag.lower() in SYSTEM_FLAGS
    )


def uid_of(key: Key) -> int:
    """The uid that a key of a folder with a manifest is; -1 for other keys, which name nothing."""
    return key if isinstance(key, int) else -1


def _place_columns(place: Sequence[Any]) -> "array[int]":
    line, start, end, form = place
    return array("q", (int(line), int(start), int(end), _FORMS.index(Form(form))))


def place_line(place: Place) -> list[object]:
    """How a place is written in a line."""
    return [place.line, place.start, place.end, place.form]


def line_text(line: Mapping[str, object]) -> bytes:
    """A line as it is written."""
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _line(record: Record) -> dict[str, object]:
    line: dict[str, object] = {
        "uid": record.uid,
        "size": record.size,
        "sha256": record.sha256.hex(),
        "received": record.received.isoformat() if record.received else None,
        "flags": sorted(record.flags),
    }
    if record.place is not None:
        line["place"] = place_line(record.place)
    return line
