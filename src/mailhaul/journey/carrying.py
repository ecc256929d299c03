"""One slice of a pass: a mailbox is carried for some minutes, and its rows say how far it has come.

A slice ends when the pass does, when its time is over, or as soon as its row says that a person
wants something else; always at a message boundary. What it has done is in the ledger by then; what
goes into our tables is returned, for the phase to write it together with the mailbox's next state.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import (
    Connection,
    func,
    select,
)

from mailhaul.core.errors import MailhaulError, Superseded
from mailhaul.core.folder import FolderPath
from mailhaul.core.lease import Lease
from mailhaul.db import tables
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import (
    Event,
    Fate,
    Options,
    Side,
)
from mailhaul.engine.passes import run_pass
from mailhaul.engine.returning import run_return
from mailhaul.journey.course import BY_HOURS, LEFT, OTHER, Course, Ending, Kind, Slice
from mailhaul.journey.hours import closes
from mailhaul.journey.means import Means, opened_pair
from mailhaul.journey.pass_rows import NEW_PASS, PASS, update_pass, write_pass
from mailhaul.journey.plans import PlanRow, PlanState, plan_row
from mailhaul.journey.rows import MailboxRow, Stale, held_mailbox, mailbox, write

BOUNDARY = 3.0
"""Seconds that a pass gets to reach the next message boundary before it is cut off; what was in
flight then is settled by the next pass, which looks before it sends."""


async def carry_slice(
    means: Means, plan: PlanRow, row: MailboxRow, kind: Kind, options: Options
) -> Slice:
    """Carries the mailbox for a while. Raises what `run_pass` raises, `Busy` when its ledger is
    taken, and `Stale` when the mailbox moved on before anything was begun; the pass's row has been
    written in each case."""
    began = means.clock.now()
    row, course = await means.database.run(lambda c: _begin(c, row, kind, began))
    try:
        with _ledgers(means, row, course) as (forward, ledger):
            ledger.number = course.number
            if course.cut_off:
                came_to = {
                    number: _came_to(means, row, forward, ledger, course, number)
                    for number in course.cut_off
                }
                await means.database.run(lambda c: _end_cut_off(c, row, came_to, began))
            if course.resumed or course.cut_off:
                # Whoever was killed had no time to add it to the mailbox's row.
                course.octets_before = await means.database.run(
                    lambda c: _octets_before(c, row, course.number)
                )
            known = _sums(ledger.fates())
            async with opened_pair(means, plan, row, lease=ledger.lease, back=course.back) as pair:
                if course.back:
                    events = run_return(pair.source, pair.target, forward, ledger, options)
                else:
                    events = run_pass(pair.source, pair.target, ledger, options)
                follows = time.monotonic()
                ending = await _follow(means, plan, row, course, known, ledger.lease, events)
            ended = _ended(ledger, ending, row, course)
            whole = time.monotonic() - follows >= means.slice_seconds
            return replace(ended, fruitless=whole and _sums(ended.fates) == known)
    except BaseException as error:
        if course.back and isinstance(error, MailhaulError) and error.side is not None:
            error.side = OTHER[Side(error.side)]
        # However it ended: what was carried is carried, and stands there.
        try:
            await _asleep(means, lambda c: _broken_off(c, row, course, means.clock.now()))
        except Superseded:
            # Whoever carries it now ended our session; what we met is not the mailbox's trouble.
            if isinstance(error, MailhaulError):
                raise
        except Stale:
            pass
        raise


@contextmanager
def _ledgers(means: Means, row: MailboxRow, course: Course) -> Iterator[tuple[Ledger, Ledger]]:
    """The mailbox's ledger, and the one that the pass writes: on the way back another."""
    with means.open_ledger(row) as forward:
        if not course.back:
            yield forward, forward
            return
        with means.open_back(row, forward) as back:
            yield forward, back


def _came_to(
    means: Means, row: MailboxRow, forward: Ledger, ledger: Ledger, course: Course, number: int
) -> tuple[int, int]:
    """What a pass that was cut off has carried, says the ledger that it wrote."""
    back = course.cut_off[number] == Kind.RETURN
    if back == course.back:
        return ledger.carried_by(number)
    if not back:
        return forward.carried_by(number)
    with means.open_back(row, forward) as other:
        return other.carried_by(number)


