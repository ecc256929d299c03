"""When TTLs are to be lowered for a cutover, when it may be made, and when they are raised again.

Pure: from what stands and what is to be changed. A cache may go on giving a record out for its old
TTL after the zone has a lower one, so the old TTL is what must pass between the two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailhaul.dns.desired import Key, Present, desired
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.records import RecordSet

MARGIN = timedelta(hours=1)
"""For secondaries that fetch the zone late, and people who do things at the last minute."""
AFTERWARDS = 3600
"""The TTL that is advised once all is settled, where there was none before."""


@dataclass(frozen=True, slots=True)
class TtlPlan:
    """`lower` are the sets to be written at once, values unchanged. `lower_by` is the latest moment
    for it that leaves the cutover where it is. `clear_at` is when every cache will have let go of
    what it may have remembered: before the cutover, or the gate stays shut."""

    cutover: datetime
    lower: tuple[RecordSet, ...]
    lower_by: datetime
    clear_at: datetime

    @property
    def late(self) -> bool:
        """Whether something remembered for long would outlast the cutover."""
        return self.clear_at > self.cutover


def changing(expected: Expected, present: Present) -> tuple[RecordSet, ...]:
    """What stands now and will be replaced or taken away with the switch."""
    after = desired(expected, present, Moment.SWITCH)
    return tuple(
        before
        for each in after
        if (before := present.get(each.key)) is not None
        and before.values
        and set(before.values) != set(each.values)
    )


def ttl_plan(
    expected: Expected,
    present: Present,
    cutover: datetime,
    now: datetime,
    lowered: Mapping[Key, tuple[int, datetime]] | None = None,
) -> TtlPlan:
    """What is to be done about TTLs, seen at `now`, with what stands at the zone's own servers.

    `lowered` says of sets whose TTL has been lowered what it was, and when they were last seen with
    it: until that has passed, caches may still hold them.
    """
    here = changing(expected, present)
    high = [each for each in here if each.ttl > expected.ttl]
    longest = timedelta(seconds=max((each.ttl for each in high), default=0))
    keys = {each.key for each in here}
    held = [
        seen + timedelta(seconds=ttl) for key, (ttl, seen) in (lowered or {}).items() if key in keys
    ]
    return TtlPlan(
        cutover=cutover,
        lower=tuple(replace(each, ttl=expected.ttl) for each in high),
        lower_by=cutover - longest - MARGIN,
        clear_at=max(now + longest, *held) if held else now + longest,
    )


def raised(
    written: Iterable[RecordSet], before: Mapping[Key, int], default: int = AFTERWARDS
) -> tuple[RecordSet, ...]:
    """The sets that were written with a low TTL, with the TTL that stood before it was lowered; to
    be written once the sweeps have ended and nobody will go back."""
    return tuple(
        replace(each, ttl=before.get(each.key, default))
        for each in written
        if each.values and each.ttl < before.get(each.key, default)
    )
