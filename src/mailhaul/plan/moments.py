"""Moments that people write: on a wall clock that is put forward and back, or with an offset."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mailhaul.plan.mistakes import suggestion


def zone_fault(name: str) -> str | None:
    """The cure when `name` is no time zone; None when it is one."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        example = "write one of the IANA names, like Europe/Paris or America/New_York"
        return suggestion(name, available_timezones()) or example
    return None


def wall_fault(wall: datetime, zone: ZoneInfo) -> tuple[str, str] | None:
    """Why `wall` (without an offset) is no moment or two in `zone`, and the cure."""
    earlier, later = wall.replace(tzinfo=zone), wall.replace(tzinfo=zone, fold=1)
    back = earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    if back != wall:
        shift = f"clocks are put forward then in {zone.key}"
        return f"this time never comes, {shift}", f"write {back:%Y-%m-%d %H:%M:%S} or another time"
    if earlier.utcoffset() != later.utcoffset():
        both = " or ".join(each.isoformat(sep=" ") for each in (earlier, later))
        return f"this time comes twice, clocks are put back then in {zone.key}", f"write {both}"
    return None
