"""Durations as people write them: `90s`, `15m`, `1h`, `2d`, `1h30m`."""

import re
from datetime import timedelta

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
PATTERN = r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?"
_WRITTEN = re.compile(PATTERN, re.ASCII)


def duration(value: object) -> timedelta:
    """The duration that `value` writes. Raises ValueError with the fact and the cure."""
    if isinstance(value, timedelta):
        return value
    written = value.replace(" ", "") if isinstance(value, str) else ""
    found = _WRITTEN.fullmatch(written)
    if not written or found is None:
        raise ValueError("write a duration as 90s, 15m, 1h, 2d or 1h30m")
    seconds = sum(
        int(amount) * size
        for amount, size in zip(found.groups(), _SECONDS.values(), strict=True)
        if amount
    )
    if seconds <= 0 or seconds > 3650 * 86400:
        raise ValueError("a duration is longer than nothing and shorter than ten years")
    return timedelta(seconds=seconds)


def duration_text(value: timedelta) -> str:
    """As a person would write it; `duration` reads it back."""
    left = int(value.total_seconds())
    parts = []
    for unit, size in _SECONDS.items():
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts)
