"""The identity ladder: a table of awkward pairs, and how copies are paired off."""

from dataclasses import dataclass

import pytest

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Key
from mailhaul.engine import matching
from mailhaul.engine.matching import Trait, loose_digest, match, match_read
from tests.engine.notation import octets


@dataclass(frozen=True)
class Pair:
    """Two messages as (name, size, received): are their octets loosely the same (`same`), and is
    it `certain` without reading them?"""

    left: str
    right: str
    same: bool
    certain: bool
    sizes: tuple[int | None, int | None] | None = None
    received: tuple[int | None, int | None] = (7, 7)


PAIRS = {
    "an exact copy": Pair("A", "A", same=True, certain=True),
    "an exact copy under another date": Pair("A", "A", True, False, received=(7, 8)),
    "an exact copy without a date": Pair("A", "A", True, False, received=(7, None)),
    "neither has a date": Pair("A", "A", True, False, received=(None, None)),
    "an exact copy whose size the server tells wrong": Pair("A", "A", True, False, (100, 129)),
    "sizes that nobody tells": Pair("A", "A", True, False, (None, None)),
    "two different messages": Pair("A", "B", same=False, certain=False),
    "one Message-ID, another size": Pair("A", "A.longer", same=False, certain=False),
    "mbsync's copy": Pair("A", "A.tuid", same=True, certain=False),
    "OfflineIMAP's copy": Pair("A", "A.offline", same=True, certain=False),
    "no Message-ID, the same octets": Pair("a.nameless", "a.nameless", True, False),
    "no Message-ID, another body": Pair("a.nameless", "b.nameless", False, False),
    "no header, the same text": Pair("a.headless", "a.headless", True, False),
    "no header, another text": Pair("a.headless", "b.headless", False, False),
    "8-bit header octets, as Cyrus keeps them": Pair("A.eight", "A.munged", True, True),
    "NUL and CR CR LF, as Dovecot gives them back": Pair("A.nul", "A.nonul", True, False),
}


@pytest.mark.parametrize("name", PAIRS)
def test_awkward_pairs(name: str) -> None:
    pair = PAIRS[name]
    left, right = octets(pair.left), octets(pair.right)
    assert (loose_digest(MemoryBlob(left)) == loose_digest(MemoryBlob(right))) == pair.same
    sizes = pair.sizes or (len(left), len(right))
    result = match(
        [Trait(1, header_identity(left), sizes[0], pair.received[0])],
        [Trait(9, header_identity(right), sizes[1], pair.received[1])],
    )
    assert (result.pairs == ((1, 9),)) == pair.certain
    if pair.same and not pair.certain:
        assert [len(group) for groups in result.doubtful for group in groups] == [1, 1]


def test_a_twin_of_the_same_size_and_date_is_the_one_thing_that_is_not_read() -> None:
    """The documented price of not reading: same Message-ID, date, sender, subject, size and
    received date, alone on both sides, counts as the same message."""
    left, right = octets("A"), octets("A.twin")
    assert len(left) == len(right)
    result = match(
        [Trait(1, header_identity(left), len(left), 7)],
        [Trait(9, header_identity(right), len(right), 7)],
    )
    assert result.pairs == ((1, 9),)


GROUPS = {
    "nothing": ("", "", "", ""),
    "only ours": ("A B", "", "", ""),
    "only theirs": ("", "A B", "", ""),
    "each its own": ("A B C", "C A", "A=1 C=0", ""),
    "copies are never certain": ("A A", "A A", "", "A:2:2"),
    "one of two": ("A A", "A", "", "A:2:1"),
    "two of one": ("A", "A A", "", "A:1:2"),
    "twins": ("A A.twin B", "A.twin B", "B=1", "A:2:1"),
    "the nameless": ("a.nameless b.nameless", "b.nameless", "", "a.nameless:2:1"),
}


def _traits(names: str) -> list[Trait]:
    return [
        Trait(number, header_identity(octets(name)), len(octets(name)), 7)
        for number, name in enumerate(names.split())
    ]


