"""One side's folder as a verification holds it, and which messages of two sides are the same.

Compact columns, so that 300,000 messages a side stay in bounds: a message costs 45 octets (key 8,
identity 16, size 8, received 8, flags 4, gone 1), and some 110 more while one side is being sorted.
Only one folder is held at a time. Keys that are strings cost their text as well.

Pairs are one to one: byte-identical duplicates keep their number (failure-modes C10, C11). Shares
nothing with the copy's own matching, which it is there to check.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from mailhaul.core.folder import Folder
from mailhaul.core.message import Entry, Flags, Key, folded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = -(1 << 62)
WIDTH = 16

Trait = Callable[["Census", int], Hashable]
Pairs = list[tuple[int, int]]


class Census:
    """The messages of one folder, or of several that become one, by number in folder order."""

    def __init__(self) -> None:
        self.keys: array[int] | list[Key] = array("q")
        self.digests = bytearray()
        self.sizes = array("q")
        self.received = array("q")
        self.gone = bytearray()
        self._flags = array("I")
        self._spellings: list[Flags] = []
        self._numbers: dict[Flags, int] = {}
        self._starts: list[int] = []
        self._folders: list[Folder] = []

    def __len__(self) -> int:
        return len(self.gone)

    @property
    def parts(self) -> list[tuple[Folder, range]]:
        """Each folder with its numbers."""
        ends = [*self._starts[1:], len(self)]
        spans = zip(self._folders, self._starts, ends, strict=True)
        return [(folder, range(start, end)) for folder, start, end in spans]

    def begin(self, folder: Folder) -> None:
        """What is added from now on lies in `folder`."""
        self._starts.append(len(self))
        self._folders.append(folder)

    def clear(self) -> None:
        """Forgets everything, to be filled anew."""
        for column in (self.keys, self.sizes, self.received, self._flags, self.gone):
            del column[:]
        del self.digests[:]
        self._starts.clear()
        self._folders.clear()

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.key, str) and isinstance(self.keys, array):
                self.keys = list(self.keys)
            self.keys.append(entry.key)  # type: ignore[arg-type]
            self.sizes.append(UNKNOWN if entry.size is None else entry.size)
            self.received.append(seconds(entry.received))
            self._flags.append(self._number(folded(entry.flags)))
            self.digests += bytes(WIDTH)
            self.gone.append(1)  # until its identity is known

    def identify(self, number: int, digest: bytes) -> None:
        self.digests[number * WIDTH : (number + 1) * WIDTH] = digest
        self.gone[number] = 0

    def digest(self, number: int) -> bytes:
        return bytes(self.digests[number * WIDTH : (number + 1) * WIDTH])

    def flags(self, number: int) -> Flags:
        """In lower case."""
        return self._spellings[self._flags[number]]

    def folder(self, number: int) -> Folder:
        return self._folders[bisect_right(self._starts, number) - 1]

    def entry(self, number: int) -> Entry:
        """The listing line, without received date."""
        size = self.sizes[number]
        return Entry(self.keys[number], size=None if size == UNKNOWN else size)

    def _number(self, flags: Flags) -> int:
        found = self._numbers.get(flags)
        if found is None:
            found = self._numbers[flags] = len(self._spellings)
            self._spellings.append(flags)
        return found


def seconds(when: datetime | None) -> int:
    """Whole seconds since 1970; `UNKNOWN` without a date. Any year counts."""
    return UNKNOWN if when is None else int((when - EPOCH).total_seconds() // 1)


def groups(ours: Census, theirs: Census) -> Iterator[tuple[list[int], list[int]]]:
    """The numbers of each identity on both sides, in folder order; one of the two may be empty."""
    left, right = _by_identity(ours), _by_identity(theirs)
    place, other = 0, 0
    while place < len(left) or other < len(right):
        heads = []
        if place < len(left):
            heads.append(ours.digest(left[place]))
        if other < len(right):
            heads.append(theirs.digest(right[other]))
        least = min(heads)
        end = _run_end(ours, left, place, least)
        other_end = _run_end(theirs, right, other, least)
        yield list(left[place:end]), list(right[other:other_end])
        place, other = end, other_end


def pair_off(
    ours: Census,
    theirs: Census,
    left: Sequence[int],
    right: Sequence[int],
    rungs: Sequence[tuple[Trait, Trait]],
) -> tuple[Pairs, list[int], list[int]]:
    """Pairs of equal traits, rung by rung, first with first; then what is left of both sides."""
    pairs: Pairs = []
    rest, others = list(left), list(right)
    for trait, other_trait in rungs:
        if not rest or not others:
            break
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for number in reversed(others):
            waiting[other_trait(theirs, number)].append(number)
        unpaired, taken = [], set()
        for number in rest:
            candidates = waiting.get(trait(ours, number))
            if candidates:
                match = candidates.pop()
                taken.add(match)
                pairs.append((number, match))
            else:
                unpaired.append(number)
        rest, others = unpaired, [number for number in others if number not in taken]
    return pairs, rest, others


def listing_rungs() -> list[tuple[Trait, Trait]]:
    """How copies with one identity are told apart by their listing lines, best first."""
    traits: list[Trait] = [
        lambda side, n: (side.sizes[n], side.received[n], side.flags(n)),
        lambda side, n: (side.sizes[n], side.received[n]),
        lambda side, n: (side.sizes[n], side.flags(n)),
        lambda side, n: side.sizes[n],
        lambda side, n: side.received[n],
        lambda side, n: 0,
    ]
    return [(trait, trait) for trait in traits]


def content_rungs(
    ours: Mapping[int, bytes], theirs: Mapping[int, bytes]
) -> list[tuple[Trait, Trait]]:
    """How copies are told apart once their octets are known: by those first. What could not be
    read matches nothing by octets."""

    def trait(contents: Mapping[int, bytes], side: str, *more: Trait) -> Trait:
        def found(census: Census, number: int) -> Hashable:
            content = contents.get(number)
            alone = (side, number) if content is None else content
            return (alone, *(each(census, number) for each in more))

        return found

    def received(census: Census, number: int) -> Hashable:
        return census.received[number]

    def flags(census: Census, number: int) -> Hashable:
        return census.flags(number)

    tellers: list[tuple[Trait, ...]] = [(received, flags), (received,), (flags,), ()]
    return [(trait(ours, "ours", *more), trait(theirs, "theirs", *more)) for more in tellers]


def out_of_order(numbers: Iterable[int]) -> int:
    """How many of `numbers` would have to be moved for all to ascend."""
    tails: list[int] = []
    total = 0
    for number in numbers:
        total += 1
        place = bisect_left(tails, number)
        tails[place : place + 1] = [number]
    return total - len(tails)


def _by_identity(census: Census) -> "array[int]":
    present = [number for number in range(len(census)) if not census.gone[number]]
    return array("I", sorted(present, key=census.digest))


def _run_end(census: Census, order: "array[int]", start: int, digest: bytes) -> int:
    end = start
    while end < len(order) and census.digest(order[end]) == digest:
        end += 1
    return end
