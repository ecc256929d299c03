"""The rows of passes: each pass, the accounting by folder, and what was left over.

Everything here runs in the caller's transaction.
"""

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from mailhaul.core.folder_text import WHOLE, path_text
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.engine.outcomes import Fate, Settled
from mailhaul.journey.course import Course, Ending, Slice


def write_slice(connection: Connection, ended: Slice, at: float) -> None:
    """The pass, the accounting by folder, and what was left over."""
    write_pass(connection, ended.row.id, ended.course, at, _outcome(ended))
    if ended.course.back:
        return  # what else there is is of the way there
    _write_leftovers(connection, ended)
    if ended.course.finished is not None:
        _write_folders(connection, ended)


def _outcome(ended: Slice) -> str:
    if ended.ending is not Ending.FINISHED or ended.course.finished is None:
        return ""
    return "complete" if ended.course.finished.complete else "incomplete"


def write_pass(
    connection: Connection, mailbox_id: int, course: Course, at: float | None, outcome: str
) -> None:
    """How far the pass has come; with an `outcome`, that it has ended at `at`."""
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
    update_pass(connection, mailbox_id, course.number, values)


def update_pass(
    connection: Connection, mailbox_id: int, number: int, values: Mapping[str, Any]
) -> None:
    """Those columns of the pass of that number."""
    statement = _updating_pass(frozenset(values))
    connection.execute(statement, {**values, "mailbox": mailbox_id, "pass": number})


PASS = select(tables.passes).where(
    tables.passes.c.mailbox_id == bindparam("mailbox"),
    tables.passes.c.number == bindparam("pass"),
)
NEW_PASS = insert(tables.passes)
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
            "source": path_text(path, WHOLE),
            "target": path_text(ended.course.targets.get(path, path), WHOLE),
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
    told = {(path_text(each.folder, WHOLE), str(each.key)): each for each in ended.course.left}
    now = {(path_text(folder, WHOLE), key): (fate, why) for folder, key, fate, why in ended.lost}
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