async def _follow(
    means: Means,
    plan: PlanRow,
    row: MailboxRow,
    course: Course,
    known: Counter[Fate],
    lease: Lease | None,
    events: object,
) -> Ending:
    stream = cast("AsyncGenerator[Event, None]", events)
    watch = asyncio.create_task(_watch(means, plan, row, course, known, lease))
    try:
        async with aclosing(stream):
            while True:
                following = asyncio.ensure_future(anext(stream, None))
                try:
                    if not watch.done():
                        both = {following, watch}
                        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done() and watch.exception() is None:
                        await asyncio.wait([following], timeout=BOUNDARY)
                    if not following.done():
                        return watch.result()
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait([following])
                event = following.result()
                if event is None:
                    return Ending.FINISHED
                course.take(event)
                if course.wait is not None:
                    return Ending.WAITING
                if watch.done() and course.finished is None:
                    return watch.result()
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(
    means: Means,
    plan: PlanRow,
    row: MailboxRow,
    course: Course,
    known: Counter[Fate],
    lease: Lease | None,
) -> Ending:
    """Writes down the progress, whereby the lease is proven, and returns once the slice has to
    end."""
    over = time.monotonic() + means.slice_seconds
    stopping = asyncio.create_task(means.stopping.wait())
    now = means.clock.now()
    closing = closes(plan.plan.hours, plan.plan.zone, now) if course.kind in BY_HOURS else None
    try:
        while True:
            await asyncio.wait([stopping], timeout=means.look_seconds)
            if stopping.done():
                return Ending.STOPPING
            asked = 0.0 if lease is None else lease.now()
            try:
                await means.database.run(lambda c: _look(c, row, course, known))
            except Stale:
                return Ending.MOVED_ON
            except Superseded:
                # Not a word more, not even up to the next message boundary.
                if lease is not None:
                    lease.end()
                raise
            if lease is not None:
                lease.proven(asked)
            if closing is not None and means.clock.now() >= closing:
                return Ending.HOURS
            # Who has not got anywhere yet would not the next time either.
            if course.carried and time.monotonic() >= over:
                return Ending.TIME
    finally:
        stopping.cancel()


def _look(connection: Connection, row: MailboxRow, course: Course, known: Counter[Fate]) -> None:
    """Writes the progress. Raises `Stale` when its plan rests, `Superseded` when another worker has
    taken the mailbox over."""
    if plan_row(connection, row.plan).state is not PlanState.RUNNING:
        raise Stale("its plan is not running")
    now = mailbox(connection, row.id)
    if now.epoch != row.epoch:
        raise Superseded(f"{row.address} is carried elsewhere")
    if not course.back:  # the row's figures are of the way there
        write(
            connection,
            row,
            copied=known[Fate.COPIED] + course.carried,
            octets=row.octets + course.octets,
        )
    write_pass(connection, row.id, course, None, "")


def _begin(
    connection: Connection, row: MailboxRow, kind: Kind, at: float
) -> tuple[MailboxRow, Course]:
    """Takes the mailbox's next epoch, so that whoever still writes with an older one is refused;
    opens the pass's row, or goes on with that of the slice before."""
    # Two who begin at the same moment must not come to the same epoch.
    now = held_mailbox(connection, row.id)
    last = connection.execute(PASS, {"mailbox": row.id, "pass": now.passes}).one_or_none()
    if last is not None and last.outcome == "" and last.kind == kind.value:
        before = {name: getattr(last, name) for name in ("carried", "flagged", "removed", "octets")}
        course = Course(
            last.number, kind, last.began_at, before, resumed=True, waits=Counter(last.waits)
        )
        course.cut_off = _open_passes(connection, row, last.number)
        return write(connection, row, epoch=now.epoch + 1), course
    number = now.passes + 1
    course = Course(number, kind, at, dict.fromkeys(("carried", "flagged", "removed", "octets"), 0))
    course.octets_before = now.octets
    if last is not None and last.outcome == "":
        course.cut_off = _open_passes(connection, row, number)
    values = {"mailbox_id": row.id, "number": number, "kind": kind.value, "began_at": at}
    connection.execute(NEW_PASS, {**values, "waits": {}, "unfinished": [], "notes": []})
    return write(connection, row, epoch=now.epoch + 1, passes=number), course


