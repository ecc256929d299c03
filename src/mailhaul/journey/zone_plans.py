"""What a domain's zone is to become, moment by moment: ahead of the switch, with it, after the
sweeps. Pure.

Each share is laid over what the ones before it leave, so that every line is shown once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.dns.desired import Key, desired
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.records import RecordSet
from mailhaul.dns.snapshot import Snapshot, planned
from mailhaul.dns.ttl_plan import TtlPlan, changing, raised, ttl_plan
from mailhaul.dns.zone import Held


class Stage(StrEnum):
    """How far the move of a domain is, seen from its zone."""

    BEFORE = "before the switch"
    BUSY = "being switched or returned"
    SINCE = "since the switch"
    AFTER = "after the sweeps"


DUE: Mapping[Stage, tuple[Moment, ...]] = {
    Stage.BEFORE: (Moment.NOW,),
    Stage.BUSY: (),
    Stage.SINCE: (Moment.NOW,),
    Stage.AFTER: (Moment.NOW, Moment.END),
}
"""Whose records may be written apart from the switch, in this order."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one moment changes. `sets` is all that it wants, also what stands already. `trouble`:
    why that can't be said, and then there is neither."""

    moment: Moment
    snapshot: Snapshot
    sets: tuple[RecordSet, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Ttls:
    """What is known of TTLs before the switch, moments in seconds since 1970. `plan` is None where
    the domain has no cutover yet, and then `lower` is all that can be told. `seen` is the greatest
    TTL of what the switch changes, at the last look; `low_since` since when it is low enough;
    `cached_until` until when caches may hold what was."""

    wanted: int
    lower: tuple[RecordSet, ...]
    plan: TtlPlan | None = None
    seen: int | None = None
    low_since: float | None = None
    cached_until: float | None = None


def shares(
    expected: Expected,
    there: Mapping[Key, Held],
    zones: Iterable[str],
    stage: Stage,
    first_ttls: Mapping[Key, int],
    now: datetime,
) -> tuple[Share, ...]:
    """All three shares. `there` is what the zones hold under `dns.desired.keys(expected)`;
    `first_ttls` are those from before mailhaul wrote anything, which come back at the end."""
    zones = tuple(zones)
    held = dict(there)
    found = []
    for moment in Moment:
        share = Share(moment, Snapshot(now, ()))
        try:
            wanted = _wanted(expected, _records(held), moment, stage, first_ttls)
            share = Share(moment, planned(zones, held, wanted, now), tuple(wanted))
        except BadInput as error:
            share = replace(share, trouble=str(error))
        held |= {edit.key: edit.after for edit in share.snapshot.edits}
        found.append(share)
    return tuple(found)


def first_ttls(snapshots: Iterable[Snapshot]) -> dict[Key, int]:
    """The TTL of each record set before the first of those snapshots, given in their order, that
    lowered it."""
    found: dict[Key, int] = {}
    for snapshot in snapshots:
        for edit in snapshot.edits:
            before, after = edit.before.records, edit.after.records
            if before.values and after.values and after.ttl < before.ttl:
                found.setdefault(edit.key, before.ttl)
    return found


def ttls(
    expected: Expected,
    there: Mapping[Key, Held],
    cutover: datetime | None,
    lowered: Mapping[Key, tuple[int, datetime]],
    now: datetime,
) -> Ttls:
    """When TTLs are to be lowered. `lowered` as `dns.ttl_plan.ttl_plan` has it."""
    # The SPF record has no part in it, and may be one that can't be read.
    moved = replace(expected, spf=(), spf_old=(), spf_all="")
    present = _records(there)
    if cutover is not None:
        plan = ttl_plan(moved, present, cutover, now, lowered)
        return Ttls(expected.ttl, plan.lower, plan)
    return Ttls(expected.ttl, tuple(_low(moved, present)))


def _wanted(
    expected: Expected,
    present: Mapping[Key, RecordSet],
    moment: Moment,
    stage: Stage,
    first: Mapping[Key, int],
) -> list[RecordSet]:
    # A share that is over is not written any more, though it may say something yet.
    if moment is Moment.NOW:
        found = {each.key: each for each in desired(expected, present, moment)}
        if stage is Stage.BEFORE:
            moved = replace(expected, spf=(), spf_old=(), spf_all="")
            for each in _low(moved, present):
                found[each.key] = replace(found.get(each.key, each), ttl=each.ttl)
        return [*found.values()]
    if moment is Moment.SWITCH:
        return [*desired(expected, present, moment)]
    switched = desired(replace(expected, spf=(), spf_old=(), spf_all=""), present, Moment.SWITCH)
    found = {each.key: each for each in desired(expected, present, moment)}
    written = [found.get(each.key, each) for each in switched]
    low = [each for each in written if each.ttl <= expected.ttl and each.key in present]
    found |= {each.key: each for each in raised(low, first)}
    return [*found.values()]


def _low(expected: Expected, present: Mapping[Key, RecordSet]) -> list[RecordSet]:
    """What the switch changes, with the TTL that it is to have until then."""
    high = (each for each in changing(expected, present) if each.ttl > expected.ttl)
    return [replace(each, ttl=expected.ttl) for each in high]


def _records(held: Mapping[Key, Held]) -> dict[Key, RecordSet]:
    return {key: each.records for key, each in held.items() if each.records.values}


def moment_of(at: float) -> datetime:
    """Seconds since 1970 as a moment."""
    return datetime.fromtimestamp(at, UTC)
