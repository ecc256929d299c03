"""The end of a Maildir's folder: how many messages there are up to a key, and their digests' sum.

Files have no numbers that only grow, so a tail must tell whether anything was added or removed
before its last message; a sum does so without a list of keys.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from mailhaul.core.folder import Cursor
from mailhaul.stores.maildir_folder import (
    Scan,
    key_of,
)

_PLACE = re.compile(r"(?:C [0-9a-f]{32} )?T ([0-9a-f]{32}) (\d{1,18}) (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tail:
    """How many messages there are up to the key `last`, and the sum of their keys' digests."""

    total: int
    count: int
    last: str

    def over(self, key: str) -> "Tail":
        return Tail((self.total + _digest(key)) % 2**128, self.count + 1, max(self.last, key))

    def written(self) -> Cursor:
        return Cursor(f"T {self.total:032x} {self.count} {self.last}")


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=16).digest(), "big")


def _keys(here: Scan) -> Iterator[str]:
    return (key_of(name.removeprefix("new/")) for name in here.names)


def tail_of(here: Scan) -> Cursor:
    total = count = 0
    last = ""
    for last in _keys(here):
        total += _digest(last)
        count += 1
    return Tail(total % 2**128, count, last).written()


def read_tail(place: Cursor) -> Tail | None:
    """The tail, or the one in a cursor; None for what no Maildir gave."""
    match = _PLACE.fullmatch(place)
    return None if match is None else Tail(int(match[1], 16), int(match[2]), match[3])


def after(here: Scan, tail: Tail) -> tuple[list[str], bool]:
    """The files added since, and whether they are the whole folder: they are when something was
    added or removed before the tail's last, for what is between can't be told apart."""
    total = count = 0
    for key in _keys(here):
        if key > tail.last:
            break
        total += _digest(key)
        count += 1
    if count == tail.count and total % 2**128 == tail.total:
        return here.names[count:], False
    return here.names, True
