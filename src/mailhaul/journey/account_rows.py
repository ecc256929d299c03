"""An account's move and its steps as rows: read, loaded with their plan, and moved on. As `domains`
is for domains.

Every change is compare-and-set on state, generation and step; who comes late changes nothing
(`Stale`). An account's event is written in the same transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    exists,
    insert,
    select,
    update,
)

from mailhaul.db import tables
from mailhaul.journey.account_states import (
    OPEN,
    WORKING,
    MoveState,
    MoveTrigger,
    move_follows,
)
from mailhaul.journey.engine import Run
from mailhaul.journey.events import SYSTEM, Figure, Record, record
from mailhaul.journey.plans import PlanState
from mailhaul.journey.rows import Stale, from_row
from mailhaul.journey.states import UNBEGUN, Phase, State
from mailhaul.plan.model import AccountPath, Plan


@dataclass(frozen=True, slots=True)
class MoveRow:
    """An account's move as it stands. See `db.account_tables.account_move` for each figure;
    `address` and `person` are its mailbox's."""

    id: int
    plan: int
    mailbox: int
    address: str
    person: State
    state: MoveState
    resume_state: MoveState | None
    generation: int
    step: int
    due_at: float | None
    since_at: float
    reason: str
    cause: str
    failures: int
    refused_secret: str | None
    round: int
    looked_at: float | None
    ready: bool
    path: str
    evidence: tuple[str, ...]
    temporary: str
    placeholder: str
    chosen: bool
    octets: int | None
    messages: int | None
    acknowledged_at: float | None
    acknowledged_by: str | None
    login: str | None
    text: str
    source: str | None
    source_secret: str | None
    moved_at: float | None
    undone_at: float | None
    nowhere_from: float | None
    nowhere_until: float | None
    guarded: bool
    retire_at: float | None
    retired_by: str | None
    retired_at: float | None

    @property
    def was(self) -> MoveState:
        """Its state, or the one in which it failed."""
        return self.resume_state or self.state

    @property
    def open(self) -> bool:
        """Whether its mailbox waits for it."""
        return self.was in OPEN


def moves_accounts(plan: Plan) -> bool:
    """Whether the plan moves accounts at all."""
    return plan.accounts is not None and plan.accounts.path is not AccountPath.NONE


def load_moves(connection: Connection, plan: int, model: Plan, *, at: float) -> list[str]:
    """Brings the plan's moves up to date; what changed, as sentences. A mailbox of which something
    has been carried already gets none; one that is no longer meant is forgotten unless a person has
    agreed to it."""
    there = {row.mailbox: row for row in moves(connection, plan)}
    if not moves_accounts(model):
        gone = [row for row in there.values() if row.was is MoveState.WAITING]
        for row in gone:
            _forget(connection, row, at)
        return [f"{row.address}: its account is left alone" for row in gone]
    table = tables.mailbox
    mailboxes = connection.execute(
        select(table).where(table.c.plan_id == plan).order_by(table.c.position, table.c.id)
    )
    fresh = [
        row
        for row in map(from_row, mailboxes)
        if row.id not in there
        and row.passes == 0
        and {row.state, row.resume_state or row.state} <= UNBEGUN
    ]
    if fresh:
        connection.execute(
            insert(tables.account_move),
            [
                {
                    "mailbox_id": row.id,
                    "state": MoveState.WAITING.value,
                    "due_at": at,
                    "since_at": at,
                }
                for row in fresh
            ],
        )
    # Whatever else the plan says now is seen by the next look.
    waiting = [row.id for row in there.values() if row.state is MoveState.WAITING]
    move = tables.account_move
    for number in waiting:
        connection.execute(update(move).where(move.c.id == number).values(due_at=at, ready=False))
    return [f"{row.address}: its account is moved first" for row in fresh if there]


def moves(connection: Connection, plan: int, *, hold: bool = False) -> list[MoveRow]:
    """The plan's moves, in the order of its mailboxes; with `hold` nobody else changes any until
    the transaction ends. Whoever holds mailboxes too holds them first."""
    query = _select().where(tables.mailbox.c.plan_id == plan)
    query = query.order_by(tables.mailbox.c.position, tables.mailbox.c.id)
    if hold:
        query = query.with_for_update(of=tables.account_move)
    return [*map(_from, connection.execute(query))]


def move_row(connection: Connection, number: int) -> MoveRow:
    """The row by id."""
    return _from(connection.execute(_select().where(tables.account_move.c.id == number)).one())


def move_of(connection: Connection, mailbox: int) -> MoveRow | None:
    """The move of that mailbox's account; None where there is none."""
    query = _select().where(tables.account_move.c.mailbox_id == mailbox)
    found = connection.execute(query).one_or_none()
    return None if found is None else _from(found)


def waits_for_account() -> ColumnElement[bool]:
    """Of a row of `tables.mailbox`: its account is still to be moved."""
    table = tables.account_move
    states = [each.value for each in OPEN]
    open_ = table.c.state.in_(states) | (
        (table.c.state == MoveState.FAILED.value) & table.c.resume_state.in_(states)
    )
    return exists().where(table.c.mailbox_id == tables.mailbox.c.id, open_)


