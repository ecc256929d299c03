"""A mailbox's row: read, and moved on. Every change of state is compare-and-set.

Whoever acts on a row says which state and generation it was in when the decision was made; a row
that has moved on since refuses (`Stale`), and nothing is written. The event of a change is written
in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Row, bindparam, select, update

from mailhaul.core.errors import MailhaulError
from mailhaul.db import tables
from mailhaul.journey.events import SYSTEM, Figure, Record, record_all
from mailhaul.journey.states import PHASES, State, Trigger, follows

INTERRUPTING = frozenset({Trigger.PAUSED, Trigger.REFUSED, Trigger.FAILED, Trigger.UNDO})
"""After these the mailbox will go on where it was."""

RESTING = frozenset({State.WAITING, State.FAILED, State.PAUSED, State.UNDOING})
"""States that keep in mind where the mailbox was."""

NEW_GENERATION = frozenset(
    {
        Trigger.PAUSED,
        Trigger.RESUMED,
        Trigger.CANCELLED,
        Trigger.RETRIED,
        Trigger.UNDO,
        Trigger.RECALLED,
        Trigger.AGAIN,
        Trigger.WENT,
        Trigger.TURNED_BACK,
        Trigger.ANSWERED,
        Trigger.ADMITTED,
        Trigger.CHANGED,
    }
)
"""What comes from outside of a phase: work that was begun before it stops by itself."""


class Stale(MailhaulError):
    """The mailbox has moved on since; what was to be written was not."""


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox as it stands. See `db.tables.mailbox` for what each figure means."""

    id: int
    plan: int
    position: int
    address: str
    wave: str
    source: str
    target: str
    source_secret: str
    target_secret: str
    state: State
    resume_state: State | None
    generation: int
    epoch: int
    step: int
    due_at: float | None
    since_at: float
    reason: str
    failures: int
    refused_secret: str | None
    opened_once: bool
    passes: int
    sweeps: int
    quiet_sweeps: int
    census: int
    copied: int
    adopted: int
    skipped: int
    refused: int
    missing: int
    octets: int
    expected_messages: int | None
    expected_octets: int | None
    grade: str
    approved_by: str | None
    approved_at: float | None
    started_at: float | None
    left_out: bool
    trial: bool
    offer_refused: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One row to be moved by `move_all`. `due`, `why` and `values` are as for `move`."""

    row: MailboxRow
    trigger: Trigger
    due: float | None = None
    why: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


def mailbox(connection: Connection, number: int) -> MailboxRow:
    """The row by id."""
    return from_row(connection.execute(_BY_ID, {"number": number}).one())


def held_mailbox(connection: Connection, number: int) -> MailboxRow:
    """The row by id, which nobody else changes until the transaction ends: who wants to change it
    by what stands in it asks so."""
    return from_row(connection.execute(_HELD_BY_ID, {"number": number}).one())


def from_row(row: Row[Any]) -> MailboxRow:
    """The row of a `select(tables.mailbox)`."""
    values = dict(row._mapping)
    values["plan"] = values.pop("plan_id")
    values["state"] = State(values["state"])
    resume = values["resume_state"]
    values["resume_state"] = None if resume is None else State(resume)
    return MailboxRow(**values)


def move(
    connection: Connection,
    row: MailboxRow,
    trigger: Trigger,
    *,
    at: float,
    due: float | None = None,
    actor: str = SYSTEM,
    why: str = "",
    figures: Mapping[str, Figure] | None = None,
    **values: Any,
) -> MailboxRow:
    """The row after `trigger`, written down with its event.

    `due` is when the new state's phase is to run; None: not by itself. `why` becomes the row's
    `reason`. Further columns are given by name. Raises `Stale` when the row is no longer as `row`
    says, or the trigger means nothing in its state.
    """
    change = Change(row, trigger, due, why, values, figures or {})
    written = write(connection, row, **_changed(change, at))
    record_all(connection, row.plan, (_record(change, actor),), at)
    return written


def move_all(
    connection: Connection, changes: Sequence[Change], *, at: float, actor: str = SYSTEM
) -> None:
    """Moves many rows of one plan, each at most once, as `move` does, in few statements. Raises
    `Stale` when one of them has moved on; then the caller's transaction must not be committed."""
    if not changes:
        return
    assert len({change.row.id for change in changes}) == len(changes)
    assert len({change.row.plan for change in changes}) == 1
    columns: dict[frozenset[str], list[dict[str, Any]]] = {}
    for change in changes:
        values = _changed(change, at)
        columns.setdefault(frozenset(values), []).append({**values, **_as_read(change.row)})
    for names, rows in columns.items():
        if connection.execute(_updating(names), rows).rowcount != len(rows):
            raise Stale("a mailbox has moved on")
    plan = changes[0].row.plan
    record_all(connection, plan, [_record(change, actor) for change in changes], at)


def due_in(state: State, at: float) -> float | None:
    """`at` where the state has a phase that runs by itself, else None."""
    return at if state in PHASES else None


def write(connection: Connection, row: MailboxRow, **values: Any) -> MailboxRow:
    """The row with those columns changed, without an event. Raises `Stale` as `move` does."""
    statement = _updating(frozenset(values), returning=True)
    written = connection.execute(statement, {**values, **_as_read(row)}).one_or_none()
    if written is None:
        raise Stale(f"{row.address} has moved on")
    return from_row(written)


_BY_ID = select(tables.mailbox).where(tables.mailbox.c.id == bindparam("number"))
_HELD_BY_ID = _BY_ID.with_for_update(key_share=True)
_WHERE_AS_READ = update(tables.mailbox).where(
    tables.mailbox.c.id == bindparam("read_id"),
    tables.mailbox.c.generation == bindparam("read_generation"),
    tables.mailbox.c.state == bindparam("read_state"),
    tables.mailbox.c.step == bindparam("read_step"),
)


# To build a statement takes longer than to execute it.
@lru_cache(maxsize=256)
def _updating(names: frozenset[str], *, returning: bool = False) -> Executable:
    statement = _WHERE_AS_READ.values({name: bindparam(name) for name in names})
    return statement.returning(tables.mailbox) if returning else statement


def _as_read(row: MailboxRow) -> dict[str, Any]:
    return {
        "read_id": row.id,
        "read_generation": row.generation,
        "read_state": row.state.value,
        "read_step": row.step,
    }


def _changed(change: Change, at: float) -> dict[str, Any]:
    """The columns after `change`. Raises `Stale` when its trigger means nothing there."""
    row, trigger = change.row, change.trigger
    target = _target(change)
    resume = row.resume_state if target in RESTING else None
    if trigger in INTERRUPTING:
        resume = row.resume_state or row.state
    elif trigger is Trigger.RECALLED:
        resume = None
    return {
        "state": target.value,
        "resume_state": None if resume is None else resume.value,
        "generation": row.generation + (trigger in NEW_GENERATION),
        "due_at": change.due,
        "reason": change.why,
        "since_at": row.since_at if target is row.state else at,
        "step": row.step + 1 if target is row.state else 0,
        **change.values,
    }


def _record(change: Change, actor: str) -> Record:
    figures = {"from": change.row.state.value, "to": _target(change).value, **change.figures}
    return Record(change.trigger.name.lower(), actor, change.row.id, change.why, figures)


def _target(change: Change) -> State:
    row = change.row
    target = follows(row.state, change.trigger, row.resume_state)
    if target is None:
        raise Stale(f"{row.address} is {row.state}: “{change.trigger}” means nothing there")
    return target
