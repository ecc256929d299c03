"""What is odd in mail, and stumbled over by some servers (failure-modes D1 to D9, D14 to D18).

Two uses of one list: looking for it in a sample of the source's mail, and trying out what the
target does with it. Messages are looked at as bytes, and made as bytes.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mailhaul.core.message import NO_FLAGS, Flags

LONGEST_LINE = 998
"""Octets, RFC 5322 2.1.1."""
EXCHANGE_LINE = 9900
"""Octets that Exchange takes in one line (failure-modes B9)."""
BIG = 3 * 1024 * 1024
PROBE_KEYWORDS: Flags = frozenset({"\\Seen", "\\Flagged", "$Forwarded", "mailhaul-probe"})


class Oddity(StrEnum):
    """One kind of odd message, in words."""

    PLAIN = "a plain message"
    HEADER_8BIT = "8-bit octets in the header"
    NUL = "NUL octets"
    BARE_CR = "bare CR"
    BARE_LF = "bare LF"
    CRCRLF = "CR CR LF"
    LONG_LINE = "lines of more than 998 octets"
    VERY_LONG_LINE = "lines of more than 9,900 octets"
    NO_HEADER = "no header"
    NO_COLON = "a header line without a colon"
    FROM_LINE = "a From line first"
    EMPTY_BODY = "an empty body"
    NO_LAST_LINE_END = "no line end at the end"
    KEYWORDS = "flags and keywords"
    OLD_DATE = "a date before 1970"
    FUTURE_DATE = "a date in the future"
    BIG = "a big message"


@dataclass(frozen=True, slots=True)
class OddMessage:
    """One message of a probe."""

    oddity: Oddity
    data: bytes
    flags: Flags
    received: datetime


_HIGH = re.compile(rb"[\x80-\xff]")
_BARE_CR = re.compile(rb"\r(?![\r\n])")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NAMED = re.compile(rb"[!-9;-~]+[ \t]*:")
_FINDERS: tuple[tuple[Oddity, Callable[[bytes, bytes], bool]], ...] = (
    (Oddity.HEADER_8BIT, lambda header, whole: _HIGH.search(header) is not None),
    (Oddity.NUL, lambda header, whole: b"\0" in whole),
    (Oddity.BARE_CR, lambda header, whole: _BARE_CR.search(whole) is not None),
    (Oddity.BARE_LF, lambda header, whole: _BARE_LF.search(whole) is not None),
    (Oddity.CRCRLF, lambda header, whole: b"\r\r\n" in whole),
    (Oddity.FROM_LINE, lambda header, whole: header.startswith((b"From ", b">From "))),
    (Oddity.NO_COLON, lambda header, whole: _has_nameless_line(header)),
    (Oddity.NO_LAST_LINE_END, lambda header, whole: bool(whole) and not whole.endswith(b"\n")),
)


def oddities_in(message: bytes) -> frozenset[Oddity]:
    """What is odd in the message; nothing when it is as RFC 5322 wants it."""
    end = message.find(b"\r\n\r\n")
    header = message if end < 0 else message[: end + 2]
    found = {oddity for oddity, test in _FINDERS if test(header, message)}
    longest = max((len(line) for line in message.splitlines()), default=0)
    if longest > LONGEST_LINE:
        found.add(Oddity.VERY_LONG_LINE if longest > EXCHANGE_LINE else Oddity.LONG_LINE)
    if message.startswith(b"\r\n") or (message and _NAMED.match(header) is None):
        found.add(Oddity.NO_HEADER)
        found -= {Oddity.NO_COLON}
        if Oddity.FROM_LINE in found:
            found -= {Oddity.NO_HEADER}
    if end >= 0 and end + 4 == len(message):
        found.add(Oddity.EMPTY_BODY)
    return frozenset(found)


def probe_messages(now: datetime, largest: int | None) -> list[OddMessage]:
    """The odd messages, in a fixed order; the big one is left out where the target has no
    room for it."""
    usual = (now - timedelta(days=30)).replace(microsecond=0)
    made = [
        OddMessage(oddity, data, NO_FLAGS, usual)
        for oddity, data in (
            (Oddity.PLAIN, _mail("plain")),
            (Oddity.HEADER_8BIT, _mail("header", extra=b"X-Name: J\xf6rg \xe2\x82\xac\r\n")),
            (Oddity.NUL, _mail("nul", b"before\0after\r\n")),
            (Oddity.BARE_CR, _mail("cr", b"one\rtwo\r\n")),
            (Oddity.BARE_LF, _mail("lf", b"one\ntwo\r\n")),
            (Oddity.CRCRLF, _mail("crcrlf", b"one\r\r\ntwo\r\n")),
            (Oddity.LONG_LINE, _mail("long", b"x" * 2000 + b"\r\n")),
            (Oddity.VERY_LONG_LINE, _mail("longer", b"x" * 12_000 + b"\r\n")),
            (Oddity.NO_HEADER, b"\r\nmailhaul: a body alone.\r\n"),
            (Oddity.NO_COLON, _mail("colon", extra=b"nonsense without colon\r\n")),
            (Oddity.FROM_LINE, b"From ada Mon Jan  1 10:00:00 2024\r\n" + _mail("from")),
            (Oddity.EMPTY_BODY, _mail("empty", b"")),
            (Oddity.NO_LAST_LINE_END, _mail("end", b"the last line")),
        )
    ]
    made += [
        OddMessage(Oddity.KEYWORDS, _mail("keywords"), PROBE_KEYWORDS, usual),
        OddMessage(
            Oddity.OLD_DATE, _mail("old"), NO_FLAGS, datetime(1969, 7, 20, 20, 17, tzinfo=UTC)
        ),
        OddMessage(
            Oddity.FUTURE_DATE,
            _mail("future"),
            NO_FLAGS,
            (now + timedelta(days=400)).replace(microsecond=0),
        ),
    ]
    if largest is None or largest > 2 * BIG:
        made.append(OddMessage(Oddity.BIG, _mail("big", _lines(BIG)), NO_FLAGS, usual))
    return made


def _mail(name: str, body: bytes = b"Hello.\r\n", extra: bytes = b"") -> bytes:
    return (
        b"From: mailhaul <mailhaul@example.org>\r\nTo: nobody@example.org\r\n"
        b"Subject: mailhaul tries out what this server keeps: %s\r\n"
        b"Date: Mon, 01 Jan 2024 10:00:00 +0100\r\n"
        b"Message-ID: <%s.probe.mailhaul@example.org>\r\n"
        % (name.encode(), name.encode())
        + extra
        + b"\r\n"
        + body
    )


def _lines(octets: int) -> bytes:
    """So many octets of base64 that no server can compress to nothing; the same each time."""
    seed = 1
    raw = bytearray()
    while len(raw) < 57 * 64:
        seed = seed * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        raw += seed.to_bytes(8, "big")
    block = b"".join(
        base64.b64encode(raw[start : start + 57]) + b"\r\n" for start in range(0, 57 * 64, 57)
    )
    return block * (octets // len(block))


def _has_nameless_line(header: bytes) -> bool:
    lines = header.split(b"\r\n")
    if lines and lines[0].startswith((b"From ", b">From ")):
        lines = lines[1:]
    return any(
        line and not line.startswith((b" ", b"\t")) and _NAMED.match(line) is None for line in lines
    )
