"""What is odd in a message is found in it; the probe's messages are odd as they say."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.check.judging import WITHOUT_CONTENT
from mailhaul.check.oddities import BIG, Oddity, oddities_in, probe_messages
from mailhaul.core.identity import header_identity

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PROBE = probe_messages(NOW, None)


@pytest.mark.parametrize("odd", PROBE, ids=lambda odd: odd.oddity.value)
def test_each_message_of_the_probe_is_odd_in_its_own_way_alone(odd) -> None:  # type: ignore[no-untyped-def]
    expected = set() if odd.oddity in WITHOUT_CONTENT else {odd.oddity}
    assert oddities_in(odd.data) == expected


def test_the_probe_tries_every_oddity_once_with_messages_that_can_be_told_apart() -> None:
    assert sorted(odd.oddity for odd in PROBE) == sorted(Oddity)
    assert len({header_identity(odd.data).digest for odd in PROBE}) == len(PROBE)
    assert [len(odd.data) > BIG * 0.99 for odd in PROBE].count(True) == 1
    assert sum(len(odd.data) for odd in PROBE) < BIG * 1.1


@pytest.mark.parametrize(("largest", "tried"), [(None, True), (3 * BIG, True), (BIG, False)])
def test_the_big_one_is_tried_where_there_is_room(largest: int | None, tried: bool) -> None:
    kinds = {odd.oddity for odd in probe_messages(NOW, largest)}
    assert (Oddity.BIG in kinds) == tried


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"", set()),
        (b"\r\n", {Oddity.NO_HEADER}),
        (b"Subject: x\r\n\r\n", {Oddity.EMPTY_BODY}),
        (b"Subject: x\r\n folded\r\n\tmore\r\n\r\nbody\r\n", set()),
        (b"Subject : x\r\n\r\nbody\r\n", set()),
        (b"just words\r\nand more\r\n", {Oddity.NO_HEADER}),
        (b"Subject: x\r\n\r\n\xff\xfe body\r\n", set()),
        (b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n", set()),
        (b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n", {Oddity.LONG_LINE}),
        (b"Subject: x\r\n\r\n" + b"y" * 9901, {Oddity.VERY_LONG_LINE, Oddity.NO_LAST_LINE_END}),
        (b"Subject: x\r\n\r\na\x0bb\x0cc\r\n", set()),
        (b"Subject: x\r\n\r\na\r\r\r\nb\r\n", {Oddity.CRCRLF}),
        (b">From me\r\nSubject: x\r\n\r\nbody\r\n", {Oddity.FROM_LINE}),
    ],
)
def test_what_is_odd_is_found(message: bytes, found: set[Oddity]) -> None:
    assert oddities_in(message) == found


@given(st.binary(max_size=300))
def test_no_octets_are_too_odd_to_be_looked_at(octets: bytes) -> None:
    assert (Oddity.NUL in oddities_in(octets)) == (b"\0" in octets)
