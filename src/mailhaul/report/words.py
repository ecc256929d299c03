"""Figures as people read them in a report: moments, durations, counts."""

from datetime import datetime
from zoneinfo import ZoneInfo


def moment(at: float | None, zone: ZoneInfo) -> str:
    """`2026-12-05 22:00:07 CET`; a dash for what has not been."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def lasted(seconds: float | None) -> str:
    """`1 h 02 min`, `3 min 20 s`, `12 s`, `0.4 s`; a dash for what is not over."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def number(count: int) -> str:
    """With a thin space between thousands."""
    return f"{count:,}".replace(",", "\u202f")
