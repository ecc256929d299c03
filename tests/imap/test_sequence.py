"""UID sets: short, ascending, cut to a line, and read with a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.imap.sequence import HIGHEST_UID, expanded, parsed, split, written

uids = st.sets(st.integers(1, HIGHEST_UID) | st.integers(1, 300))


def numbers_of(text: str) -> list[int]:
    ranges = parsed(text.encode())
    assert ranges is not None
    return [uid for numbers in ranges for uid in numbers]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([7], "7"),
        ([1, 2, 3], "1:3"),
        ([1, 2], "1:2"),
        ([9, 1, 3, 2, 5], "1:3,5,9"),
        ([4, 4, 5, 5], "4:5"),
        ([HIGHEST_UID], "4294967295"),
    ],
)
def test_a_set_is_short_and_ascending(numbers: list[int], text: str) -> None:
    assert written(numbers) == text


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (b"1:4294967295", [range(1, 4294967296)]),
        (b"5:3", [range(3, 6)]),
        (b"9,1:2,4", [range(9, 10), range(1, 3), range(4, 5)]),
        (b"", None),
        (b"*", None),
        (b"1:", None),
        (b"1,,2", None),
        (b"-1", None),
        (b"1 2", None),
        (b"4294967296", None),
        (b"9" * 5000, None),
    ],
)
def test_a_servers_set_is_read_without_being_expanded(
    text: bytes, ranges: list[range] | None
) -> None:
    assert parsed(text) == ranges


@given(uids, st.integers(25, 200))
def test_a_split_set_names_each_uid_once_in_order_within_the_limit(
    numbers: set[int], limit: int
) -> None:
    sets = split(numbers, limit)
    assert [uid for text in sets for uid in numbers_of(text)] == sorted(numbers)
    assert all(0 < len(text) <= limit for text in sets)


def test_a_folder_full_of_gaps_takes_few_commands() -> None:
    sets = split(range(1, 20_000, 2))
    assert len(sets) == -(-len(",".join(sets)) // 7600)


@pytest.mark.parametrize(
    ("text", "limit", "numbers"),
    [
        (b"7,3:5", 4, [7, 3, 4, 5]),
        (b"7,3:5", 3, None),
        (b"1:4294967295", 1000, None),
    ],
)
def test_ranges_are_expanded_within_a_limit(
    text: bytes, limit: int, numbers: list[int] | None
) -> None:
    found = parsed(text)
    assert found is not None
    assert expanded(found, limit) == numbers