def _open_passes(connection: Connection, row: MailboxRow, before: int) -> dict[int, str]:
    table = tables.passes
    found = connection.execute(
        select(table.c.number, table.c.kind).where(
            table.c.mailbox_id == row.id, table.c.number < before, table.c.outcome == ""
        )
    )
    return {each.number: each.kind for each in found}


def _octets_before(connection: Connection, row: MailboxRow, number: int) -> int:
    table = tables.passes
    earlier = (table.c.mailbox_id == row.id) & (table.c.number < number)
    there = table.c.kind != Kind.RETURN.value
    query = select(func.coalesce(func.sum(table.c.octets), 0)).where(earlier, there)
    found = connection.execute(query)
    return int(found.scalar_one())


def _end_cut_off(
    connection: Connection, row: MailboxRow, came_to: Mapping[int, tuple[int, int]], at: float
) -> None:
    """Ends passes that were cut off, by what the ledger says of them: they had no time to."""
    for number, (messages, octets) in came_to.items():
        ended = {"outcome": "broken off", "ended_at": at, "carried": messages, "octets": octets}
        update_pass(connection, row.id, number, ended)


def _ended(ledger: Ledger, ending: Ending, row: MailboxRow, course: Course) -> Slice:
    fates = ledger.fates()
    sums = _sums(fates)
    done = course.finished
    if course.resumed or course.waits:
        # What was on its way when a slice or a connection was cut off is counted by the ledger
        # alone.
        messages, octets = ledger.carried_by(course.number)
        now = (course.carried, course.octets)
        if done is not None:
            now = (done.tally.carried, done.tally.octets)
        course.before |= {"carried": messages - now[0], "octets": octets - now[1]}
    if course.back:
        return Slice(ending, row, course, {}, fates, ())
    values: dict[str, Any] = {fate.value: sums[fate] for fate in Fate}
    octets_now = course.octets if done is None else done.tally.octets
    values["octets"] = course.octets_before + course.before["octets"] + octets_now
    if course.opened == 2:
        values["opened_once"] = True
    if done is not None:
        values |= {fate.value: getattr(done.tally, fate.value) for fate in Fate}
        values["census"] = done.tally.census
    return Slice(ending, row, course, values, fates, _lost(ledger, fates))


def _lost(
    ledger: Ledger, fates: Mapping[FolderPath, Mapping[Fate, int]]
) -> tuple[tuple[FolderPath, str, Fate, str], ...]:
    """Everything that is refused or missing, as the ledger has it."""
    if not any(each.get(fate) for each in fates.values() for fate in LEFT):
        return ()
    return tuple(
        (folder.source, str(message.source_key), message.fate, message.reason)
        for folder in ledger.folders()
        if any(fates.get(folder.source, {}).get(fate) for fate in LEFT)
        for message in ledger.left_behind(folder)
    )


def _sums(fates: Mapping[FolderPath, Mapping[Fate, int]]) -> Counter[Fate]:
    sums: Counter[Fate] = Counter()
    for each in fates.values():
        sums.update(each)
    return sums


def _broken_off(connection: Connection, row: MailboxRow, course: Course, at: float) -> None:
    """The pass goes on with the next slice, if it is of its kind. Raises `Superseded` when somebody
    else has taken the mailbox over."""
    if mailbox(connection, row.id).epoch != row.epoch:
        raise Superseded("another worker has taken this mailbox over")
    write_pass(connection, row.id, course, None, "")
    if course.back:
        return
    values: dict[str, Any] = {"octets": row.octets + course.octets}
    if course.opened == 2:
        values["opened_once"] = True
    write(connection, row, **values)


async def _asleep(means: Means, work: Any) -> None:
    """Writes even though the task is being cancelled."""
    await asyncio.shield(means.database.run(work))
