"""One slice of a pass: a mailbox is carried for some minutes, and its rows say how far it has come.

A slice ends when the pass does, when its time is over, or as soon as its row says that a person
wants something else; always at a message boundary. What it has done is in the ledger by then; what
goes into our tables is returned, for the phase to write it together with the mailbox's next state.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from mailhaul.core.errors import MailhaulError, Superseded
from mailhaul.core.folder import FolderPath
from mailhaul.core.folder_text import path_text
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    Mapped,
    Opened,
    Options,
    Settled,
    Waiting,
)
from mailhaul.engine.passes import run_pass
from mailhaul.journey.hours import closes
from mailhaul.journey.means import Means, opened_pair
from mailhaul.journey.plans import PlanRow, PlanState, plan_row
from mailhaul.journey.rows import MailboxRow, Stale, mailbox, write

BOUNDARY = 3.0
"""Seconds that a pass gets to reach the next message boundary before it is cut off; what was in
flight then is settled by the next pass, which looks before it sends."""
LONG_WAIT = 60.0
"""Who is told to wait longer gives its place to others."""

_LEFT = (Fate.REFUSED, Fate.MISSING)


class Kind(StrEnum):
    """What a pass is for."""

    TRIAL = "trial"
    PRESTAGE = "pre-stage"
    NEWEST = "newest"
    INITIAL = "initial"
    DELTA = "delta"
    FINAL = "final"
    SWEEP = "sweep"


BY_HOURS = frozenset({Kind.TRIAL, Kind.PRESTAGE, Kind.NEWEST, Kind.INITIAL, Kind.DELTA})
"""Passes that keep to the working hours."""


class Ending(StrEnum):
    """Why a slice ended."""

    FINISHED = "the pass has ended"
    TIME = "its time is over"
    HOURS = "working hours are over"
    STOPPING = "the worker stops"
    WAITING = "a server wants us to wait"
    MOVED_ON = "a person wants something else"


@dataclass(slots=True)
class Course:
    """What a slice has been told so far. `before` is what earlier slices of this pass did."""

    number: int
    kind: Kind
    began: float
    before: dict[str, int]
    resumed: bool = False
    cut_off: tuple[int, ...] = ()
    """Earlier passes that nobody goes on with."""
    octets_before: int = 0
    """What the passes before this one carried."""
    carried: int = 0
    octets: int = 0
    targets: dict[FolderPath, FolderPath] = field(default_factory=dict)
    opened: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    left: list[Settled] = field(default_factory=list)
    wait: Waiting | None = None
    finished: Finished | None = None

    def take(self, event: Event) -> None:
        match event:
            case Opened():
                self.opened += 1
            case Mapped():
                self.targets = {link.source: link.target for link in event.links}
            case Carried():
                self.carried += event.messages
                self.octets += event.octets
            case Settled(fate=fate) if fate in _LEFT:
                self.left.append(event)
            case Waiting():
                what = "asked for it" if event.throttled else "was tried again"
                self.waits[f"{event.side} {what}"] += round(event.seconds)
                if event.seconds > LONG_WAIT:
                    self.wait = event
            case Finished():
                self.finished = event
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice that has ended. `row` is the mailbox as it stands with what the slice itself changed
    in it; `values` are the columns of the mailbox to be written with its next state, `write` makes
    the other rows."""

    ending: Ending
    row: MailboxRow
    course: Course
    values: Mapping[str, Any]
    fates: Mapping[FolderPath, Mapping[Fate, int]]
    lost: tuple[tuple[FolderPath, str, Fate, str], ...]
    fruitless: bool = False
    """It had as much time as a slice gets, and no message was decided about."""

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What the pass could not finish, as sentences."""
        return () if self.course.finished is None else self.course.finished.unfinished

    @property
    def empty(self) -> bool:
        """The pass has ended, and has carried nothing."""
        done = self.course.finished
        if done is None:
            return False
        return not (self.course.before["carried"] + done.tally.carried + done.tally.flagged)

    def write(self, connection: Connection, at: float) -> None:
        """The pass, the accounting by folder, and what was left over; in the caller's
        transaction."""
        _write_pass(connection, self.row.id, self.course, at, _outcome(self))
        _write_leftovers(connection, self)
        if self.course.finished is not None:
            _write_folders(connection, self)


async def carry_slice(
    means: Means, plan: PlanRow, row: MailboxRow, kind: Kind, options: Options
) -> Slice:
    """Carries the mailbox for a while. Raises what `run_pass` raises, `Busy` when its ledger is
    taken, and `Stale` when the mailbox moved on before anything was begun; the pass's row has been
    written in each case."""
    began = means.clock.now()
    row, course = await means.database.run(lambda c: _begin(c, row, kind, began))
    try:
        with means.open_ledger(row) as ledger:
            ledger.number = course.number
            if course.cut_off:
                came_to = {number: ledger.carried_by(number) for number in course.cut_off}
                await means.database.run(lambda c: _end_cut_off(c, row, came_to, began))
            if course.resumed or course.cut_off:
                # Whoever was killed had no time to add it to the mailbox's row.
                course.octets_before = await means.database.run(
                    lambda c: _octets_before(c, row, course.number)
                )
            known = _sums(ledger.fates())
            async with opened_pair(means, plan, row) as pair:
                events = run_pass(pair.source, pair.target, ledger, options)
                follows = time.monotonic()
                ending = await _follow(means, plan, row, course, known, events)
            ended = _ended(ledger, ending, row, course)
            whole = time.monotonic() - follows >= means.slice_seconds
            return replace(ended, fruitless=whole and _sums(ended.fates) == known)
    except BaseException as error:
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


async def _follow(
    means: Means,
    plan: PlanRow,
    row: MailboxRow,
    course: Course,
    known: Counter[Fate],
    events: object,
) -> Ending:
    stream = cast("AsyncGenerator[Event, None]", events)
    watch = asyncio.create_task(_watch(means, plan, row, course, known))
    try:
        async with aclosing(stream):
            while True:
                following = asyncio.ensure_future(anext(stream, None))
                try:
                    if not watch.done():
                        both = {following, watch}
                        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
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
    means: Means, plan: PlanRow, row: MailboxRow, course: Course, known: Counter[Fate]
) -> Ending:
    """Writes down the progress, and returns once the slice has to end."""
    over = time.monotonic() + means.slice_seconds
    stopping = asyncio.create_task(means.stopping.wait())
    now = means.clock.now()
    closing = closes(plan.plan.hours, plan.plan.zone, now) if course.kind in BY_HOURS else None
    try:
        while True:
            await asyncio.wait([stopping], timeout=means.look_seconds)
            if stopping.done():
                return Ending.STOPPING
            try:
                await means.database.run(lambda c: _look(c, row, course, known))
            except Stale:
                return Ending.MOVED_ON
            if closing is not None and means.clock.now() >= closing:
                return Ending.HOURS
            # Who has not got anywhere yet would not the next time either.
            if course.carried and time.monotonic() >= over:
                return Ending.TIME
    finally:
        stopping.cancel()


def _look(connection: Connection, row: MailboxRow, course: Course, known: Counter[Fate]) -> None:
    """Writes the progress. Raises `Stale` when the mailbox is no longer ours to carry."""
    if plan_row(connection, row.plan).state is not PlanState.RUNNING:
        raise Stale("its plan is not running")
    now = mailbox(connection, row.id)
    if now.epoch != row.epoch:
        raise Stale(f"{row.address} is carried elsewhere")
    write(
        connection,
        row,
        copied=known[Fate.COPIED] + course.carried,
        octets=row.octets + course.octets,
    )
    _write_pass(connection, row.id, course, None, "")


def _begin(
    connection: Connection, row: MailboxRow, kind: Kind, at: float
) -> tuple[MailboxRow, Course]:
    """Takes the mailbox's next epoch, so that whoever still writes with an older one is refused;
    opens the pass's row, or goes on with that of the slice before."""
    now = mailbox(connection, row.id)
    last = connection.execute(_PASS, {"mailbox": row.id, "pass": now.passes}).one_or_none()
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
    connection.execute(_NEW_PASS, {**values, "waits": {}, "unfinished": [], "notes": []})
    return write(connection, row, epoch=now.epoch + 1, passes=number), course


