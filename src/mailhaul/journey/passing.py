"""The phases that carry mail: which pass is next, by which rules, and what follows when it ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select

from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.engine.outcomes import Delete, Options
from mailhaul.journey.carrying import carry_slice
from mailhaul.journey.course import Ending, Kind, Slice
from mailhaul.journey.engine import Next
from mailhaul.journey.events import Record, record
from mailhaul.journey.hours import opens
from mailhaul.journey.means import Means, folder_options
from mailhaul.journey.pass_rows import write_slice
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, mailbox, move, write
from mailhaul.journey.runs import run_of
from mailhaul.journey.states import State, Trigger
from mailhaul.journey.switching import ended_early, still_old, switched_moment
from mailhaul.journey.trouble import SHORTEST_PAUSE, Standing, delayed, doubled, moved_on
from mailhaul.journey.turning_back import arrivals_since, still_coming
from mailhaul.plan.model import Delete as PlanDelete
from mailhaul.plan.model import Order

_AT_ANY_HOUR = (State.FINAL, State.SWEEPING, State.RETURNING)
TRIED = 10
"""Messages of each folder that a trial carries."""
INCOMPLETE_TRIES = 3
"""So often is an incomplete pass tried again at once; what is still lacking then is told, and left
to the passes that come."""
SHORT_HOURS_TRIES = 3
"""So often in a row may working hours end before anything was carried; the fourth time would be no
better."""


async def copy(means: Means, standing: Standing) -> Next | None:
    """A slice of the initial copy, whichever part of it is next."""
    if standing.row.state is State.READY:
        if later := _opening(means, standing):
            await _closed_hours(means, standing, later)
            return None
        # The same run goes on: it is step 0 of copying too.
        now = means.clock.now()
        row = standing.row
        standing.row = await means.database.run(
            lambda c: move(c, row, Trigger.BEGUN, at=now, due=now)
        )
    kind, options = await means.database.run(
        lambda c: _stage(c, standing.plan, standing.row, means.clock.now())
    )
    return await _carry(means, standing, kind, options)


async def delta(means: Means, standing: Standing) -> Next | None:
    """A slice of a pass between copy and cutover."""
    return await _carry(means, standing, Kind.DELTA, _options(standing.plan))


async def final(means: Means, standing: Standing) -> Next | None:
    """A slice of the pass at the switch."""
    return await _carry(means, standing, Kind.FINAL, _after_cutover(standing.plan))


async def sweep(means: Means, standing: Standing) -> Next | None:
    """A slice of a pass after the switch."""
    return await _carry(means, standing, Kind.SWEEP, _after_cutover(standing.plan))


async def bring_back(means: Means, standing: Standing) -> Next | None:
    """A slice of a pass from the new side to the old one."""
    since = await means.database.run(lambda c: arrivals_since(c, standing.row))
    options = replace(folder_options(standing.plan), since=since)
    return await _carry(means, standing, Kind.RETURN, options)


def _options(plan: PlanRow) -> Options:
    carry = plan.plan.carry
    delete_ = Delete.MIRROR if carry.delete is PlanDelete.MIRROR else Delete.NEVER
    return replace(folder_options(plan), delete=delete_, max_delete=carry.max_delete)


def _after_cutover(plan: PlanRow) -> Options:
    """From the switch on nothing is removed at the target, whatever the plan says of before."""
    return folder_options(plan)


def _stage(
    connection: Connection, plan: PlanRow, row: MailboxRow, at: float
) -> tuple[Kind, Options]:
    """Which part of the initial copy is next: the first whose pass has not ended."""
    table = tables.passes
    ended = set(
        connection.execute(
            select(table.c.kind).where(
                table.c.mailbox_id == row.id,
                table.c.ended_at.is_not(None),
                table.c.undone_at.is_(None),
                table.c.outcome.in_(("complete", "incomplete")),
            )
        ).scalars()
    )
    stages = stages_of(plan, at, trial=row.trial)
    return next((each for each in stages if each[0].value not in ended), stages[-1])


def stages_of(plan: PlanRow, at: float, *, trial: bool = False) -> list[tuple[Kind, Options]]:
    """The parts of the initial copy, in their order; the last is everything."""
    options, carry = _options(plan), plan.plan.carry
    stages: list[tuple[Kind, Options]] = []
    if trial:
        stages.append((Kind.TRIAL, replace(options, newest=TRIED)))
    if carry.prestage_older_than is not None:
        before = _before(at, carry.prestage_older_than)
        stages.append((Kind.PRESTAGE, replace(options, before=before)))
    if carry.order is Order.NEWEST_FIRST:
        newest = _before(at, carry.newest_window)
        if options.since is not None:
            newest = max(newest, options.since)
        stages.append((Kind.NEWEST, replace(options, since=newest)))
    stages.append((Kind.INITIAL, options))
    return stages


def _before(at: float, window: timedelta) -> datetime:
    return datetime.fromtimestamp(at, UTC) - window


async def _carry(means: Means, standing: Standing, kind: Kind, options: Options) -> Next | None:
    if standing.row.state not in _AT_ANY_HOUR and (later := _opening(means, standing)):
        await _closed_hours(means, standing, later)
        return None
    options = replace(options, retry_refused=standing.row.offer_refused)
    ended = await carry_slice(means, standing.plan, standing.row, kind, options)
    standing.row = ended.row
    return await means.database.run(lambda c: _carried(c, means, standing, kind, ended))


def _carried(
    connection: Connection, means: Means, standing: Standing, kind: Kind, ended: Slice
) -> Next | None:
    """Writes down how the slice went, and what is to follow."""
    now = means.clock.now()
    row, there = standing.row, mailbox(connection, standing.row.id)
    if there.epoch != row.epoch:
        # Somebody else carries it by now, and writes how far it has come.
        return None
    write_slice(connection, ended, now)
    if moved_on(row, there):
        return None
    if ended.ending is Ending.FINISHED:
        after = _finished(connection, standing, kind, ended, now)
    elif ended.ending is Ending.MOVED_ON:
        # Its plan rests; the same work is for another run, once it goes on.
        write(connection, row, step=row.step + 1, **ended.values)
        return None
    else:
        due, why = _pause_after(standing, ended, now)
        short = ended.ending is Ending.HOURS and ended.fruitless
        if short:
            why = f"working hours were over before anything was carried; {why}"
        if short and row.state is State.COPYING and row.failures + 1 >= SHORT_HOURS_TRIES:
            why = (
                f"working hours were over {SHORT_HOURS_TRIES} times before anything was carried; "
                "give the plan longer [hours], start it again and mailhaul retry lets this go on"
            )
            move(connection, row, Trigger.FAILED, at=now, why=why, **ended.values)
            return None
        sliced = {
            State.COPYING: Trigger.SLICED,
            State.FINAL: Trigger.SLICED,
        }.get(row.state)
        values = {**ended.values, "failures": row.failures + 1 if short else 0}
        if sliced is None:
            values |= {"due_at": due, "reason": why, "step": row.step + 1}
            after = write(connection, row, **values)
        else:
            figures = {"carried": ended.course.carried, "octets": ended.course.octets}
            after = move(
                connection, row, sliced, at=now, due=due, why=why, figures=figures, **values
            )
    following = run_of(after)
    if following is None or after.due_at is None or after.due_at > now:
        return None
    return Next(following)


def _pause_after(standing: Standing, ended: Slice, now: float) -> tuple[float, str]:
    """When the next slice is due, and why not at once."""
    wait = ended.course.wait
    match ended.ending:
        case Ending.WAITING if wait is not None:
            return now + wait.seconds, printable(f"{wait.side}: {wait.reason}", 1000)
        case Ending.HOURS:
            zone = standing.plan.plan.zone
            return opens(standing.plan.plan.hours, zone, now), "waits for its working hours"
        case _:
            return now, ""


def _finished(
    connection: Connection, standing: Standing, kind: Kind, ended: Slice, now: float
) -> MailboxRow:
    row, plan = standing.row, standing.plan.plan
    done = ended.course.finished
    assert done is not None
    figures: dict[str, Any] = {
        "pass": ended.course.number,
        "kind": kind.value,
        "carried": ended.course.before["carried"] + done.tally.carried,
        "flagged": ended.course.before["flagged"] + done.tally.flagged,
        "removed": ended.course.before["removed"] + done.tally.removed,
        "census": done.tally.census,
        "refused": done.tally.refused,
        "missing": done.tally.missing,
        "unfinished": len(ended.unfinished),
    }
    why = printable("; ".join(ended.unfinished), 1000)
    values = dict(ended.values)
    if ended.unfinished and row.failures < INCOMPLETE_TRIES:
        # Tried again while others have their turn; a pass of its own, for this one has ended.
        pause = doubled(SHORTEST_PAUSE, row.failures)
        return delayed(connection, row, why, now, pause, figures, values)
    values["failures"] = 0
    if kind not in (Kind.NEWEST, Kind.PRESTAGE, Kind.TRIAL):
        # All folders have been through, whole.
        values["offer_refused"] = False
    if kind is Kind.NEWEST or kind is Kind.PRESTAGE or kind is Kind.TRIAL:
        record(connection, row.plan, Record("pass_ended", mailbox=row.id, figures=figures), now)
        return write(connection, row, step=row.step + 1, due_at=now, reason=why, **values)

    def moved(trigger: Trigger, due: float | None, **more: Any) -> MailboxRow:
        return move(
            connection,
            row,
            trigger,
            at=now,
            due=due,
            why=why,
            figures=figures,
            **{**values, **more},
        )

    match row.state:
        case State.COPYING:
            return moved(Trigger.CARRIED, _delta_due(standing, now))
        case State.SYNCED:
            return moved(Trigger.TOUCHED_UP, _delta_due(standing, now))
        case State.FINAL:
            return moved(
                Trigger.CARRIED,
                now + plan.sweeps.every.total_seconds(),
                sweeps=0,
                quiet_sweeps=0,
            )
        case State.RETURNING:
            why_not = still_coming(connection, standing.plan, row, now)
            quiet = ended.empty and (not why_not or not ended.unfinished)
            quiet_passes = row.quiet_sweeps + 1 if quiet else 0
            if not why_not and quiet_passes >= plan.sweeps.until_quiet:
                values |= {"left_out": True, "sweeps": 0, "quiet_sweeps": 0}
                return moved(Trigger.BACK, _delta_due(standing, now))
            why = why or why_not
            more = {"sweeps": row.sweeps + 1, "quiet_sweeps": quiet_passes}
            return moved(Trigger.BROUGHT_BACK, now + plan.sweeps.every.total_seconds(), **more)
        case _:
            assert row.state is State.SWEEPING
            since = _cutover(connection, row)
            switched = switched_moment(connection, standing.plan, row)
            over = now - max(since, switched or since) >= plan.sweeps.for_.total_seconds()
            # What could not be read in all that time is for the verification to tell.
            quiet = ended.empty and (over or not ended.unfinished)
            quiet_sweeps = row.quiet_sweeps + 1 if quiet else 0
            more = {"sweeps": row.sweeps + 1, "quiet_sweeps": quiet_sweeps}
            quiet_enough = over and quiet_sweeps >= plan.sweeps.until_quiet
            old = still_old(connection, standing.plan, row, now) if quiet_enough else ""
            early = "" if quiet_enough and not old else ended_early(connection, row, since)
            if early or (quiet_enough and not old):
                why = "; ".join(filter(None, (early, why)))
                return moved(Trigger.QUIET, now, **more)
            why = printable("; ".join(filter(None, (old and f"sweeps go on: {old}", why))), 1000)
            return moved(Trigger.SWEPT, now + plan.sweeps.every.total_seconds(), **more)


def _cutover(connection: Connection, row: MailboxRow) -> float:
    """When the mailbox's final pass ended, from which on the sweeps' time counts."""
    ended = connection.execute(_FINAL_ENDED, {"mailbox": row.id}).scalar_one_or_none()
    return row.since_at if ended is None else float(ended)


_FINAL_ENDED = (
    select(tables.passes.c.ended_at)
    .where(
        tables.passes.c.mailbox_id == bindparam("mailbox"),
        tables.passes.c.kind == Kind.FINAL.value,
        tables.passes.c.ended_at.is_not(None),
    )
    .order_by(tables.passes.c.number.desc())
    .limit(1)
)


def _delta_due(standing: Standing, now: float) -> float:
    plan = standing.plan.plan
    return opens(plan.hours, plan.zone, now + plan.deltas.every.total_seconds())


def _opening(means: Means, standing: Standing) -> float | None:
    """When the working hours begin, outside of them."""
    plan, now = standing.plan.plan, means.clock.now()
    later = opens(plan.hours, plan.zone, now)
    return later if later > now else None


async def _closed_hours(means: Means, standing: Standing, due: float) -> None:
    row = standing.row
    await means.database.run(
        lambda c: write(c, row, step=row.step + 1, due_at=due, reason="waits for its working hours")
    )
