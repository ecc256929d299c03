"""Which messages of two listings are the same: the identity ladder.

Rungs, from the firmest: the ledger's own key map (not here: what it knows never comes here); the
same octets; the same octets but for what known tools and servers change; and, only where it leaves
no doubt, the same header identity with the same size and received date, named by a Message-ID that
no other message of either listing shares. Everything else that looks alike is decided by reading
both. Copies are paired one to one, so byte-identical duplicates keep their number (C10, C11).
"""

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailhaul.core.blob import Blob
from mailhaul.core.message import Identity, Key

LOOSE_LIMIT = 32 * 1024 * 1024
"""Larger messages are compared by their plain SHA-256 alone."""

TOOL_HEADERS = (b"x-tuid", b"x-offlineimap")
"""Header fields that earlier tools add to the copies they make (mbsync, OfflineIMAP)."""

_TOOL_LINE = re.compile(
    rb"(?im)^(?:" + b"|".join(TOOL_HEADERS) + rb")[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*"
)
_LINE_END = re.compile(rb"\r+\n")
_HIGH = bytes(ord("X") if octet >= 0x80 or octet == 0 else octet for octet in range(256))
_NUL = bytes(0x80 if octet == 0 else octet for octet in range(256))


@dataclass(slots=True, eq=False)
class Trait:
    """What is known of one message. `exact` is the SHA-256 of its octets and `loose` its
    `loose_digest`, once it has been read."""

    key: Key
    identity: Identity
    size: int | None = None
    received: int | None = None
    exact: bytes | None = None
    loose: bytes | None = None


@dataclass(frozen=True, slots=True)
class Matches:
    """Certain pairs, left key to right key, and groups that only their octets can decide."""

    pairs: tuple[tuple[Key, Key], ...]
    doubtful: tuple[tuple[tuple[Trait, ...], tuple[Trait, ...]], ...]


def match(lefts: Iterable[Trait], rights: Iterable[Trait]) -> Matches:
    """Pairs what is certainly the same and names what may be. Order decides among equals."""
    groups: dict[bytes, tuple[list[Trait], list[Trait]]] = defaultdict(lambda: ([], []))
    for left in lefts:
        groups[left.identity.digest][0].append(left)
    for right in rights:
        group = groups.get(right.identity.digest)
        if group is not None:
            group[1].append(right)
    pairs: list[tuple[Key, Key]] = []
    doubtful: list[tuple[tuple[Trait, ...], tuple[Trait, ...]]] = []
    for ours, theirs in groups.values():
        if not theirs:
            continue
        if len(ours) == len(theirs) == 1 and _certain(ours[0], theirs[0]):
            pairs.append((ours[0].key, theirs[0].key))
        else:
            doubtful.append((tuple(ours), tuple(theirs)))
    return Matches(tuple(pairs), tuple(doubtful))


def match_read(lefts: Sequence[Trait], rights: Sequence[Trait]) -> list[tuple[Key, Key]]:
    """Pairs those that have been read and have the same octets, first with first; then those that
    differ only in what known tools and servers change."""
    pairs = _match_by(
        [(left.key, left.exact) for left in lefts], [(r.key, r.exact) for r in rights]
    )
    ours, theirs = {left for left, _ in pairs}, {right for _, right in pairs}
    return pairs + _match_by(
        [(left.key, left.loose) for left in lefts if left.key not in ours],
        [(right.key, right.loose) for right in rights if right.key not in theirs],
    )


def loose_digest(blob: Blob) -> bytes:
    """SHA-256 of the message in the form that two copies share although a known tool or server
    had it: without tool headers, CRCRLF and NUL as Dovecot gives them back, 8-bit header octets
    as Cyrus does (failure-modes finding 3). Works on a copy."""
    if blob.size > LOOSE_LIMIT:
        return blob.digest()
    message = _LINE_END.sub(b"\r\n", b"".join(blob.chunks()))
    end = message.find(b"\r\n\r\n")
    end = len(message) if end < 0 else end + 2
    header = _TOOL_LINE.sub(b"", message[:end]).translate(_HIGH)
    return hashlib.sha256(header + message[end:].translate(_NUL)).digest()


def _match_by(
    lefts: Sequence[tuple[Key, bytes | None]], rights: Sequence[tuple[Key, bytes | None]]
) -> list[tuple[Key, Key]]:
    waiting: dict[bytes, deque[Key]] = defaultdict(deque)
    for key, digest in rights:
        if digest is not None:
            waiting[digest].append(key)
    return [
        (key, waiting[digest].popleft())
        for key, digest in lefts
        if digest is not None and waiting.get(digest)
    ]


def _certain(left: Trait, right: Trait) -> bool:
    return (
        left.identity.named
        and left.size is not None
        and left.size == right.size
        and left.received is not None
        and left.received == right.received
    )
