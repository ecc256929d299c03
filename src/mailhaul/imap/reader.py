"""Octets in, events out: framing before parsing, so that a message is never read as protocol.

Sans-I/O. The bulk shapes, a listing line and a small body that lie in one piece, are matched by
two regular expressions right where they arrived; everything else is framed into lines and literals
and parsed by `syntax`. A body literal streams into a `BlobWriter`; nothing is kept but what the
current response needs, and every octet is looked at once, however the network cuts it.

What a server may send is bounded (security.md 4): beyond a bound, or when it can't be IMAP, `feed`
raises `ProtocolFault`, and the reader is of no further use.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from mailhaul.core.blob import Blob, BlobWriter, MemoryBlob, Spool
from mailhaul.core.message import NO_FLAGS, SYSTEM_FLAGS, Entry, Flags
from mailhaul.core.text import printable
from mailhaul.imap.dates import parse_internaldate
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.responses import (
    Body,
    Continuation,
    Event,
    Fetched,
    Listing,
    Status,
    Untagged,
)
from mailhaul.imap.syntax import ProtocolFault, Value, number, parse


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server may send, in octets."""

    line: int = 64 * 1024
    long_line: int = 8 * 1024 * 1024
    """Of a VANISHED line, which may name every message of a folder (RFC 7162 3.2.10)."""
    literal: int = 1024 * 1024
    header: int = 16 * 1024 * 1024
    body: int = 64 * 1024 * 1024 * 1024
    literals: int = 1000
    """So many in one response (CVE-2024-34055 class)."""


# What Dovecot, and what Cyrus answers to (UID FLAGS INTERNALDATE RFC822.SIZE).
_REST = (
    rb' INTERNALDATE "([ 0-3]\d-[A-Z][a-z]{2}-\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4})"'
    rb" RFC822\.SIZE (\d{1,19})(?: MODSEQ \(\d{1,20}\))?\)\r\n"
)
_LISTING = re.compile(rb"\* \d{1,10} FETCH \(UID (\d{1,20}) FLAGS \(([^()\r\n]*)\)" + _REST)
_LISTING_FLAGS_FIRST = re.compile(
    rb"\* \d{1,10} FETCH \(FLAGS \(([^()\r\n]*)\) UID (\d{1,20})" + _REST
)
# What both answer to (UID FLAGS), CONDSTORE enabled or not.
_FLAGS_ONLY = re.compile(
    rb"\* \d{1,10} FETCH \((?:UID (\d{1,20}) FLAGS \(([^()\r\n]*)\)(?: MODSEQ \(\d{1,20}\))?"
    rb"|FLAGS \(([^()\r\n]*)\) UID (\d{1,20})(?: MODSEQ \(\d{1,20}\))?)\)\r\n"
)
_BODY = re.compile(rb"\* \d{1,10} FETCH \(UID (\d{1,20}) BODY\[\] \{(\d{1,12})\}\r\n")
_BODY_LITERAL = re.compile(rb"(?:BODY\[\]|BINARY\[\]|RFC822)(?:<\d+>)? $", re.IGNORECASE)
_HEADER_LITERAL = re.compile(rb"(?:BODY\[[^\]\r\n]+\]|RFC822\.HEADER) $", re.IGNORECASE)
_LITERAL = re.compile(rb"~?\{(\d{1,20})\+?\}\r?\n\Z")
_UNTAGGED = re.compile(rb"\* +(?:(\d{1,20}) +)?([A-Za-z][A-Za-z0-9.=_-]*)[ \t]*")
_STATUS = re.compile(
    rb"(\*|[A-Za-z0-9.]{1,40}) +(OK|NO|BAD|BYE|PREAUTH)(?:[ \t]+(.*?))?[ \t\r\n]*\Z",
    re.IGNORECASE | re.DOTALL,
)
_CODE = re.compile(
    rb"\[((?:PERMANENTFLAGS|BADCHARSET)) *(\([^()\r\n]*\)) *\]|\[([^\] ]+)(?: ([^\]]*))?\]",
    re.IGNORECASE,
)
_MONTHS = {
    name: f"{index:02d}"
    for index, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(b" "), 1)
}
_MOST_CACHED = 4096
_MOST_BLANK_LINES = 1000


