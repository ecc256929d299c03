"""UID sets (RFC 9051 9, `sequence-set`): written ascending and short, read with a bound.

Sets are always ascending: qq.com rejects others (failure-modes B16). A set is cut before a command
line grows over 8,000 octets (B15; RFC 7162 4). UIDs go up to 2^32 - 1 (C9).
"""

import re
from collections.abc import Iterable, Iterator

LONGEST_SET = 7600
"""Octets of one set: leaves room for verb, attributes and modifiers on an 8,000-octet line."""
HIGHEST_UID = 0xFFFFFFFF

_SET = re.compile(rb"[0-9]+(?::[0-9]+)?(?:,[0-9]+(?::[0-9]+)?)*")


def ranges(uids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The runs of consecutive numbers in `uids`, as (first, last), ascending, each number once."""
    first = last = -1
    for uid in sorted(uids):
        if uid == last + 1 and first >= 0:
            last = uid
        elif uid != last:
            if first >= 0:
                yield first, last
            first = last = uid
    if first >= 0:
        yield first, last


def written(uids: Iterable[int]) -> str:
    """`uids` as one set, however long; empty for none."""
    return ",".join(_written(first, last) for first, last in ranges(uids))


def split(uids: Iterable[int], limit: int = LONGEST_SET) -> list[str]:
    """`uids` as ascending sets of at most `limit` octets each; none for no UID."""
    sets: list[str] = []
    current: list[str] = []
    length = -1
    for first, last in ranges(uids):
        word = _written(first, last)
        if current and length + 1 + len(word) > limit:
            sets.append(",".join(current))
            current, length = [], -1
        current.append(word)
        length += 1 + len(word)
    if current:
        sets.append(",".join(current))
    return sets


def parsed(text: bytes) -> list[range] | None:
    """What a server's set names (VANISHED, APPENDUID, COPYUID), in the order it was sent; ranges
    may be written backwards (RFC 9051 9). None when it is no set or a number is over 32 bits: a
    range is never expanded here, so `1:4294967295` costs nothing."""
    if _SET.fullmatch(text) is None:
        return None
    found = []
    for word in text.split(b","):
        left, _, right = word.partition(b":")
        if len(left) > 10 or len(right) > 10:
            return None
        first = int(left)
        last = int(right) if right else first
        if max(first, last) > HIGHEST_UID:
            return None
        found.append(range(min(first, last), max(first, last) + 1))
    return found


def expanded(found: Iterable[range], limit: int) -> list[int] | None:
    """Every number of `parsed` ranges in order; None when there are more than `limit`."""
    numbers: list[int] = []
    for run in found:
        if len(numbers) + len(run) > limit:
            return None
        numbers.extend(run)
    return numbers


def _written(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"
