"""What two listing lines of one message tell: flags, dates and sizes, and how serious it is."""

from dataclasses import dataclass
from datetime import timedelta

from mailhaul.core.message import SYSTEM_FLAGS, Flags
from mailhaul.core.text import printable
from mailhaul.engine.census import EPOCH, UNKNOWN, Census

WRAP = 1 << 32
"""Servers that keep dates in 32 bits wrap them (failure-modes finding 4)."""

SAME_FLAGS = {"\\forwarded": "$forwarded", "forwarded": "$forwarded"}
"""Keywords under another name: not all take a backslash (D17)."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """How two lines differ. Not serious: known, or not in the target's power."""

    detail: str
    serious: bool


def flag_difference(ours: Flags, theirs: Flags, keeps_keywords: bool) -> Unlike | None:
    """Compares flags in lower case. Keywords that the target can't keep are not serious, nor are
    system flags that no RFC knows (D17), nor keywords that somebody set at the target."""
    left = {SAME_FLAGS.get(flag, flag) for flag in ours}
    right = {SAME_FLAGS.get(flag, flag) for flag in theirs}
    lost, gained = left - right, right - left
    if not lost and not gained:
        return None
    serious = any(flag in SYSTEM_FLAGS for flag in lost | gained) or any(
        keeps_keywords and not flag.startswith("\\") for flag in lost
    )
    parts = []
    if lost:
        parts.append(f"not at the target: {_listed(lost)}")
    if gained:
        parts.append(f"only at the target: {_listed(gained)}")
    return Unlike("; ".join(parts), serious)


def received_difference(ours: int, theirs: int, now: float) -> Unlike | None:
    """Compares received dates as instants, in seconds since 1970. What servers are known to make
    of dates outside their range is told by name and not serious (finding 4)."""
    if UNKNOWN in (ours, theirs) or ours == theirs:
        return None
    apart = theirs - ours
    dates = f"received {_date(ours)} at the source, {_date(theirs)} at the target"
    why = _known_reason(ours, theirs, now)
    if why:
        return Unlike(f"{dates}: {why}", serious=False)
    if abs(apart) <= 14 * 3600 and apart % 900 == 0:
        sign = "+" if apart > 0 else "-"
        return Unlike(f"{dates}: {sign}{timedelta(seconds=abs(apart))}, a time zone", serious=True)
    return Unlike(dates, serious=True)


def sizes_differ(ours: Census, theirs: Census, left: int, right: int) -> bool:
    """Whether both sizes are known and unlike."""
    sizes = ours.sizes[left], theirs.sizes[right]
    return UNKNOWN not in sizes and sizes[0] != sizes[1]


def _known_reason(ours: int, theirs: int, now: float) -> str:
    if (theirs - ours) % WRAP == 0:
        return "the target keeps dates in 32 bits"
    if ours <= 0:
        return "the target takes no date before 1970"
    if ours >= WRAP:
        return "the target takes no date after 2106"
    if ours > now and theirs <= now + 86400:
        return "the target takes no date in the future"
    return ""


def _listed(flags: set[str]) -> str:
    spelled = (SYSTEM_FLAGS.get(flag, flag) for flag in sorted(flags))
    return " ".join(printable(flag, 80) for flag in spelled)


def _date(second: int) -> str:
    try:
        return (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%SZ")
    except OverflowError:
        return f"{second} s after 1970"