class Reader:
    """One connection's worth of server octets. `spool` takes the bodies, `quirks` counts what the
    server does wrong."""

    __slots__ = (
        "_blank_lines",
        "_days",
        "_flag_sets",
        "_fragments",
        "_limits",
        "_odd_lines",
        "_partial",
        "_quirks",
        "_refusals",
        "_remaining",
        "_spool",
        "_writer",
    )

    def __init__(
        self,
        spool: Spool,
        limits: Limits | None = None,
        quirks: Counter[QuirkName] | None = None,
    ) -> None:
        self._spool = spool
        self._limits = limits or Limits()
        self._quirks = Counter() if quirks is None else quirks
        self._partial = bytearray()  # the beginning of a line
        self._fragments: list[bytes | Blob] = []  # a response so far: text, literal, text, …
        self._remaining = -1  # octets of the current literal to come; -1: none
        self._writer: BlobWriter | bytearray | None = None
        self._flag_sets: dict[bytes, Flags] = {}
        self._days: dict[bytes, str] = {}
        self._blank_lines = 0
        self._refusals = 0
        self._odd_lines = 0

    @property
    def idle(self) -> bool:
        """Whether the last response is complete: nothing of a next one has come."""
        return not self._partial and not self._fragments and self._remaining < 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `ProtocolFault`, and OSError when the spool's
        disk is full."""
        events: list[Event] = []
        at = 0
        if self._remaining >= 0:
            at = self._take_literal(data, 0)
        elif self._partial:
            end = data.find(b"\n") + 1
            if not end:
                self._keep(data)
                return events
            self._keep(data[: end - 1], complete=True)
            line = bytes(self._partial) + b"\n"
            self._partial.clear()
            if self._fragments or self._take_bulk(line, 0, events) == 0:
                self._take_line(line, events)
            at = self._take_literal(data, end) if self._remaining >= 0 else end
        size = len(data)
        while at < size:
            if not self._fragments:
                at = self._take_bulk(data, at, events)
                if at >= size:
                    break
            end = data.find(b"\n", at) + 1
            if not end:
                self._keep(data[at:])
                break
            self._take_line(data[at:end], events)
            at = self._take_literal(data, end) if self._remaining >= 0 else end
        return events

    def close(self) -> None:
        """Forgets what was under way: a literal cut short is never a message (A1)."""
        if isinstance(self._writer, BlobWriter):
            self._writer.discard()
        for fragment in self._fragments:
            if not isinstance(fragment, bytes):
                fragment.close()
        self._writer = None
        self._fragments = []
        self._partial.clear()
        self._remaining = -1

    # --- Bulk shapes -------------------------------------------------------------------------

    def _take_bulk(self, data: bytes, at: int, events: list[Event]) -> int:
        """Takes bulk shapes from `at` on as long as they stand whole; where they end."""
        while True:
            begun = at
            match = _BODY.match(data, at)
            if match is not None:
                uid, length = match.groups()
                start = match.end()
                end = start + int(length)
                if data[end : end + 3] != b")\r\n" or end - start >= self._spool.threshold:
                    return at
                events.append(Body(int(uid), MemoryBlob(data[start:end])))
                at = end + 3
                continue
            at = self._take_listing(data, at, events)
            if at == begun:
                at = self._take_flags(data, at, events)
                if at == begun:
                    return at

    def _take_listing(self, data: bytes, at: int, events: list[Event]) -> int:
        entries: list[Entry] = []
        flag_sets, days = self._flag_sets, self._days
        from_iso = datetime.fromisoformat
        flags_first = False
        take = _LISTING.scanner(data, at).match  # type: ignore[attr-defined]
        match = take()
        if match is None:
            take = _LISTING_FLAGS_FIRST.scanner(data, at).match  # type: ignore[attr-defined]
            match = take()
            flags_first = True
        received: datetime | None
        last = match
        while match is not None:
            last = match
            uid, raw_flags, day, time, zone, size = match.groups()
            if flags_first:
                uid, raw_flags = raw_flags, uid
            flags = flag_sets.get(raw_flags)
            if flags is None:
                flags = self._flags(raw_flags)
            try:
                received = from_iso((days.get(day) or self._day(day)) + (time + zone).decode())
            except ValueError:
                received = self._received(day + b" " + time + b" " + zone)
            entries.append(Entry(int(uid), flags, int(size), received))
            match = take()
        if last is None:
            return at
        events.append(Listing(entries))
        return int(last.end())

    def _take_flags(self, data: bytes, at: int, events: list[Event]) -> int:
        entries: list[Entry] = []
        take = _FLAGS_ONLY.scanner(data, at).match  # type: ignore[attr-defined]
        match = last = take()
        while match is not None:
            last = match
            uid, raw, raw_first, uid_last = match.groups()
            if uid is None:
                uid, raw = uid_last, raw_first
            entries.append(Entry(int(uid), self._flag_sets.get(raw) or self._flags(raw)))
            match = take()
        if last is None:
            return at
        events.append(Listing(entries, whole=False))
        return int(last.end())

    def _flags(self, raw: bytes) -> Flags:
        known = self._flag_sets.get(raw)
        if known is None:
            if len(self._flag_sets) >= _MOST_CACHED:
                self._flag_sets.clear()
            known = self._flag_sets[raw] = _flag_set(raw.split())
        return known

    def _received(self, raw: bytes) -> datetime | None:
        self._quirks[QuirkName.INVALID_INTERNALDATE] += (date := parse_internaldate(raw)) is None
        return date

    def _day(self, raw: bytes) -> str:
        """`17-Jul-1996` as `1996-07-17T`; something that is no date for a month that is none."""
        if len(self._days) >= _MOST_CACHED:
            self._days.clear()
        day = f"{raw[7:11].decode()}-{_MONTHS.get(raw[3:6], 'xx')}-{raw[:2].decode()}T"
        self._days[raw] = day
        return day

    # --- Framing -----------------------------------------------------------------------------

    def _keep(self, data: bytes, complete: bool = False) -> None:
        """Adds to the line under way; a finished one is measured the same way."""
        self._partial += data
        if len(self._partial) > self._limits.line:
            self._check_line(self._partial)

    def _check_line(self, line: bytes | bytearray) -> None:
        if len(line) > self._limits.line:
            vanished = not self._fragments and line[:11].upper() == b"* VANISHED "
            if not vanished or len(line) > self._limits.long_line:
                raise ProtocolFault(
                    f"the server sent a line of more than {self._limits.line} octets"
                )

    def _take_line(self, line: bytes, events: list[Event]) -> None:
        """One line with its end: a whole response, or its text up to the next literal."""
        self._check_line(line)
        fragments = self._fragments
        if not fragments:
            head = line[:1]
            if head == b"*":
                status = _STATUS.match(line)
                if status is not None:
                    events.append(_status(status))
                    return
            elif head == b"+":
                events.append(Continuation(line[1:].strip()))
                return
            elif not line.strip():
                self._quirks[QuirkName.LINES_AFTER_LITERAL] += 1
                self._blank_lines += 1  # Domino sends some after a literal (D12)
                if self._blank_lines > _MOST_BLANK_LINES:
                    raise ProtocolFault("the server sends nothing but empty lines")
                return
            else:
                status = _STATUS.match(line)
                if status is None or status[2].upper() not in (b"OK", b"NO", b"BAD"):
                    if self._refusals > self._odd_lines:
                        # Dovecot repeats a folder's name in a refusal, line ends and all.
                        self._odd_lines += 1
                        return
                    raise ProtocolFault(
                        f"the server said “{printable(line.strip(), 80)}”, which is no IMAP; is "
                        "this an IMAP port, and should it be TLS?"
                    )
                self._refusals += status[2].upper() != b"OK"
                events.append(_status(status))
                return
        literal = _LITERAL.search(line[-30:])
        if literal is None:
            fragments.append(line.rstrip(b"\r\n"))
            self._fragments = []
            events.append(self._response(fragments))
            return
        text = line[: len(line) - len(literal[0])]
        fragments.append(text)
        self._begin_literal(text, int(literal[1]))

    def _begin_literal(self, text: bytes, size: int) -> None:
        limits = self._limits
        if len(self._fragments) > 2 * limits.literals:
            raise ProtocolFault(f"the server sent more than {limits.literals} literals at once")
        tail = text[-200:]
        if _BODY_LITERAL.search(tail):
            kind, limit = "body", limits.body
        elif _HEADER_LITERAL.search(tail):
            kind, limit = "header", limits.header
        else:
            kind, limit = "string", limits.literal
        if size > limit:
            raise ProtocolFault(f"the server announced a {kind} of {size} octets; {limit} is most")
        # Memory grows as octets arrive, never by what is announced.
        self._writer = self._spool.writer(size) if kind == "body" else bytearray()
        self._remaining = size

    def _take_literal(self, data: bytes, at: int) -> int:
        """Gives the literal under way its octets; where the next line begins."""
        writer, end = self._writer, at + self._remaining
        assert writer is not None
        piece = data if at == 0 and end >= len(data) else data[at:end]
        if piece:
            if isinstance(writer, BlobWriter):
                writer.write(piece)
            else:
                writer += piece
        self._remaining -= len(piece)
        if self._remaining == 0:
            self._remaining = -1
            self._writer = None
            self._fragments.append(
                writer.finish() if isinstance(writer, BlobWriter) else bytes(writer)
            )
        return at + len(piece)

    # --- Responses ---------------------------------------------------------------------------

    def _response(self, fragments: list[bytes | Blob]) -> Event:
        first = fragments[0]
        assert isinstance(first, bytes)
        head = _UNTAGGED.match(first)
        if head is None:
            return Untagged(b"", None, fragments)  # whatever it is, nobody waits for it
        fragments[0] = first[head.end() :]
        name = head[2].upper()
        sequence = None if head[1] is None else int(head[1])
        if name != b"FETCH":
            return Untagged(name, sequence, fragments)
        try:
            return self._fetched(parse(fragments))
        except ProtocolFault:
            for fragment in fragments:
                if not isinstance(fragment, bytes):
                    fragment.close()
            raise

    def _fetched(self, values: list[Value]) -> Event:
        pairs = values[0] if values else None
        if not isinstance(pairs, list):
            raise ProtocolFault("the server sent a FETCH response without a list")
        # Domino wraps the list once more (MailKit's fetch-extra-parens transcript).
        while len(pairs) == 1 and isinstance(pairs[0], list):
            self._quirks[QuirkName.EXTRA_PARENTHESES] += 1
            pairs = pairs[0]
        if len(pairs) % 2:
            raise ProtocolFault("the server sent a FETCH response with a value missing")
        found = Fetched(None)
        body: Body | None = None
        for index in range(0, len(pairs), 2):
            name, value = pairs[index], pairs[index + 1]
            if not isinstance(name, bytes):
                raise ProtocolFault("the server sent a FETCH response without a name")
            name = name.upper()
            if name == b"UID":
                found.uid = number(value)
            elif name == b"FLAGS":
                if isinstance(value, list):
                    found.flags = _flag_set([flag for flag in value if isinstance(flag, bytes)])
            elif name == b"INTERNALDATE":
                found.received = self._received(value) if isinstance(value, bytes) else None
            elif name == b"RFC822.SIZE":
                found.size = number(value)
            elif name == b"MODSEQ":
                found.modseq = number(value[0]) if isinstance(value, list) and value else None
                self._quirks[QuirkName.NEGATIVE_MODSEQ] += found.modseq is None
            elif name.startswith((b"BODY[]", b"BINARY[]")):
                if isinstance(value, list):
                    raise ProtocolFault("the server sent a list for a message")
                self._quirks[QuirkName.NIL_BODY] += value is None
                body = Body(0, MemoryBlob(value) if isinstance(value, bytes) else value)
            else:
                found.attributes[name] = value
        if body is None:
            return found
        if found.uid is None:
            raise ProtocolFault("the server sent a message without its UID")
        body.uid = found.uid
        return body


def _status(match: "re.Match[bytes]") -> Status:
    tag, kind, text = match.groups()
    text = text or b""
    code = arguments = b""
    found = _CODE.match(text)
    if found is not None:
        code = (found[1] or found[3]).upper()
        arguments = found[2] or found[4] or b""
        text = text[found.end() :].lstrip()
    return Status(None if tag == b"*" else tag, kind.upper(), code, arguments.strip(), text)


def _flag_set(raw: list[bytes]) -> Flags:
    """System flags in canonical spelling, keywords as they are; `\\Recent` and `\\*` left out."""
    if not raw:
        return NO_FLAGS
    flags = set()
    for octets in raw:
        flag = octets.decode("utf-8", "replace")
        folded = flag.lower()
        if folded not in ("\\recent", "\\*"):
            flags.add(SYSTEM_FLAGS.get(folded, flag))
    return frozenset(flags)
