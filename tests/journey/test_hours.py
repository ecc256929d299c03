"""Working hours as a wall clock shows them, on nights when clocks change too."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mailhaul.journey.hours import closes, day_of, next_day, opens, passed
from mailhaul.plan.model import Hours

BERLIN = ZoneInfo("Europe/Berlin")
"""2027: forward on 28 March at 02:00, back on 31 October at 03:00."""
NIGHT = Hours.model_validate({"start": "22:00", "end": "06:00"})
DAY = Hours.model_validate({"start": "08:00", "end": "18:00", "days": [1, 2, 3, 4, 5]})
ALWAYS = Hours.model_validate({"start": "00:00", "end": "00:00"})
WEEKEND = Hours.model_validate({"start": "18:00", "end": "18:00", "days": [6, 7]})
SMALL = Hours.model_validate({"start": "02:30", "end": "04:00"})
TWICE = Hours.model_validate({"start": "02:30", "end": "02:45"})


def at(text: str) -> float:
    """A moment of the wall clock in Berlin, or with its offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=BERLIN)).timestamp()


OPENS = [
    ("no hours", None, "2027-03-01 12:00", "2027-03-01 12:00"),
    ("within the night", NIGHT, "2027-03-02 01:00", "2027-03-02 01:00"),
    ("at the moment of opening", NIGHT, "2027-03-01 22:00", "2027-03-01 22:00"),
    ("at the moment of closing", NIGHT, "2027-03-02 06:00", "2027-03-02 22:00"),
    ("by day", NIGHT, "2027-03-02 12:00", "2027-03-02 22:00"),
    ("on Friday evening", DAY, "2027-03-05 18:00", "2027-03-08 08:00"),
    ("on Sunday", DAY, "2027-03-07 10:00", "2027-03-08 08:00"),
    ("Monday's small hours belong to Sunday", WEEKEND, "2027-03-08 03:00", "2027-03-08 03:00"),
    ("Saturday's small hours belong to Friday", WEEKEND, "2027-03-06 03:00", "2027-03-06 18:00"),
    (
        "the opening is skipped in spring",
        SMALL,
        "2027-03-28 01:00",
        "2027-03-28T03:00:00+02:00",
    ),
    (
        "the opening comes twice in autumn",
        SMALL,
        "2027-10-31 01:00",
        "2027-10-31T02:30:00+02:00",
    ),
    (
        "the second time is past the opening",
        TWICE,
        "2027-10-31T02:30:00+01:00",
        "2027-11-01 02:30",
    ),
    ("every minute counts", ALWAYS, "2027-03-28 02:59", "2027-03-28 02:59"),
]


@pytest.mark.parametrize(
    ("hours", "now", "then"), [case[1:] for case in OPENS], ids=[case[0] for case in OPENS]
)
def test_hours_open(hours: Hours | None, now: str, then: str) -> None:
    assert opens(hours, BERLIN, at(now)) == at(then)


CLOSES = [
    ("no hours", None, "2027-03-01 12:00", math.inf),
    ("in the evening", NIGHT, "2027-03-01 23:00", "2027-03-02 06:00"),
    ("after midnight", NIGHT, "2027-03-02 05:59", "2027-03-02 06:00"),
    ("outside they are closed", NIGHT, "2027-03-02 12:00", "2027-03-02 12:00"),
    ("round the clock they never close", ALWAYS, "2027-03-02 12:00", math.inf),
    ("two days that join are one", WEEKEND, "2027-03-06 20:00", "2027-03-08 18:00"),
    ("the night is short in spring", NIGHT, "2027-03-27 23:00", "2027-03-28T06:00:00+02:00"),
    ("the night is long in autumn", NIGHT, "2027-10-30 23:00", "2027-10-31T06:00:00+01:00"),
]


@pytest.mark.parametrize(
    ("hours", "now", "then"), [case[1:] for case in CLOSES], ids=[case[0] for case in CLOSES]
)
def test_hours_close(hours: Hours | None, now: str, then: str | float) -> None:
    expected = then if isinstance(then, float) else at(then)
    assert closes(hours, BERLIN, at(now)) == expected


PASSED = [
    ("no hours", None, "2027-03-01 12:00", 3600, "2027-03-01 13:00"),
    ("within a night", NIGHT, "2027-03-01 12:00", 3600, "2027-03-01 23:00"),
    ("over two nights", NIGHT, "2027-03-01 12:00", 9 * 3600, "2027-03-02 23:00"),
    ("spring's night has seven hours", NIGHT, "2027-03-27 12:00", 8 * 3600, "2027-03-28 23:00"),
    ("autumn's night has nine hours", NIGHT, "2027-10-30 12:00", 9 * 3600, "2027-10-31 06:00"),
]


@pytest.mark.parametrize(
    ("hours", "now", "seconds", "then"),
    [case[1:] for case in PASSED],
    ids=[case[0] for case in PASSED],
)
def test_hours_pass(hours: Hours | None, now: str, seconds: float, then: str) -> None:
    assert passed(hours, BERLIN, at(now), seconds) == at(then)


def test_whatever_opens_does_not_close_at_once() -> None:
    """Through the whole year, every 37 minutes."""
    moment = at("2027-01-01 00:00")
    while moment < at("2028-01-01 00:00"):
        for hours in (NIGHT, DAY, SMALL, TWICE, WEEKEND):
            begin = opens(hours, BERLIN, moment)
            assert moment <= begin < closes(hours, BERLIN, begin)
            assert opens(hours, BERLIN, begin) == begin
        moment += 37 * 60 * 7


def test_days_begin_at_midnight_there() -> None:
    assert day_of(BERLIN, at("2027-03-27T23:30:00+00:00")) == "2027-03-28"
    assert next_day(BERLIN, at("2027-03-28 12:00")) == at("2027-03-29 00:00")
    assert next_day(BERLIN, at("2027-03-28 00:00")) - at("2027-03-28 00:00") == 23 * 3600
