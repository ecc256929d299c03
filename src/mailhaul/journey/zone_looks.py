"""What every server says of a domain's records now, beside what should stand at this moment.

Before the switch, and after it was taken back, the old system's records should stand; since the
switch the new one's. Nothing is changed, and no key is needed for it.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.dns.answers import Answer
from mailhaul.dns.desired import Key, keys
from mailhaul.dns.expected import Expected, Moment
from mailhaul.dns.propagation import Look, Seen, Switched, Watched, looked, spread
from mailhaul.dns.records import Kind
from mailhaul.dns.switch import read
from mailhaul.dns.watching import own_values
from mailhaul.dns.zone import Held
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.zone_orders import facts_of
from mailhaul.journey.zone_plans import DUE, Stage, first_ttls, moment_of, shares
from mailhaul.journey.zone_reach import Desk, Ears
from mailhaul.journey.zone_rows import WORDS, Facts
from mailhaul.journey.zones import Standing, expected_of

_FORWARD = (DomainState.SWITCHING, DomainState.SWITCHED)
_FLIPPED = {Seen.OLD: Seen.NEW, Seen.NEW: Seen.OLD}


@dataclass(frozen=True, slots=True)
class Told:
    """One record set of the move: `record` has what the old system wants and what the new one does,
    `should` which of both is to stand now; each look says which it is. `ttl`: what is looked at is
    the TTL, of the same values. `gone` is the moment by which no cache may hold anything else, in
    seconds since 1970; 0: none does, or it does no harm; None: not known yet."""

    record: Switched
    should: Seen
    looks: tuple[Look, ...]
    gone: float | None
    ttl: int | None = None

    @property
    def good(self) -> bool:
        """Whether every server that was asked says what should stand."""
        return bool(self.looks) and all(each.seen is self.should for each in self.looks)


@dataclass(frozen=True, slots=True)
class Sighted:
    """A domain as its servers and the resolvers show it `at` that moment. `trouble`: what of it
    can't be said, and why."""

    row: DomainRow
    stage: Stage
    at: float
    told: tuple[Told, ...]
    trouble: str = ""

    @property
    def good(self) -> bool:
        return not self.trouble and all(each.good for each in self.told)

    @property
    def gone(self) -> float | None:
        """By when no cache anywhere may hold what should not stand; None: not known yet."""
        moments = [each.gone for each in self.told]
        known = [each for each in moments if each is not None]
        return max(known, default=0.0) if len(known) == len(moments) else None


async def sighted(desk: Desk, plan: PlanRow, row: DomainRow) -> Sighted:
    """Asks every server of the zone and the plan's resolvers. Raises `BadInput` for expectations
    that make no sense, and `ZoneError` where none of the zone's own servers answers."""
    facts = await facts_of(desk, plan, row)
    ears = await desk.zones.ears(plan, facts.row)
    expected = expected_of(plan.plan, facts.row.name, facts.row.old_mx or ())
    wanted = dict.fromkeys(keys(expected))
    wanted |= dict.fromkeys(edit.key for each in facts.kept for edit in each.snapshot.edits)
    there = await read((ears.own,), wanted)
    sides, trouble = _sides(facts, expected, there, ears.own.zone, desk.clock.now())
    past = await desk.database.run(lambda c: _past(c, facts.row, ears.asked))
    told = await asyncio.gather(
        *(_told(desk, ears, facts.row, expected, each, past) for each in sides)
    )
    return Sighted(facts.row, facts.stage, desk.clock.now(), tuple(told), trouble)


@dataclass(frozen=True, slots=True)
class _Side:
    """A record set before and after its moment of the move. With `ttl` it is the TTL that changes,
    and `gone` is known already."""

    record: Switched
    should: Seen
    ttl: int | None = None
    gone: float | None = None
    switch: bool = False


_Was = tuple[tuple[str, ...], int]
"""Values and TTL before."""


