"""What a header tells about which message it is; read from a copy, never changing a byte.

Both ways of learning it must agree: from a whole message that passed by, and from the answer to
`BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]`. So only those fields count, the first of
each name, with white space folded, and with the octets that servers are known to alter in headers
(8-bit, NUL: failure-modes finding 3) put on one common value.
"""

import base64
import quopri
import re
from hashlib import blake2b

from mailhaul.core.message import Identity
from mailhaul.core.text import printable

HEADER_LIMIT = 1024 * 1024
"""So many octets of a message are looked at for its header."""

IDENTITY_FIELDS = (b"message-id", b"date", b"from", b"subject")

_COMMON = bytes(ord("X") if octet >= 0x80 or octet == 0 else octet for octet in range(256))
_WORD = re.compile(
    r"=\?([A-Za-z0-9._-]{1,40})(?:\*[^?]{0,20})?\?([bBqQ])\?([^?]{0,300})\?=(\s+(?==\?))?"
)


def header_identity(header: bytes) -> Identity:
    """The identity of the message whose header (or whole self) `header` begins with."""
    text = b"\n" + _header_of(header)
    folded = text.lower()
    values = [_field(text, folded, name) for name in IDENTITY_FIELDS]
    digest = blake2b(digest_size=16)
    for value in values:
        digest.update(b"\0" if value is None else b"\1" + value.translate(_COMMON) + b"\0")
    return Identity(digest.digest(), named=bool(values[0]))


def subject_of(header: bytes, limit: int = 120) -> str:
    """The subject for people, decoded (RFC 2047) and printable; empty when there is none."""
    text = b"\n" + _header_of(header)
    value = _field(text, text.lower(), b"subject")
    if not value:
        return ""
    words = printable(value[: limit * 12], limit * 12)
    return printable(_WORD.sub(_decoded, words), limit)


def _header_of(message: bytes) -> bytes:
    end = message.find(b"\r\n\r\n", 0, HEADER_LIMIT)
    return message[: HEADER_LIMIT if end < 0 else end + 2]


def _field(text: bytes, folded: bytes, name: bytes) -> bytes | None:
    """The first field of that name, unfolded, blanks runs as one; None when there is none."""
    at = -1
    needle = b"\n" + name
    while (at := folded.find(needle, at + 1)) >= 0:
        colon = at + len(needle)
        while folded[colon : colon + 1] in (b" ", b"\t"):
            colon += 1
        if folded[colon : colon + 1] == b":":
            break
    else:
        return None
    end = text.find(b"\n", colon)
    while end >= 0 and text[end + 1 : end + 2] in (b" ", b"\t"):
        end = text.find(b"\n", end + 1)
    value = text[colon + 1 : end] if end >= 0 else text[colon + 1 :]
    return b" ".join(value.split())


def _decoded(match: "re.Match[str]") -> str:
    charset, coding, text, _ = match.groups()
    try:
        raw = text.encode("ascii")
        octets = base64.b64decode(raw) if coding in "bB" else quopri.decodestring(raw, header=True)
        return octets.decode(charset, "replace")
    except (ValueError, LookupError):
        return match.group(0)
