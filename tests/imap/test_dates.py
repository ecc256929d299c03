"""INTERNALDATE, as servers send it and as we write it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.imap.dates import format_internaldate, parse_internaldate


def at(hours: float, *fields: int) -> datetime:
    year, month, day, hour, minute, second = fields
    zone = timezone(timedelta(hours=hours))
    return datetime(year, month, day, hour, minute, second, tzinfo=zone)


UNDERSTOOD = [
    ("RFC 9051's own", b"17-Jul-1996 02:44:25 -0700", at(-7, 1996, 7, 17, 2, 44, 25)),
    ("a day with its blank", b" 1-Jan-2024 00:00:00 +0000", at(0, 2024, 1, 1, 0, 0, 0)),
    ("a day without it (D14)", b"1-Jan-2024 00:00:00 +0000", at(0, 2024, 1, 1, 0, 0, 0)),
    ("a day with a nought", b"01-Jan-2024 00:00:00 +0000", at(0, 2024, 1, 1, 0, 0, 0)),
    ("an hour of one digit", b"01-Jan-2024 7:00:00 +0000", at(0, 2024, 1, 1, 7, 0, 0)),
    ("months in capitals", b"01-JAN-2024 00:00:00 +0000", at(0, 2024, 1, 1, 0, 0, 0)),
    ("months in small letters", b"1-jan-2024 00:00:00 +0000", at(0, 2024, 1, 1, 0, 0, 0)),
    ("a zone of half an hour", b"01-Jan-2024 00:00:00 -0330", at(-3.5, 2024, 1, 1, 0, 0, 0)),
    ("the farthest zone", b"01-Jan-2024 00:00:00 +1400", at(14, 2024, 1, 1, 0, 0, 0)),
    ("a zone's name", b"01-Jan-2024 00:00:00 GMT", at(0, 2024, 1, 1, 0, 0, 0)),
    ("no zone", b"01-Jan-2024 00:00:00", at(0, 2024, 1, 1, 0, 0, 0)),
    ("a leap second", b"31-Dec-2016 23:59:60 +0000", at(0, 2016, 12, 31, 23, 59, 59)),
    ("year 1, not 2001", b"01-Jan-0001 00:00:00 +0000", at(0, 1, 1, 1, 0, 0, 0)),
    ("far ahead", b"31-Dec-9999 23:59:59 +0000", at(0, 9999, 12, 31, 23, 59, 59)),
    ("blanks about", b"  17-Jul-1996  02:44:25  -0700 ", at(-7, 1996, 7, 17, 2, 44, 25)),
]

NO_DATES = [
    ("Domino (D14)", b"00-Jan-0000 00:00:00 +0000"),
    ("nothing", b""),
    ("NIL", b"NIL"),
    ("a day the month lacks", b"31-Feb-2020 00:00:00 +0000"),
    ("no such month", b"01-Foo-2020 00:00:00 +0000"),
    ("hour 24", b"01-Jan-2020 24:00:00 +0000"),
    ("minute 60", b"01-Jan-2020 00:60:00 +0000"),
    ("a zone of more than a day", b"01-Jan-2020 00:00:00 +2500"),
    ("a zone of 61 minutes", b"01-Jan-2020 00:00:00 +0061"),
    ("a zone of letters", b"01-Jan-2020 00:00:00 XXXXX"),
    ("other separators", b"01/Jan/2020 00:00:00 +0000"),
    ("a colon too few", b"17-Jul-1996 0204425.1-0700"),
    ("digits that are no ASCII", "0١-Jan-2020 00:00:00 +0000".encode()),
    ("RFC 5322's form", b"Fri, 21 Nov 1997 09:55:06 -0600"),
    ("octets over 0x7f", b"17-Jul-1996 02:44:\xff\xff -0700"),
]


@pytest.mark.parametrize(("why", "text", "moment"), UNDERSTOOD)
def test_a_date_is_understood(why: str, text: bytes, moment: datetime) -> None:
    parsed = parse_internaldate(text)
    assert parsed is not None, why
    assert (parsed, parsed.utcoffset()) == (moment, moment.utcoffset()), why


@pytest.mark.parametrize(("why", "text"), NO_DATES)
def test_nonsense_is_no_date(why: str, text: bytes) -> None:
    assert parse_internaldate(text) is None, why


def test_a_date_is_written_in_its_own_zone_without_fractions() -> None:
    moment = at(5.5, 2024, 2, 3, 4, 5, 6).replace(microsecond=999_999)
    assert format_internaldate(moment) == b" 3-Feb-2024 04:05:06 +0530"


def test_a_zone_with_seconds_keeps_its_instant() -> None:
    moment = datetime(1890, 1, 1, 12, 0, 0, tzinfo=timezone(timedelta(seconds=3208)))
    assert parse_internaldate(format_internaldate(moment)) == moment


@given(
    st.datetimes(
        timezones=st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
            lambda minutes: timezone(timedelta(minutes=minutes))
        )
    )
)
def test_every_date_survives_the_wire(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    text = format_internaldate(moment)
    assert len(text) == 26
    parsed = parse_internaldate(text)
    assert parsed == moment and parsed.utcoffset() == moment.utcoffset()


@given(st.binary(max_size=40))
def test_any_octets_are_a_date_or_none(text: bytes) -> None:
    parsed = parse_internaldate(text)
    assert parsed is None or parsed.tzinfo is not None


def test_the_zone_of_noughts_is_utc() -> None:
    parsed = parse_internaldate(b"01-Jan-2024 00:00:00 -0000")
    assert parsed is not None and parsed.tzinfo is UTC
