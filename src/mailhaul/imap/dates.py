"""INTERNALDATE (RFC 9051 9, `date-time`): read tolerantly and fast, written exactly.

Thousands are read and written a second, so a day and a zone are understood once each, and neither
strptime nor strftime (which obeys the locale) is used.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_TOLERANT = re.compile(
    rb"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4})\s+(\d{1,2}):(\d\d):(\d\d)"
    rb"(?:\s*([+-]\d{4}|GMT|UTC?|Z))?\s*",
    re.IGNORECASE,
)
_UNIVERSAL = frozenset({b"GMT", b"UT", b"UTC", b"Z"})
_EXACT_LENGTH = len("17-Jul-1996 02:44:25 -0700")


def parse_internaldate(text: bytes) -> datetime | None:
    """The aware datetime that `text` (without its quotes) names, in its own zone; None when it
    names none, as Domino's `00-Jan-0000 00:00:00 +0000` (failure-modes D14).

    One-digit days and hours, lower-case months, odd blanks and `GMT` are understood; a missing
    zone is read as UTC. Year 1 stays year 1.
    """
    # The fast path trusts nothing: int() refuses what isn't a number, time() what is no time.
    if len(text) == _EXACT_LENGTH and text[14] == text[17] == 0x3A and text[20] == 0x20:
        try:
            return datetime.combine(_day(text[:11]), _time(text[12:20]), _zone(text[21:]))
        except ValueError:
            pass
    return _parse_tolerantly(text)


def format_internaldate(moment: datetime) -> bytes:
    """`moment`, which is aware, as `17-Jul-1996 02:44:25 -0700` in its own zone, unquoted; 26
    octets. Fractions of a second are left out; a zone with seconds is moved to whole minutes."""
    offset = moment.utcoffset()
    assert offset is not None, "a received date without zone names no instant"
    minutes, rest = divmod(offset.days * 86400 + offset.seconds, 60)
    if rest:
        moment = moment.astimezone(timezone(timedelta(minutes=minutes)))
    return b"%b %02d:%02d:%02d %b" % (
        _written_day(moment.year, moment.month, moment.day),
        moment.hour,
        moment.minute,
        moment.second,
        _written_zone(minutes),
    )


def _parse_tolerantly(text: bytes) -> datetime | None:
    match = _TOLERANT.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    try:
        return datetime.combine(
            _day(b"%b-%b-%b" % (day.rjust(2, b"0"), month, year)),
            # A leap second is the second before it: time() knows none.
            time(int(hour), int(minute), min(int(second), 59) if second == b"60" else int(second)),
            _zone(zone or b"UTC"),
        )
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _day(text: bytes) -> date:
    month = _MONTH_NUMBERS.get(text[3:6].decode("latin-1").lower(), 0)
    if text[2:3] != b"-" or text[6:7] != b"-":
        raise ValueError("no date")
    return date(_number(text[7:]), month, _number(text[:2].strip()))


def _time(text: bytes) -> time:
    # Cheaper than three int() calls, and strict about digits and colons.
    return time.fromisoformat(text.decode("ascii", "replace"))


@lru_cache(maxsize=512)
def _zone(text: bytes) -> tzinfo:
    if text.upper() in _UNIVERSAL:
        return UTC
    if len(text) != 5 or text[:1] not in (b"+", b"-") or _number(text[3:5]) > 59:
        raise ValueError("no zone")
    minutes = _number(text[1:3]) * 60 + _number(text[3:5])
    return (
        timezone(timedelta(minutes=-minutes if text[:1] == b"-" else minutes)) if minutes else UTC
    )


def _number(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError("no number")
    return int(text)


@lru_cache(maxsize=4096)
def _written_day(year: int, month: int, day: int) -> bytes:
    return f"{day:2d}-{_MONTHS[month - 1]}-{year:04d}".encode()


@lru_cache(maxsize=512)
def _written_zone(minutes: int) -> bytes:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{rest:02d}".encode()
