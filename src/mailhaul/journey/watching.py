"""One run of a domain: it is looked at and, where a person has asked for it, switched or returned.

Short and idempotent, as all runs are. The snapshot of the old records is a row before the first new
one is written; a run that is cut off anywhere is made again from what stands in the zone by then.
"""

from collections.abc import Collection
from typing import Protocol

from sqlalchemy import Connection, insert, select, update

from mailhaul.core.errors import Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.clock import Clock
from mailhaul.journey.domain_states import DomainState, DomainTrigger
from mailhaul.journey.domains import (
    DomainRow,
    domain,
    domain_run,
    move_domain,
    write_domain,
)
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.events import Record, record
from mailhaul.journey.plans import PlanRow, PlanState, plan_row
from mailhaul.journey.rows import Stale
from mailhaul.journey.sights import folded, next_look, released, write_sight
from mailhaul.journey.zones import Done, Sight, Standing, Zones

WATCH_EVERY = 15.0
"""Seconds between two looks whether somebody has written what is to be written."""
SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 900.0
FORWARD = "forward"
"""The runbook's step by which a person says that the filter forwards to the new system."""

AHEAD, SWITCH, END = "now", "switch", "end"
"""Whose share of the records a snapshot is. What was written ahead of the switch stays when that is
taken back; what was tidied after it goes back with it."""
_WAY_BACK = (SWITCH, END)
_WORKING = (DomainState.SWITCHING, DomainState.RETURNING)


