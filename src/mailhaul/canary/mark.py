"""The marked message: a few lines of mail with a token that nobody can guess.

Written by hand, octet for octet (no `email` package; RFC 5322, RFC 2045). It is known again by its
Message-ID or by a field of its own, for mail systems rewrite either, and by nothing else: replies
to it, and messages that quote it, are other people's mail.
"""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from mailhaul.canary.routes import Via
from mailhaul.core.text import printable

HEADER_LIMIT = 64 * 1024
"""So many octets of a message are looked at."""
LARGEST = 64 * 1024
"""A canary weighs under 2 KB; what hosts on its way add is not this much."""

_FIELD = b"mailhaul-canary"
_TOKEN_OCTETS = 16
_MESSAGE_ID = re.compile(rb"<mailhaul-canary\.([0-9a-f]{32})@")
_TOKEN = re.compile(rb"[0-9a-f]{32}")
_BY = re.compile(rb"\bby\s+([A-Za-z0-9._-]{1,100})")
_MOST_HOPS = 20
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Canary:
    """One marked message, to one recipient, by one way. Keep it before it is sent: what may have
    been sent has to be looked for. `made` is in seconds since 1970."""

    token: str
    recipient: str
    via: Via
    made: float


def new_canary(
    recipient: str, via: Via, now: float, octets: Callable[[int], bytes] = os.urandom
) -> Canary:
    """A canary with a token of its own: 128 bits of `octets`."""
    return Canary(octets(_TOKEN_OCTETS).hex(), recipient, via, now)


def marked_message(canary: Canary, sender: str, speaker: str) -> bytes:
    """The message, with CRLF line ends, no line over 78 octets but what holds an address. It is
    marked as automatic, so that nobody's absence note answers it (RFC 3834 section 5)."""
    host = speaker.strip("[]").replace(":", "-")
    origin = sender or f"postmaster@{speaker}"
    lines = (
        f"Date: {_date(canary.made)}",
        f"From: mailhaul <{origin}>",
        f"To: <{canary.recipient}>",
        f"Message-ID: <mailhaul-canary.{canary.token}@{host}>",
        "Subject: test of mail delivery (mailhaul)",
        f"Mailhaul-Canary: {canary.token}",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Your mail is moving to another system. This message was sent by",
        "mailhaul to see whether mail for you arrives at the right place.",
        "It is removed as soon as it has been found; if you see it, you may",
        "delete it. There is nothing to be done.",
        "",
    )
    return "\r\n".join(lines).encode()


def token_of(message: bytes, tokens: Collection[str]) -> str | None:
    """Which of the canaries the message is, by its header; None: it is other mail."""
    for name, value in _fields(message):
        found = None
        if name == _FIELD:
            found = _TOKEN.fullmatch(value)
        elif name == b"message-id":
            found = _MESSAGE_ID.match(value)
        if found is not None:
            token = found[found.lastindex or 0].decode()
            if token in tokens:
                return token
    return None


def hops_of(message: bytes) -> tuple[str, ...]:
    """The hosts that say they have received it (RFC 5321 section 4.4), the last one first, for
    people: whoever sends may write what they like."""
    found = (_BY.search(value) for name, value in _fields(message) if name == b"received")
    return tuple(printable(by[1], 100) for by in found if by)[:_MOST_HOPS]


def _fields(message: bytes) -> list[tuple[bytes, bytes]]:
    """Name, in small letters, and unfolded value of each header field."""
    head = message[:HEADER_LIMIT].partition(b"\r\n\r\n")[0]
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return [(name.strip().lower(), value.strip()) for name, colon, value in pairs if colon]


def _date(moment: float) -> str:
    """RFC 5322 section 3.3, in English whatever the locale."""
    at = datetime.fromtimestamp(moment, UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day} {month} {at.year:04} {at:%H:%M:%S} +0000"
