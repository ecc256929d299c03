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

from mailhaul.core.blob import Blob
from mailhaul.core.message import Identity
from mailhaul.core.text import printable

HEADER_LIMIT = 1024 * 1024
"""So many octets of a message are looked at for its header."""

_USUAL_HEADER = 64 * 1024

IDENTITY_FIELDS = (b"message-id", b"date", b"from", b"subject")

_FOLDS = (b" ", b"\t")
_OBSOLETE = re.compile(rb"[ \t]+:")
"""Blanks before the colon (RFC 5322 4.5)."""
_COMMON = bytes(ord("X") if octet >= 0x80 or octet == 0 else octet for octet in range(256))
_WORD = re.compile(
    r"=\?([A-Za-z0-9._-]{1,40})(?:\*[^?]{0,20})?\?([bBqQ])\?([^?]{0,300})\?=(\s+(?==\?))?"
)


def header_identity(header: bytes) -> Identity:
    """The identity of the message whose header (or whole self) `header` begins with."""
    text = b"\n" + _header_of(header)
    folded = text.lower()
    values = [_field(text, folded, name) for name in IDENTITY_FIELDS]
    # LF can't be part of a value: it parts them, and an absent one differs from an empty one.
    canonical = b"\n".join(b"\0" if value is None else value.translate(_COMMON) for value in values)
    return Identity(blake2b(canonical, digest_size=16).digest(), bool(values[0]))


def blob_identity(blob: Blob) -> Identity:
    """`header_identity` of a whole message, of which no more is looked at than need be."""
    head = blob.head(_USUAL_HEADER)
    if blob.size > len(head) and b"\r\n\r\n" not in head:
        head = blob.head(HEADER_LIMIT)
    return header_identity(head)


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
    at = folded.find(b"\n" + name)
    while at >= 0:
        begin = at + len(name) + 1
        if folded.startswith(b":", begin):
            begin += 1
            break
        found = _OBSOLETE.match(folded, begin)
        if found is not None:
            begin = found.end()
            break
        at = folded.find(b"\n" + name, begin)
    else:
        return None
    end = text.find(b"\n", begin)
    while end >= 0 and text.startswith(_FOLDS, end + 1):
        end = text.find(b"\n", end + 1)
    return b" ".join((text[begin:end] if end >= 0 else text[begin:]).split())


def _decoded(match: "re.Match[str]") -> str:
    charset, coding, text, _ = match.groups()
    try:
        raw = text.encode("ascii")
        octets = base64.b64decode(raw) if coding in "bB" else quopri.decodestring(raw, header=True)
        return octets.decode(charset, "replace")
    except (ValueError, LookupError):
        return match.group(0)
