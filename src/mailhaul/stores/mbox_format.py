"""The mbox format: where messages begin, how `From ` lines inside them are kept apart, what the
From_ line and the status headers say.

Written is mboxrd: a line of the message that is `From ` after any number of `>` gets one `>` more,
and loses it when it is read. A message begins at a `From ` line that has a time and a year in it
and follows a blank line; the first line of the file needs no date. Everything streams.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from mailhaul.core.message import Flags
from mailhaul.stores.safe_paths import chunks_of

LONGEST_FROM = 1024
"""Octets of a From_ line; a longer line is none."""
_HEADER = 16 * 1024

_QUOTE = re.compile(rb"\n(>*From )")
_UNQUOTE = re.compile(rb"\n>(>*From )")
_PARTIAL = re.compile(rb"\n>*(?:F|Fr|Fro|From)?\Z")
_BEGIN = re.compile(rb"\n\r?\n(?=From )")
_DATED = re.compile(rb"From .*\d:\d\d.*\b\d{4}\b|From .*\b\d{4}\b.*\d:\d\d")
_DATE = re.compile(
    rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +(\d{1,2}),? "
    rb"+(\d{1,2}):(\d\d)(?::(\d\d))?(?: +([A-Z]{1,5}))?"
    rb"(?: +([+-]\d{4}))? +(\d{4})(?: +([+-]\d{4}))?",
    re.IGNORECASE,
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_FIELD = re.compile(rb"(?im)^(Status|X-Status|X-Mozilla-Status|X-Keywords|X-Mozilla-Keys):(.*)$")
_STATUS = {
    "R": "\\Seen",
    "A": "\\Answered",
    "F": "\\Flagged",
    "D": "\\Deleted",
    "T": "\\Draft",
}
_MOZILLA = {0x1: "\\Seen", 0x2: "\\Answered", 0x4: "\\Flagged", 0x1000: "$Forwarded"}
_MOZILLA_EXPUNGED = 0x8


@dataclass(frozen=True, slots=True)
class Segment:
    """A message in an mbox: where its From_ line begins, and its octets from `start` to `end`."""

    line: int
    start: int
    end: int
    from_line: bytes


@dataclass(frozen=True, slots=True)
class Marks:
    """What a message's own header says of it. `expunged`: its reader has deleted it and only not
    yet rewritten the file."""

    flags: Flags
    expunged: bool


def segments(descriptor: int, begin: int = 0) -> Iterator[Segment]:
    """The messages from offset `begin` on, where one begins (or the file ends)."""
    size = os.fstat(descriptor).st_size
    if os.pread(descriptor, 5, begin) != b"From ":
        return
    line = begin
    for following in _beginnings(descriptor, begin, size):
        yield _segment(descriptor, line, following)
        line = following
    yield _segment(descriptor, line, size)


def quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message as it is written."""
    return _at_line_starts(chunks, _QUOTE, rb"\n>\1")


def unquoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message as it was before."""
    return _at_line_starts(chunks, _UNQUOTE, rb"\n\1")


def from_line(sender: str, received: datetime | None) -> bytes:
    """The line before a message, in UTC; the epoch when there is no date."""
    when = (received or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    day = f"{('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[when.weekday()]}"
    month = _MONTHS[when.month - 1].capitalize()
    return f"From {sender} {day} {month} {when.day:2} {when:%H:%M:%S} {when.year:04}\n".encode()


def date_of(line: bytes) -> datetime | None:
    """The date in a From_ line, as UTC where it names no zone; None when it makes no sense."""
    match = _DATE.search(line)
    if match is None:
        return None
    month, day, hour, minute, second, _, before, year, after = match.groups()
    zone = _zone(before or after)
    with suppress(ValueError):
        number = _MONTHS.index(month[:3].lower().decode()) + 1
        time = (int(hour), int(minute), min(int(second or 0), 59))
        return datetime(int(year), number, int(day), *time, tzinfo=zone).astimezone(UTC)
    return None


def marks_of(descriptor: int, segment: Segment) -> Marks:
    """The flags that mail programs keep in the header of a message: `Status`, `X-Status`,
    `X-Keywords` (Dovecot, mutt, pine) and Thunderbird's own."""
    head = os.pread(descriptor, min(_HEADER, segment.end - segment.start), segment.start)
    head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    flags: set[str] = set()
    expunged = False
    for name, value in _FIELD.findall(head):
        text = value.decode("latin-1").strip()
        field = name.lower()
        if field in (b"status", b"x-status"):
            flags |= {_STATUS[letter] for letter in text if letter in _STATUS}
        elif field == b"x-mozilla-status":
            bits = int(text, 16) if re.fullmatch("[0-9A-Fa-f]{1,8}", text) else 0
            flags |= {flag for bit, flag in _MOZILLA.items() if bits & bit}
            expunged |= bool(bits & _MOZILLA_EXPUNGED)
        else:
            flags |= {word for word in text.split() if word.isprintable() and word[0] != "\\"}
    return Marks(frozenset(flags), expunged)


def _beginnings(descriptor: int, begin: int, size: int) -> Iterator[int]:
    """Offsets of the From_ lines after the first."""
    held, at = b"", begin
    for chunk in chunks_of(descriptor, begin, size):
        data = held + chunk
        last = at + len(data) >= size
        # A From_ line that isn't there in full waits for the next chunk.
        limit = len(data) if last else len(data) - LONGEST_FROM
        done = 0
        for match in _BEGIN.finditer(data):
            if match.end() >= limit:
                break
            end = data.find(b"\n", match.end(), match.end() + LONGEST_FROM)
            line = data[match.end() : end] if end >= 0 else b""
            if _DATED.match(line):
                yield at + match.end()
            done = match.start() + 1
        keep = max(done, limit - 4, 0)
        at, held = at + keep, data[keep:]


def _segment(descriptor: int, line: int, following: int) -> Segment:
    head = os.pread(descriptor, min(LONGEST_FROM, following - line), line)
    length = head.find(b"\n") + 1 or len(head)
    start = line + length
    tail = os.pread(descriptor, 4, max(start, following - 4)) if following > start else b""
    tail = tail[: following - max(start, following - 4)]
    # The blank line before the next message belongs to the format; what a message without a line
    # end at its own end had before, nobody knows.
    if tail.endswith(b"\r\n\r\n") or (tail == b"\r\n" and following - start == 2):
        end = following - 2
    elif tail.endswith(b"\n\n") or (tail == b"\n" and following - start == 1):
        end = following - 1
    else:
        end = following
    return Segment(line, start, max(start, end), head[:length])


def _at_line_starts(
    chunks: Iterable[bytes], pattern: "re.Pattern[bytes]", replacement: bytes
) -> Iterator[bytes]:
    held, first = b"\n", 1  # the message's first line begins after a line end of our own
    for chunk in chunks:
        data = held + chunk
        line = data.rfind(b"\n")
        open_line = line >= 0 and _PARTIAL.match(data, line)
        held = data[line:] if open_line else b""
        ready = pattern.sub(replacement, data[: len(data) - len(held)])
        yield ready[first:]
        first = 0 if ready else first
    yield pattern.sub(replacement, held)[first:]


def _zone(text: bytes | None) -> timezone:
    if text is None:
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=-minutes if text[:1] == b"-" else minutes))