def _open_passes(connection: Connection, row: MailboxRow, before: int) -> tuple[int, ...]:
    table = tables.passes
    found = connection.execute(
        select(table.c.number).where(
            table.c.mailbox_id == row.id, table.c.number < before, table.c.outcome == ""
        )
    )
    return tuple(found.scalars())


def _octets_before(connection: Connection, row: MailboxRow, number: int) -> int:
    table = tables.passes
    earlier = (table.c.mailbox_id == row.id) & (table.c.number < number)
    found = connection.execute(select(func.coalesce(func.sum(table.c.octets), 0)).where(earlier))
    return int(found.scalar_one())


def _end_cut_off(
    connection: Connection, row: MailboxRow, came_to: Mapping[int, tuple[int, int]], at: float
) -> None:
    """Ends passes that were cut off, by what the ledger says of them: they had no time to."""
    for number, (messages, octets) in came_to.items():
        ended = {"outcome": "broken off", "ended_at": at, "carried": messages, "octets": octets}
        _update_pass(connection, row.id, number, ended)


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
    if not any(each.get(fate) for each in fates.values() for fate in _LEFT):
        return ()
    return tuple(
        (folder.source, str(message.source_key), message.fate, message.reason)
        for folder in ledger.folders()
        if any(fates.get(folder.source, {}).get(fate) for fate in _LEFT)
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
    _write_pass(connection, row.id, course, None, "")
    values: dict[str, Any] = {"octets": row.octets + course.octets}
    if course.opened == 2:
        values["opened_once"] = True
    write(connection, row, **values)


async def _asleep(means: Means, work: Any) -> None:
    """Writes even though the task is being cancelled."""
    await asyncio.shield(means.database.run(work))


# rows


def _outcome(ended: Slice) -> str:
    if ended.ending is not Ending.FINISHED or ended.course.finished is None:
        return ""
    return "complete" if ended.course.finished.complete else "incomplete"


def _write_pass(
    connection: Connection, mailbox_id: int, course: Course, at: float | None, outcome: str
) -> None:
    done, before = course.finished, course.before
    values: dict[str, Any] = {
        "carried": before["carried"] + course.carried,
        "octets": before["octets"] + course.octets,
        "waits": dict(course.waits),
    }
    if done is not None:
        values |= {
            "carried": before["carried"] + done.tally.carried,
            "octets": before["octets"] + done.tally.octets,
            "flagged": before["flagged"] + done.tally.flagged,
            "removed": before["removed"] + done.tally.removed,
            "census": done.tally.census,
            "unfinished": list(done.unfinished),
            "notes": list(done.notes),
        }
    if outcome:
        values |= {"outcome": outcome, "ended_at": at}
    _update_pass(connection, mailbox_id, course.number, values)


def _update_pass(
    connection: Connection, mailbox_id: int, number: int, values: Mapping[str, Any]
) -> None:
    statement = _updating_pass(frozenset(values))
    connection.execute(statement, {**values, "mailbox": mailbox_id, "pass": number})


_PASS = select(tables.passes).where(
    tables.passes.c.mailbox_id == bindparam("mailbox"),
    tables.passes.c.number == bindparam("pass"),
)
_NEW_PASS = insert(tables.passes)
_FOLDERS = select(tables.folder).where(tables.folder.c.mailbox_id == bindparam("mailbox"))
_LEFTOVERS = select(tables.leftover).where(tables.leftover.c.mailbox_id == bindparam("mailbox"))


# To build a statement takes longer than to execute it.
@lru_cache(maxsize=64)
def _updating_pass(names: frozenset[str]) -> Executable:
    table = tables.passes
    return (
        update(table)
        .where(table.c.mailbox_id == bindparam("mailbox"), table.c.number == bindparam("pass"))
        .values({name: bindparam(name) for name in names})
    )


def _write_folders(connection: Connection, ended: Slice) -> None:
    done = ended.course.finished
    assert done is not None
    table = tables.folder
    there = [
        dict(each._mapping) for each in connection.execute(_FOLDERS, {"mailbox": ended.row.id})
    ]
    rows = [
        {
            "mailbox_id": ended.row.id,
            "source": path_text(path),
            "target": path_text(ended.course.targets.get(path, path)),
            "census": tally.census,
            **{fate.value: getattr(tally, fate.value) for fate in Fate},
        }
        for path, tally in done.folders.items()
    ]
    by_source = itemgetter("source")
    if sorted(rows, key=by_source) == sorted(there, key=by_source):
        # Most passes change nothing.
        return
    connection.execute(delete(table).where(table.c.mailbox_id == ended.row.id))
    if rows:
        connection.execute(insert(table), rows)


def _write_leftovers(connection: Connection, ended: Slice) -> None:
    """The table says what the ledger says; what a person has approved stays approved
    as long as the reason is the same."""
    table = tables.leftover
    told = {(path_text(each.folder), str(each.key)): each for each in ended.course.left}
    now = {(path_text(folder), key): (fate, why) for folder, key, fate, why in ended.lost}
    before = {
        (each.folder, each.key): each
        for each in connection.execute(_LEFTOVERS, {"mailbox": ended.row.id})
    }
    for place in before.keys() - now.keys():
        connection.execute(delete(table).where(*_at(ended.row.id, place)))
    for place in before.keys() & now.keys():
        fate, why = now[place][0], printable(now[place][1], 1000)
        was = before[place]
        if (was.fate, was.reason) == (fate.value, why):
            continue
        values: dict[str, Any] = {"fate": fate.value, "reason": why}
        if Fate.REFUSED in (fate, was.fate):
            # Offered again because a person asked: what was approved was another reason. Why one
            # can't be read may differ from pass to pass, and nobody did anything.
            values |= {"approved_by": None, "approved_at": None}
        if place in told:
            values |= _seen(told[place])
        connection.execute(update(table).where(*_at(ended.row.id, place)).values(values))
    fresh = [
        {
            "mailbox_id": ended.row.id,
            "folder": place[0],
            "key": place[1],
            "fate": fate.value,
            "reason": printable(why, 1000),
            **(_seen(told[place]) if place in told else {"subject": "", "saved": ""}),
        }
        for place, (fate, why) in now.items()
        if place not in before
    ]
    if fresh:
        connection.execute(insert(table), fresh)


def _at(mailbox_id: int, place: tuple[str, str]) -> tuple[ColumnElement[bool], ...]:
    table = tables.leftover
    return table.c.mailbox_id == mailbox_id, table.c.folder == place[0], table.c.key == place[1]


def _seen(settled: Settled) -> dict[str, str]:
    return {"subject": settled.subject, "saved": str(settled.saved or "")}
