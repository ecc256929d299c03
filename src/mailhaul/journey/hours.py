"""Working hours: when initial copies and deltas may run.

A wall clock's time that is skipped in spring is reached when the clock jumps; one that comes twice
in autumn is meant the first time. Nights run over midnight and count to the day they begin on.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from mailhaul.plan.model import Hours

LOOKED_AHEAD = 9
"""Days; hours have at least one day a week."""


def opens(hours: Hours | None, zone: ZoneInfo, at: float) -> float:
    """`at` when that is within the hours, else the moment at which they begin next."""
    if hours is None:
        return at
    for begin, end in _windows(hours, zone, at):
        if at < end:
            return max(at, begin)
    raise AssertionError("hours without a day")


def closes(hours: Hours | None, zone: ZoneInfo, at: float) -> float:
    """When the hours that go on at `at` end: `at` itself outside of them; infinity when they never
    do, as far as a week shows."""
    if hours is None:
        return math.inf
    closing = at
    for begin, end in _windows(hours, zone, at):
        if begin <= closing < end:
            closing = end
    return math.inf if closing - at > 7 * 86400 else closing


def passed(hours: Hours | None, zone: ZoneInfo, at: float, seconds: float) -> float:
    """The moment at which `seconds` of working hours have gone by since `at`; for forecasts."""
    while True:
        begin = opens(hours, zone, at)
        end = closes(hours, zone, begin)
        if seconds <= end - begin:
            return begin + seconds
        seconds -= end - begin
        at = end


def day_of(zone: ZoneInfo, at: float) -> str:
    """The day there, as `2026-11-21`."""
    return datetime.fromtimestamp(at, zone).date().isoformat()


def next_day(zone: ZoneInfo, at: float) -> float:
    """When the next day begins there."""
    tomorrow = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
    return _moment(datetime.combine(tomorrow, datetime.min.time()), zone)


def _windows(hours: Hours, zone: ZoneInfo, at: float) -> Iterator[tuple[float, float]]:
    """Begin and end of each, in order, from one that may still go on."""
    today = datetime.fromtimestamp(at, zone).date()
    for offset in range(-1, LOOKED_AHEAD):
        day = today + timedelta(days=offset)
        if day.isoweekday() not in hours.days:
            continue
        begin, end = _window(hours, zone, day)
        # In spring the clock may jump over all of them.
        if begin < end:
            yield begin, end


def _window(hours: Hours, zone: ZoneInfo, day: date) -> tuple[float, float]:
    last = day if hours.start < hours.end else day + timedelta(days=1)
    begin = _moment(datetime.combine(day, hours.start), zone)
    return begin, _moment(datetime.combine(last, hours.end), zone)


def _moment(wall: datetime, zone: ZoneInfo) -> float:
    """When a clock there first shows `wall` or, where it never does, jumps past it."""
    moment = wall.replace(tzinfo=zone).timestamp()
    if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) == wall:
        return moment
    # Read with the offset of after the jump it lies before it, with that of before, after it.
    early, late = wall.replace(tzinfo=zone, fold=1).timestamp(), moment
    offset = datetime.fromtimestamp(late, zone).utcoffset()
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return float(late)
