"""What a server did to a message it took, told by name.

Servers that answer OK don't always keep what they were given (failure-modes finding 3, D1–D5, D11).
Each known alteration is a function from the bytes given to the bytes kept; one message's alteration
is explained when some of them, applied to all of the message, give exactly what came back. Nothing
is taken for similar: one octet that no rule accounts for leaves the message unexplained.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from mailhaul.core.blob import Blob
from mailhaul.core.text import printable

EXPLAIN_LIMIT = 8 * 1024 * 1024
"""Octets. Above that only where the first difference lies and the sizes are told: an explanation
holds several copies of a message in memory."""

COUNT_LIMIT = 1024 * 1024
"""Octets. Up to that, differing octets are counted."""

MOST_TOGETHER = 4
"""So many alterations are sought for in one message."""

BOOKKEEPING = frozenset({b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase"})
"""Fields in which mbox stores keep flags and numbers; they may go, and are no content."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What differs. `names` are the known alterations that explain all of it, empty when something
    is left unexplained; `detail` is one printable phrase with counts or offsets."""

    names: tuple[str, ...]
    detail: str

    @property
    def explained(self) -> bool:
        return bool(self.names)


@dataclass(frozen=True, slots=True)
class Rule:
    """A known alteration: its name, who does it, and what it makes of a message."""

    name: str
    seen_at: str
    apply: Callable[[bytes], bytes]
    count: Callable[[bytes], int]


def explain(source: bytes, target: bytes) -> Alteration | None:
    """The alterations that make `target` of `source`, fewest first; None when none known do, or
    when nothing differs."""
    if source == target:
        return None
    able = [rule for rule in RULES if rule.count(source)]
    for many in range(min(len(able), MOST_TOGETHER) + 1):
        for chosen in combinations(able, many):
            changed = source
            for rule in chosen:
                changed = rule.apply(changed)
            fields = _field_changes(changed, target)
            if fields is not None:
                names = [*(rule.name for rule in chosen), *fields]
                counts = [f"{rule.name} ({rule.count(source)})" for rule in chosen]
                return Alteration(tuple(names), ", ".join([*counts, *fields]))
    return None


def compare(source: Blob, target: Blob) -> Alteration | None:
    """What the target made of the message; None when both are the same, octet for octet.

    Reads each blob a few times; holds messages of at most `EXPLAIN_LIMIT` in memory.
    """
    if source.size == target.size and source.digest() == target.digest():
        return None
    if max(source.size, target.size) > EXPLAIN_LIMIT:
        first = _first_difference(source.chunks(), target.chunks())
        return Alteration((), _where(source.size, target.size, first, None))
    ours, theirs = b"".join(source.chunks()), b"".join(target.chunks())
    found = explain(ours, theirs)
    if found is not None:
        return found
    first = _first_difference(iter((ours,)), iter((theirs,)))
    count = None
    if len(ours) == len(theirs) <= COUNT_LIMIT:
        count = sum(left != right for left, right in zip(ours, theirs, strict=True))
    return Alteration((), _where(len(ours), len(theirs), first, count))


def similar(source: Blob, target: Blob) -> bool:
    """Whether two messages with different headers may be one that was altered: most octets lie in
    a common beginning and a common end. Reads at most `COUNT_LIMIT` of each."""
    ours, theirs = source.head(COUNT_LIMIT), target.head(COUNT_LIMIT)
    shorter = min(len(ours), len(theirs))
    if not shorter:
        return False
    before = _common(ours, theirs)
    after = min(_common(ours[::-1], theirs[::-1]), shorter - before)
    return (before + after) * 10 >= max(len(ours), len(theirs)) * 9


def _header_end(message: bytes) -> int:
    end = message.find(b"\r\n\r\n")
    return len(message) if end < 0 else end + 2


def _in_header(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(message: bytes) -> bytes:
        end = _header_end(message)
        return change(message[:end]) + message[end:]

    return changed


_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_TO_X = bytes(ord("X") if octet >= 0x80 else octet for octet in range(256))
_RETURNS = re.compile(rb"\r{2,}\n")
_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_FROM_LINE = re.compile(rb"(?m)^(?=>*From )")
_NO_LAST_LINE_END = re.compile(rb"(?s)\A.*[^\n]\Z")


def _counted(pattern: re.Pattern[bytes]) -> Callable[[bytes], int]:
    return lambda message: len(pattern.findall(message))


RULES: tuple[Rule, ...] = (
    Rule(
        "8-bit header octets → X",
        "Cyrus with munge8bit, its default (D4)",
        _in_header(lambda header: header.translate(_HIGH_TO_X)),
        lambda message: len(_HIGH.findall(message[: _header_end(message)])),
    ),
    Rule(
        "NUL → 0x80",
        "Dovecot 2.3 (D1)",
        lambda message: message.replace(b"\0", b"\x80"),
        lambda message: message.count(b"\0"),
    ),
    Rule(
        "CRCRLF → CRLF",
        "Dovecot 2.3 (D3)",
        lambda message: _RETURNS.sub(b"\r\n", message),
        _counted(_RETURNS),
    ),
    Rule(
        "LF → CRLF",
        "all that keep lines as files do (D2)",
        lambda message: _LONE_LINE_FEED.sub(b"\r\n", message),
        _counted(_LONE_LINE_FEED),
    ),
    Rule(
        "CR → CRLF",
        "servers that take a bare CR for a line end (D2)",
        lambda message: _LONE_RETURN.sub(b"\r\n", message),
        _counted(_LONE_RETURN),
    ),
    Rule(
        "NUL left out",
        "servers that end or clean strings (D1)",
        lambda message: message.replace(b"\0", b""),
        lambda message: message.count(b"\0"),
    ),
    Rule(
        "last line end added",
        "servers that keep whole lines (D8)",
        lambda message: message + b"\r\n",
        lambda message: 1 if _NO_LAST_LINE_END.match(message) else 0,
    ),
    Rule(
        "From → >From",
        "mbox stores (D5)",
        lambda message: _FROM_LINE.sub(b">", message),
        _counted(_FROM_LINE),
    ),
)


def _field_changes(source: bytes, target: bytes) -> list[str] | None:
    """Names for header fields that were added or, being bookkeeping, left out; None when the two
    differ in anything else. An empty list: they are the same."""
    if source == target:
        return []
    left, right = _header_end(source), _header_end(target)
    if source[left:] != target[right:]:
        return None
    ours, theirs = list(_fields(source[:left])), list(_fields(target[:right]))
    added: list[bytes] = []
    dropped: list[bytes] = []
    place = 0
    for their in theirs:
        ahead = place
        while (
            ahead < len(ours) and ours[ahead] != their and _field_name(ours[ahead]) in BOOKKEEPING
        ):
            ahead += 1
        if ahead < len(ours) and ours[ahead] == their:
            dropped += ours[place:ahead]
            place = ahead + 1
        else:
            added.append(their)
    dropped += ours[place:]
    if any(_field_name(each) not in BOOKKEEPING for each in dropped):
        return None
    if any(not _field_name(each) for each in added):
        return None
    named = [("added header", each) for each in added] + [("left out", each) for each in dropped]
    return [f"{what} {_shown_name(each)}" for what, each in named] or None


def _fields(header: bytes) -> Iterator[bytes]:
    """Each field with its continuation lines, as it stands."""
    start = 0
    while start < len(header):
        end = header.find(b"\n", start)
        while end >= 0 and header[end + 1 : end + 2] in (b" ", b"\t"):
            end = header.find(b"\n", end + 1)
        stop = len(header) if end < 0 else end + 1
        yield header[start:stop]
        start = stop


def _field_name(header_field: bytes) -> bytes:
    """The name in lower case; empty when this is no field."""
    name, colon, _ = header_field.partition(b":")
    name = name.strip().lower()
    fine = colon and name and all(33 <= octet <= 126 for octet in name)
    return name if fine else b""


def _shown_name(header_field: bytes) -> str:
    return printable(header_field.partition(b":")[0].strip(), 60)


def _first_difference(ours: Iterator[bytes], theirs: Iterator[bytes]) -> int:
    """The offset of the first octet in which two streams differ, be it the end of one."""
    offset = 0
    left = right = b""
    while True:
        left = left or next(ours, b"")
        right = right or next(theirs, b"")
        size = min(len(left), len(right))
        if not size:
            return offset
        if left[:size] != right[:size]:
            return offset + _common(left[:size], right[:size])
        offset += size
        left, right = left[size:], right[size:]


def _common(left: bytes, right: bytes) -> int:
    """How long the common beginning is, in octets."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _where(ours: int, theirs: int, first: int, count: int | None) -> str:
    sizes = f"{ours} octets, {theirs} at the target" if ours != theirs else f"{ours} octets"
    differing = f"{count} of them differ" if count is not None else "they differ"
    if ours != theirs:
        return f"{sizes}; they differ from octet {first} on"
    return f"{sizes}; {differing}, the first at {first}"