@pytest.mark.parametrize("name", GROUPS)
def test_groups(name: str) -> None:
    left_names, right_names, pairs, doubtful = GROUPS[name]
    lefts, rights = _traits(left_names), _traits(right_names)
    result = match(lefts, rights)
    words = [(left_names.split().index(word[:-2]), int(word[-1])) for word in pairs.split()]
    assert sorted(result.pairs) == sorted(words)
    shown = " ".join(
        f"{left_names.split()[int(ours[0].key)]}:{len(ours)}:{len(theirs)}"
        for ours, theirs in result.doubtful
    )
    assert shown == doubtful


READ = {
    "first with first": ("A A B", "A B A", [(0, 0), (1, 2), (2, 1)]),
    "the surplus stays": ("A A A", "A A", [(0, 0), (1, 1)]),
    "the surplus there stays": ("A", "A A", [(0, 0)]),
    "tool headers do not matter": ("A B", "B.tuid A.offline", [(0, 1), (1, 0)]),
    "nothing alike": ("A", "B", []),
    "unread ones are nobody's": ("A -", "- A", [(0, 1)]),
    "the same octets come before what is only loosely the same": (
        "A.tuid A",
        "A A.offline A.tuid",
        [(0, 2), (1, 0)],
    ),
    "what is left over is paired loosely": ("A A.tuid", "A.offline A", [(0, 1), (1, 0)]),
}


@pytest.mark.parametrize("name", READ)
def test_what_was_read_is_paired_one_to_one(name: str) -> None:
    lefts, rights, wanted = READ[name]
    assert sorted(match_read(_read(lefts), _read(rights))) == wanted


def _read(names: str) -> list[Trait]:
    traits = []
    for number, name in enumerate(names.split()):
        data = octets("A" if name == "-" else name)
        trait = Trait(number, header_identity(data))
        if name != "-":
            trait.exact = MemoryBlob(data).digest()
            trait.loose = loose_digest(MemoryBlob(data))
        traits.append(trait)
    return traits


LOOSELY = {
    "a tool header in the middle": (b"A: 1\r\nX-TUID: x\r\nB: 2\r\n\r\nhi\r\n", True),
    "a folded tool header": (b"A: 1\r\nX-TUID: x\r\n y\r\n\tz\r\nB: 2\r\n\r\nhi\r\n", True),
    "a tool header in any case": (b"A: 1\r\nx-offlineimap: 7\r\nB: 2\r\n\r\nhi\r\n", True),
    "a tool header first": (b"X-TUID: x\r\nA: 1\r\nB: 2\r\n\r\nhi\r\n", True),
    "CR CR LF": (b"A: 1\r\r\nB: 2\r\n\r\nhi\r\r\n", True),
    "a tool header in the body": (b"A: 1\r\nB: 2\r\n\r\nhi\r\nX-TUID: x\r\n", False),
    "a field that only begins like one": (b"A: 1\r\nX-TUIDs: x\r\nB: 2\r\n\r\nhi\r\n", False),
    "one letter in the body": (b"A: 1\r\nB: 2\r\n\r\nho\r\n", False),
    "one letter in the header": (b"A: 1\r\nB: 3\r\n\r\nhi\r\n", False),
    "fields in another order": (b"B: 2\r\nA: 1\r\n\r\nhi\r\n", False),
    "an 8-bit body is no X": (b"A: 1\r\nB: 2\r\n\r\nh\xef\r\n", False),
}


@pytest.mark.parametrize("name", LOOSELY)
def test_what_is_loosely_the_same(name: str) -> None:
    data, same = LOOSELY[name]
    plain = loose_digest(MemoryBlob(b"A: 1\r\nB: 2\r\n\r\nhi\r\n"))
    assert (loose_digest(MemoryBlob(data)) == plain) == same


def test_large_messages_are_compared_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LOOSE_LIMIT", 10)
    small, large = MemoryBlob(b"X-TUID: 1\r"), MemoryBlob(b"X-TUID: 1\r\n\r\nhello\r\n")
    assert loose_digest(small) == loose_digest(MemoryBlob(b"X-TUID: 1\r"))
    assert loose_digest(large) == large.digest()


def test_the_result_does_not_depend_on_the_order_of_what_differs() -> None:
    names = "A B C D"
    wanted: set[tuple[Key, Key]] = {(0, 3), (1, 2), (2, 1), (3, 0)}
    result = match(_traits(names), _traits("D C B A"))
    assert set(result.pairs) == wanted and not result.doubtful