class Ground(Protocol):
    """What a domain's run needs of a worker's means."""

    @property
    def database(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def zones(self) -> Zones | None: ...


async def watch(means: Ground, run: Run) -> Next | None:
    """Does what is due for the domain; what is to follow at once."""
    found = await means.database.run(lambda c: _standing(c, run))
    if found is None:
        return None
    plan, row = found
    zones = means.zones
    if zones is None:
        # This worker has no way to ask; one that has will.
        return None
    try:
        if row.state is DomainState.SWITCHING:
            return await _switch(means, zones, plan, row)
        if row.state is DomainState.RETURNING:
            return await _give_back(means, zones, plan, row)
        return await _look(means, zones, plan, row)
    except Stale:
        return None
    except MailhaulError as error:
        await _troubled(means, row, error)
    except OSError as error:
        said = printable(error.strerror or type(error).__name__, 200)
        await _troubled(means, row, RetryLater(f"this machine says: {said}"))
    return None


def _standing(connection: Connection, run: Run) -> tuple[PlanRow, DomainRow] | None:
    row = domain(connection, run.domain)
    if domain_run(row) != run:
        return None
    plan = plan_row(connection, row.plan)
    going = plan.state is PlanState.RUNNING and plan.started_at is not None
    if plan.plan.dns is None:
        write_domain(connection, row, step=row.step + 1, due_at=None)
        return None
    if not (going or row.state is DomainState.RETURNING):
        # It is the same work for another run, once the plan goes on.
        write_domain(connection, row, step=row.step + 1)
        return None
    return plan, row


async def _look(means: Ground, zones: Zones, plan: PlanRow, row: DomainRow) -> Next | None:
    sight = await zones.look(plan, row)
    await means.database.run(lambda c: _looked(c, plan, row, sight, means.clock.now()))
    return None


def _looked(
    connection: Connection, plan: PlanRow, row: DomainRow, sight: Sight, now: float
) -> DomainRow:
    dns = plan.plan.dns
    assert dns is not None
    values = folded(row, sight, dns, now)
    write_sight(connection, row, sight, now)
    reason = row.reason if row.state is DomainState.FAILED else _early(row, values["mx"])
    after = write_domain(connection, row, step=row.step + 1, failures=0, reason=reason, **values)
    after = write_domain(connection, after, due_at=next_look(after, dns, now))
    if row.mx != after.mx:
        why = f"MX of {row.name}: {row.mx or 'not seen before'} → {after.mx}"
        figures = {"domain": row.name, "mx": after.mx, "ttl": after.ttl}
        record(connection, row.plan, Record("domain_seen", why=why, figures=figures), now)
    if (row.settled_at is None) != (after.settled_at is None):
        says = "every server asked says new" if after.settled_at else "not every server says new"
        what = Record("domain_spread", why=f"{row.name}: {says}", figures={"domain": row.name})
        record(connection, row.plan, what, now)
    return after


def _early(row: DomainRow, mx: str) -> str:
    """What is alarming about it before the switch, or after the way back."""
    if row.state not in (DomainState.WATCHED, DomainState.RETURNED):
        return ""
    if mx == Standing.NEW and row.state is DomainState.RETURNED:
        return "MX names the new system again, and nobody has said go: mail goes there now"
    if mx == Standing.NEW:
        return "MX names the new system already, and nobody has said go: mail goes there now"
    if mx == Standing.MIXED:
        return "MX names the new system beside the old one: mail goes to both"
    return ""


async def _switch(means: Ground, zones: Zones, plan: PlanRow, row: DomainRow) -> Next | None:
    dns = plan.plan.dns
    assert dns is not None
    if dns.filter and not await means.database.run(lambda c: said_done(c, row, FORWARD)):
        why = (
            f"{dns.filter} is to forward to the new system; change that there, then "
            f"mailhaul cutover --done {FORWARD} --as NAME"
        )
        done = Done(False, printable(why, 1000))
    else:
        kept = await means.database.run(lambda c: _kept(c, row, unwritten=True))
        done = await zones.switch(
            plan, row, kept[0] if kept else None, lambda text: _keep(means, row, text)
        )
    sight = None if done.finished or done.stuck else await zones.look(plan, row)

    def written(connection: Connection) -> Next | None:
        now = means.clock.now()
        if done.stuck:
            if done.untouched:
                mark(connection, row, "returned_at", now, (SWITCH,))
            _fails(connection, row, done.why, now)
            return None
        if sight is not None:
            _waits(connection, plan, row, done, sight, now)
            return None
        mark(connection, row, "written_at", now, (SWITCH,))
        after = move_domain(
            connection,
            row,
            DomainTrigger.DOMAIN_SWITCHED,
            at=now,
            due=now,
            figures={"records": done.records, "wave": row.wave or ""},
            switched_at=now,
            released_at=released(row, now),
            settled_at=None,
            returned_at=None,
            failures=0,
        )
        return Next(domain_run(after))

    return await means.database.run(written)


async def _give_back(means: Ground, zones: Zones, plan: PlanRow, row: DomainRow) -> Next | None:
    kept = await means.database.run(lambda c: _kept(c, row))
    done = await zones.give_back(plan, row, kept) if kept else Done(True)
    sight = None if done.finished or done.stuck else await zones.look(plan, row)

    def written(connection: Connection) -> Next | None:
        now = means.clock.now()
        if done.stuck:
            _fails(connection, row, done.why, now)
            return None
        if sight is not None:
            _waits(connection, plan, row, done, sight, now)
            return None
        mark(connection, row, "returned_at", now, _WAY_BACK)
        after = move_domain(
            connection,
            row,
            DomainTrigger.DOMAIN_RETURNED,
            at=now,
            due=now,
            figures={"records": done.records},
            returned_at=now,
            # Caches hold the new ones for as long as they said.
            released_at=now + plan_ttl(plan) if row.switched_at is not None else now,
            settled_at=None,
            failures=0,
        )
        return Next(domain_run(after))

    return await means.database.run(written)


def plan_ttl(plan: PlanRow) -> float:
    """What new records are given as their TTL, in seconds."""
    assert plan.plan.dns is not None
    return plan.plan.dns.ttl.total_seconds()


def said_done(connection: Connection, row: DomainRow, key: str) -> bool:
    """Whether a person has said that the step of the domain's wave is done."""
    table = tables.step
    return (
        connection.execute(
            select(table.c.key).where(
                table.c.plan_id == row.plan, table.c.wave == (row.wave or ""), table.c.key == key
            )
        ).first()
        is not None
    )


async def _keep(means: Ground, row: DomainRow, text: str) -> None:
    """The snapshot becomes a row, if the domain is still ours to change."""

    def kept(connection: Connection) -> None:
        there = domain(connection, row.id, hold=True)
        if (there.generation, there.state, there.step) != (row.generation, row.state, row.step):
            raise Stale(f"{row.name} has moved on")
        table = tables.snapshot
        same = connection.execute(
            select(table.c.id).where(
                table.c.domain_id == row.id, table.c.text == text, table.c.returned_at.is_(None)
            )
        ).first()
        if same is None:
            connection.execute(
                insert(table).values(domain_id=row.id, kept_at=means.clock.now(), text=text)
            )

    await means.database.run(kept)


def _kept(connection: Connection, row: DomainRow, *, unwritten: bool = False) -> tuple[str, ...]:
    """Snapshots that have not been given back, the newest first, without those from ahead of the
    switch; with `unwritten` only those of a switch that was cut off."""
    table = tables.snapshot
    query = select(table.c.text).where(
        table.c.domain_id == row.id,
        table.c.moment.in_((SWITCH,) if unwritten else _WAY_BACK),
        table.c.returned_at.is_(None),
    )
    if unwritten:
        query = query.where(table.c.written_at.is_(None))
    return tuple(connection.execute(query.order_by(table.c.id.desc())).scalars())


def _fails(connection: Connection, row: DomainRow, why: str, now: float) -> None:
    """It is looked at all the same while a person is waited for."""
    due = now + LONGEST_PAUSE
    move_domain(connection, row, DomainTrigger.DOMAIN_FAILED, at=now, due=due, why=why)


def mark(
    connection: Connection, row: DomainRow, column: str, at: float, moments: Collection[str]
) -> None:
    """Writes down when the domain's open snapshots of those moments were written or returned."""
    table = tables.snapshot
    connection.execute(
        update(table)
        .where(
            table.c.domain_id == row.id,
            table.c.moment.in_(moments),
            table.c.returned_at.is_(None),
            table.c[column].is_(None),
        )
        .values({column: at})
    )


def _waits(
    connection: Connection, plan: PlanRow, row: DomainRow, done: Done, sight: Sight, now: float
) -> None:
    """It is looked at all the same, so that people see how far it has come."""
    assert plan.plan.dns is not None
    write_sight(connection, row, sight, now)
    write_domain(
        connection,
        row,
        step=row.step + 1,
        due_at=now + WATCH_EVERY,
        reason=printable(done.why, 1000),
        failures=0,
        **folded(row, sight, plan.plan.dns, now),
    )


async def _troubled(means: Ground, row: DomainRow, error: MailhaulError) -> None:
    """What may pass by itself is tried again; what a person must act on stops the switch, and only
    delays a look."""
    why = printable(str(error), 1000)
    passing = isinstance(error, RetryLater) or (
        isinstance(error, Closed) and error.reason is ClosedReason.UNREACHABLE
    )

    def done(connection: Connection) -> None:
        now = means.clock.now()
        if row.state in _WORKING and not passing:
            _fails(connection, row, why, now)
            return
        pause = min(SHORTEST_PAUSE * 2 ** min(row.failures, 10), LONGEST_PAUSE)
        write_domain(
            connection,
            row,
            step=row.step + 1,
            due_at=now + pause,
            reason=why,
            failures=row.failures + 1,
        )

    try:
        await means.database.run(done)
    except Stale:
        return


async def domain_defect(means: Ground, run: Run, why: str) -> None:
    """The run ended in a way that mailhaul itself is to blame for."""

    def done(connection: Connection) -> None:
        row = domain(connection, run.domain)
        if domain_run(row) != run:
            return
        now = means.clock.now()
        if row.state in _WORKING:
            _fails(connection, row, why, now)
        else:
            due = now + LONGEST_PAUSE
            write_domain(connection, row, step=row.step + 1, due_at=due, reason=why)

    await means.database.run(done)