def _sides(
    facts: Facts, expected: Expected, there: Mapping[Key, Held], zone: str, now: float
) -> tuple[list[_Side], str]:
    """What to look at, and why something of it can't be said."""
    first = first_ttls(each.snapshot for each in facts.open)
    found: dict[Key, _Side] = {}
    lowered = {} if facts.stage is Stage.BUSY else _lasting(facts)
    trouble = []
    for share in shares(expected, there, (zone,), facts.stage, first, moment_of(now)):
        trouble += [share.trouble] if share.trouble else []
        if share.moment is Moment.END and facts.stage is not Stage.AFTER:
            continue
        forward = share.moment is not Moment.SWITCH or facts.row.was in _FORWARD
        edits = {edit.key: edit for edit in share.snapshot.edits}
        before = _before(facts, share.moment)
        aliased = {each.name for each in share.sets if each.kind is Kind.CNAME and each.values}
        for records in share.sets:
            key = records.key
            if not records.values and records.name in aliased:
                # What gives way to a CNAME is seen by the CNAME.
                continue
            edit = edits.get(key)
            if edit is not None and edit.before.values == edit.after.values:
                if share.moment in DUE[facts.stage]:
                    ttl = edit.before.records.ttl
                    record = Switched(*key, records.values, records.values, ttl)
                    lowered[key] = _Side(record, Seen.NEW, records.ttl)
                continue
            was = before.get(key)
            if was is None and edit is not None:
                was = edit.before.records.values, edit.before.records.ttl
            if was is None and not forward:
                was = _at_first(facts.row, key, expected.ttl)
                if was is None:
                    # It stands already, and nobody knows what stood before.
                    continue
            values, ttl = was or ((), expected.ttl)
            should = Seen.NEW if forward else Seen.OLD
            record = Switched(*key, values, records.values, ttl)
            found[key] = _Side(record, should, switch=share.moment is Moment.SWITCH)
    return [*found.values(), *lowered.values()], "; ".join(dict.fromkeys(trouble))


def _lasting(facts: Facts) -> dict[Key, _Side]:
    """TTLs that have been written and should stand."""
    words = {WORDS[moment] for moment in DUE[facts.stage]}
    last = WORDS[Moment.END] if facts.stage is Stage.AFTER else WORDS[Moment.NOW]
    found: dict[Key, _Side] = {}
    if facts.stage is Stage.SINCE:
        return found
    for kept in facts.open:
        if kept.moment not in words or kept.moment != last:
            continue
        for edit in kept.snapshot.edits:
            if edit.before.values == edit.after.values:
                values, ttl = edit.after.records.values, edit.before.records.ttl
                gone = None if kept.written_at is None else kept.written_at + ttl
                record = Switched(*edit.key, values, values, ttl)
                found[edit.key] = _Side(record, Seen.NEW, edit.after.records.ttl, gone)
    return found


def _before(facts: Facts, moment: Moment) -> dict[Key, _Was]:
    """What stood before it was written for that moment, where it is known."""
    found: dict[Key, _Was] = {}
    lowered: dict[Key, _Was] = {}
    for kept in facts.open:
        for edit in kept.snapshot.edits:
            was = edit.before.records.values, edit.before.records.ttl
            if kept.moment == WORDS[moment] and edit.before.values != edit.after.values:
                found.setdefault(edit.key, was)
            elif moment is Moment.SWITCH and kept.moment == WORDS[Moment.NOW]:
                lowered.setdefault(edit.key, was)
    return {**lowered, **found}


def _at_first(row: DomainRow, key: Key, ttl: int) -> _Was | None:
    """MX as the first look found it."""
    if key != (row.name, Kind.MX) or row.old_mx is None:
        return None
    return row.old_mx, ttl


