"""A mailbox's row: read, and moved on. Every change of state is compare-and-set.

Whoever acts on a row says which state and generation it was in when the decision was made; a row
that has moved on since refuses (`Stale`), and nothing is written. The event of a change is written
in the same transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from mailhaul.core.errors import MailhaulError
from mailhaul.db import tables
from mailhaul.journey.events import SYSTEM, Figure, Record, record
from mailhaul.journey.states import State, Trigger, follows

INTERRUPTING = frozenset({Trigger.PAUSED, Trigger.REFUSED, Trigger.FAILED})
"""After these the mailbox will go on where it was."""

NEW_GENERATION = frozenset(
    {
        Trigger.PAUSED,
        Trigger.RESUMED,
        Trigger.CANCELLED,
        Trigger.RETRIED,
        Trigger.UNDONE,
        Trigger.AGAIN,
        Trigger.WENT,
        Trigger.ANSWERED,
        Trigger.ADMITTED,
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


def mailbox(connection: Connection, number: int) -> MailboxRow:
    """The row by id."""
    table = tables.mailbox
    return from_row(connection.execute(select(table).where(table.c.id == number)).one())


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
    target = follows(row.state, trigger, row.resume_state)
    if target is None:
        raise Stale(f"{row.address} is {row.state}: “{trigger}” means nothing there")
    generation = row.generation + (trigger in NEW_GENERATION)
    resume = row.resume_state
    if trigger in INTERRUPTING:
        resume = row.state if row.resume_state is None else row.resume_state
    elif target not in (State.WAITING, State.FAILED, State.PAUSED):
        resume = None
    changed = {
        "state": target.value,
        "resume_state": None if resume is None else resume.value,
        "generation": generation,
        "due_at": due,
        "reason": why,
        "since_at": row.since_at if target is row.state else at,
        "step": row.step + 1 if target is row.state else 0,
        **values,
    }
    written = write(connection, row, **changed)
    record(
        connection,
        row.plan,
        Record(
            trigger.name.lower(),
            actor,
            row.id,
            why,
            {"from": row.state.value, "to": target.value, **(figures or {})},
        ),
        at,
    )
    return written


def write(connection: Connection, row: MailboxRow, **values: Any) -> MailboxRow:
    """The row with those columns changed, without an event. Raises `Stale` as `move` does."""
    table = tables.mailbox
    done = connection.execute(
        update(table)
        .where(
            table.c.id == row.id,
            table.c.generation == row.generation,
            table.c.state == row.state.value,
            table.c.step == row.step,
        )
        .values(**values)
    )
    if done.rowcount != 1:
        raise Stale(f"{row.address} has moved on")
    return mailbox(connection, row.id)
