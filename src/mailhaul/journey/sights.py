"""What is made of a look at a domain: the evidence on which the gate opens and sweeps end.

Pure but for the writing. A TTL counts from when it was last seen: caches may hold what they were
given the moment before it was lowered, or switched, for as long as it said then.
"""

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.dns.records import Kind
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.zones import Seen, Sight, Standing, canonical, overall
from mailhaul.plan.model import Dns

AFTER = frozenset({DomainState.SWITCHED, DomainState.RETURNING})
SHORTEST = 5.0
LONGEST = 300.0
"""Seconds between two looks while records spread."""
PATIENCE = 20
"""By this part of the time since the switch the pause between two looks grows."""
UNKNOWN_TTL = 86_400
"""Seconds for which records are taken to be remembered whose TTL nobody has seen: a day, the
longest that is usual."""


def folded(row: DomainRow, sight: Sight, dns: Dns, now: float) -> dict[str, Any]:
    """The columns after the look."""
    own = [each for each in sight.seen if each.authoritative]
    mx = [each for each in own if each.kind is Kind.MX and each.name == row.name]
    # Behind a filter MX stays, whatever else is changed.
    standing = Standing.KEPT if dns.filter else overall(mx or own)
    values: dict[str, Any] = {
        "looked_at": now,
        "mx": standing.value,
        "ready": not any(
            finding.severity is Severity.BLOCKS
            for aspect in sight.aspects
            for finding in aspect.findings
        ),
    }
    first = first_mx(sight, row.name)
    if row.old_mx is None and first is not None and standing is Standing.OLD:
        values["old_mx"] = canonical(first)
    if row.was in AFTER:
        return values | _spread(row, sight, dns, now)
    return values | _lowered(row, own, dns, now)


def settled(sight: Sight, dns: Dns) -> bool:
    """Whether every server that was asked, and can be, says new. Behind a filter there may be
    nothing that the zone says of it."""
    asked = [each for each in sight.seen if each.counts]
    if not asked:
        return bool(dns.filter)
    return all(each.standing is Standing.NEW for each in asked)


def first_mx(sight: Sight, name: str) -> tuple[str, ...] | None:
    """MX as the domain's own servers have it, where they agree."""
    told = {
        each.values
        for each in sight.seen
        if each.authoritative and (each.name, each.kind) == (name, Kind.MX) and each.values
    }
    return told.pop() if len(told) == 1 else None


def released(row: DomainRow, now: float) -> float:
    """By when every cache has let go of records that stood in the zone until now."""
    held = row.ttl if row.ttl is not None else UNKNOWN_TTL
    return max(now + held, row.cached_until or 0.0)


def next_look(row: DomainRow, dns: Dns, now: float) -> float:
    """When to look again: often while records spread, else as the plan says."""
    usual = now + dns.every.total_seconds()
    if row.state is not DomainState.SWITCHED:
        return usual
    if row.settled_at is not None and (row.released_at or 0.0) <= now:
        return usual
    pause = min(max((row.ttl or 60) / 4, SHORTEST), LONGEST)
    # What has not spread by now will not in the next minute either.
    since = now - (row.switched_at or now)
    return min(now + max(pause, since / PATIENCE), usual)


def write_sight(connection: Connection, row: DomainRow, sight: Sight, at: float) -> None:
    """Each server's answers, and the findings. What a server says again prolongs its row."""
    table = tables.look
    last: dict[tuple[str, str, str], Any] = {}
    for each in connection.execute(
        select(table).where(table.c.domain_id == row.id).order_by(table.c.first_at)
    ):
        last[each.server, each.name, each.kind] = each
    for seen in sight.seen:
        before = last.get((seen.server, seen.name, seen.kind.value))
        found = json.dumps(seen.values)
        values = {
            "last_at": at,
            "standing": seen.standing.value,
            "outcome": seen.outcome,
            "found": found,
            "ttl": seen.ttl,
            "authoritative": seen.authoritative,
        }
        told = ("standing", "outcome", "found")
        if before is not None and (
            before.first_at == at or all(getattr(before, name) == values[name] for name in told)
        ):
            connection.execute(
                update(table)
                .where(
                    table.c.domain_id == row.id,
                    table.c.server == seen.server,
                    table.c.name == seen.name,
                    table.c.kind == seen.kind.value,
                    table.c.first_at == before.first_at,
                )
                .values(**values)
            )
            continue
        connection.execute(
            insert(table).values(
                domain_id=row.id,
                server=seen.server,
                name=seen.name,
                kind=seen.kind.value,
                first_at=at,
                **values,
            )
        )
    _write_findings(connection, row, sight, at)


def _write_findings(connection: Connection, row: DomainRow, sight: Sight, at: float) -> None:
    table = tables.domain_finding
    connection.execute(delete(table).where(table.c.domain_id == row.id))
    found = [
        {
            "domain_id": row.id,
            "code": finding.code,
            "severity": finding.severity.value,
            "topic": printable(aspect.topic, 200),
            "name": aspect.name,
            "kind": aspect.kind.value,
            "evidence": printable(finding.evidence, 2000),
            "remedy": printable(finding.remedy, 2000),
            "found_at": at,
        }
        for aspect in sight.aspects
        for finding in aspect.findings
    ]
    if found:
        connection.execute(insert(table), found)


def _lowered(row: DomainRow, own: list[Seen], dns: Dns, now: float) -> dict[str, Any]:
    """What is known of TTLs before the switch."""
    ttls = [each.ttl for each in own if each.ttl is not None and each.standing is not Standing.NEW]
    if not ttls:
        return {}
    ttl = max(ttls)
    if ttl > dns.ttl.total_seconds():
        return {"ttl": ttl, "lowered_at": None, "cached_until": None}
    if row.lowered_at is not None:
        return {"ttl": ttl}
    # It was longer until this moment, as far as anybody has seen.
    longer = ttl if row.ttl is None else max(row.ttl, ttl)
    return {"ttl": ttl, "lowered_at": now, "cached_until": now + longer}


def _spread(row: DomainRow, sight: Sight, dns: Dns, now: float) -> dict[str, Any]:
    """What is known after the switch."""
    values: dict[str, Any] = {}
    lagging = any(
        each.authoritative and each.standing in (Standing.OLD, Standing.MIXED)
        for each in sight.seen
    )
    if lagging:
        # A server that still hands the old ones out fills caches anew.
        values["released_at"] = max(released(row, now), row.released_at or 0.0)
    values["settled_at"] = (row.settled_at or now) if settled(sight, dns) else None
    return values