async def _told(
    desk: Desk,
    ears: Ears,
    row: DomainRow,
    expected: Expected,
    side: _Side,
    past: Mapping[Key, Sequence[Look]],
) -> Told:
    record = side.record
    # TTLs count down in caches: only the zone's own servers tell what stands.
    asked = [each for each in ears.asked if each.authoritative or side.ttl is None]
    answers = await asyncio.gather(
        *(
            ears.network.ask(
                each.server, record.name, record.kind, recursive=not each.authoritative
            )
            for each in asked
        )
    )
    now = desk.clock.now()
    if side.ttl is not None:
        looks = tuple(
            _ttl_look(now, each, side, answer) for each, answer in zip(asked, answers, strict=True)
        )
        return Told(record, side.should, looks, side.gone, side.ttl)
    key = record.key
    record = replace(
        record, old=_ours(expected, key, record.old), new=_ours(expected, key, record.new)
    )
    backward = side.should is Seen.OLD
    aim = replace(record, old=record.new, new=record.old) if backward else record
    here = [
        looked(now, each, aim, replace(answer, values=_ours(expected, key, _values(answer))))
        for each, answer in zip(asked, answers, strict=True)
    ]
    before = [replace(each, values=_ours(expected, key, each.values)) for each in past.get(key, ())]
    (line,) = spread([aim], [*before, *here], asked).rows
    looks = tuple(
        replace(each, seen=_FLIPPED.get(each.seen, each.seen)) if backward else each
        for each in line.looks
    )
    # Nothing new was ever handed out where nothing was ever switched; and what goes ahead of the
    # switch, or is tidied after it, leads no mail astray while it spreads.
    untouched = backward and row.returned_at is None and row.switched_at is None
    harmless = untouched or not side.switch
    good = all(each.seen is side.should for each in looks)
    return Told(record, side.should, looks, 0.0 if harmless and good else line.gone)


def _ttl_look(now: float, asked: Watched, side: _Side, answer: Answer) -> Look:
    look = looked(now, asked, side.record, replace(answer, values=_values(answer)))
    if look.seen is Seen.SILENT or look.seen is Seen.MIXED:
        return look
    return replace(look, seen=Seen.NEW if look.ttl == side.ttl else Seen.OLD)


def _values(answer: Answer) -> tuple[str, ...]:
    """What stands at the name itself."""
    if answer.kind is Kind.CNAME and answer.aliases:
        return answer.aliases[:1]
    return tuple(sorted(own_values(answer)))


def _ours(expected: Expected, key: Key, values: Iterable[str]) -> tuple[str, ...]:
    """The values; of texts those that the move is about, for other people's at the same name come
    and go."""
    if key[1] is not Kind.TXT:
        return tuple(sorted(values))
    own = {
        value for each in expected.records if (each.name, each.kind) == key for value in each.values
    }
    tags = {_tag(value) for value in own} - {""}
    if key[0] == expected.domain:
        tags.add("v=spf1")
    # A key that replaces another one has its name to itself.
    alone = "._domainkey." in key[0]
    return tuple(sorted(v for v in values if alone or v in own or _tag(v) in tags))


def _tag(text: str) -> str:
    """`v=spf1` of a text that begins so; else empty."""
    first = text.partition(";")[0].split()[:1]
    return first[0].casefold() if first and first[0].casefold().startswith("v=") else ""


def _past(
    connection: Connection, row: DomainRow, asked: Sequence[Watched]
) -> dict[Key, list[Look]]:
    """What those servers said when workers looked: each row from its first to its last moment."""
    table = tables.look
    by_name = {(printable(str(each.server), 300), each.authoritative): each for each in asked}
    found: dict[Key, list[Look]] = {}
    for each in connection.execute(
        select(table).where(table.c.domain_id == row.id).order_by(table.c.first_at)
    ):
        server = by_name.get((each.server, each.authoritative))
        if server is None or each.standing == Standing.SILENT.value:
            continue
        key = each.name, Kind(each.kind)
        for at in dict.fromkeys((each.first_at, each.last_at)):
            look = Look(
                at,
                server.server,
                server.authoritative,
                *key,
                Seen.NEW if each.standing == Standing.NEW.value else Seen.OLD,
                tuple(json.loads(each.found)),
                each.ttl,
            )
            found.setdefault(key, []).append(look)
    return found