def at_work(connection: Connection, plan: int) -> bool:
    """Whether something is being done for an account of the plan at a provider."""
    table, mailbox = tables.account_move, tables.mailbox
    query = select(table.c.id).join(mailbox, mailbox.c.id == table.c.mailbox_id)
    working = table.c.state.in_([each.value for each in WORKING]) & table.c.due_at.is_not(None)
    return (
        connection.execute(query.where(mailbox.c.plan_id == plan, working).limit(1)).first()
        is not None
    )


def working_plans(connection: Connection) -> frozenset[int]:
    """Plans (ids) for whose accounts something is being done at a provider, ended ones too."""
    table, mailbox = tables.account_move, tables.mailbox
    query = select(mailbox.c.plan_id).join(table, table.c.mailbox_id == mailbox.c.id)
    working = table.c.state.in_([each.value for each in WORKING])
    return frozenset(connection.execute(query.where(working).distinct()).scalars())


def move_run(row: MoveRow) -> Run:
    """The run that the row asks for, once it is due."""
    return Run(0, row.generation, row.step, Phase.ACCOUNT, f"{row.plan}:account", row.id)


def due_moves(connection: Connection, now: float, most: int) -> list[MoveRow]:
    """Moves that are due, of plans that have been started; what is being done at a provider comes
    first, and is brought to its end whatever becomes of the plan: the address may be nowhere."""
    table, plan = tables.account_move, tables.plan
    running = (plan.c.state == PlanState.RUNNING.value) & plan.c.started_at.is_not(None)
    working = table.c.state.in_([each.value for each in WORKING])
    rows = connection.execute(
        _select()
        .join(plan, plan.c.id == tables.mailbox.c.plan_id)
        .where(
            table.c.due_at <= now,
            working | (running & tables.mailbox.c.started_at.is_not(None)),
        )
        .order_by(table.c.state == MoveState.WAITING.value, table.c.due_at, table.c.id)
        .limit(most)
    )
    return sorted(map(_from, rows), key=lambda row: row.state not in WORKING)


def advance(
    connection: Connection,
    row: MoveRow,
    trigger: MoveTrigger,
    *,
    at: float,
    due: float | None,
    actor: str = SYSTEM,
    why: str = "",
    figures: Mapping[str, Figure] | None = None,
    **values: Any,
) -> MoveRow:
    """The row after `trigger`, written down with its event. Raises `Stale` when it is no longer as
    `row` says, or the trigger means nothing in its state."""
    target = move_follows(row.state, trigger, row.resume_state)
    if target is None:
        raise Stale(f"{row.address} is {row.state}: “{trigger}” means nothing there")
    failed = target is MoveState.FAILED
    if target is MoveState.UNDOING and trigger is not MoveTrigger.ACCOUNT_RETRIED:
        values = {"cause": why, **values}
    written = write_move(
        connection,
        row,
        state=target.value,
        resume_state=row.was.value if failed else None,
        generation=row.generation + 1,
        step=0,
        due_at=due,
        since_at=at,
        reason=why,
        **{"failures": 0, **values},
    )
    told: dict[str, Figure] = {"from": row.state.value, "to": target.value, **(figures or {})}
    record(connection, row.plan, Record(trigger.name.lower(), actor, row.mailbox, why, told), at)
    return written


def write_move(connection: Connection, row: MoveRow, **values: Any) -> MoveRow:
    """The row with those columns changed, without an event. Raises `Stale` as `advance`."""
    table = tables.account_move
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
        raise Stale(f"the account of {row.address} has moved on")
    return move_row(connection, row.id)


def _forget(connection: Connection, row: MoveRow, at: float) -> None:
    """Its mailbox goes on without it."""
    for table in (tables.account_step, tables.placeholder):
        connection.execute(delete(table).where(table.c.move_id == row.id))
    connection.execute(delete(tables.account_move).where(tables.account_move.c.id == row.id))
    mailbox = tables.mailbox
    connection.execute(
        update(mailbox)
        .where(
            mailbox.c.id == row.mailbox,
            mailbox.c.state == State.PLANNED.value,
            mailbox.c.started_at.is_not(None),
        )
        .values(due_at=at, reason="")
    )


def _select() -> Select[Any]:
    mailbox = tables.mailbox
    return select(
        tables.account_move,
        mailbox.c.plan_id.label("plan"),
        mailbox.c.address.label("address"),
        mailbox.c.state.label("person"),
    ).join(mailbox, mailbox.c.id == tables.account_move.c.mailbox_id)


def _from(row: Row[Any]) -> MoveRow:
    values = dict(row._mapping)
    values["mailbox"] = values.pop("mailbox_id")
    values["person"] = State(values["person"])
    values["state"] = MoveState(values["state"])
    resume = values["resume_state"]
    values["resume_state"] = None if resume is None else MoveState(resume)
    values["evidence"] = tuple(json.loads(values["evidence"]))
    return MoveRow(**values)
