"""What people order: start, pause, resume, cancel, retry, sync, undo, approve, complete.

An order only writes rows, in the caller's transaction; workers see them within a second or two.
Each is for all mailboxes of a plan or for those chosen, does what it can, and says for whom it did
nothing and why. Giving the same order twice does nothing the second time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.journey.course import Kind
from mailhaul.journey.domain_orders import retry_domains
from mailhaul.journey.domains import hold_domains
from mailhaul.journey.events import Figure, Record, record, record_all
from mailhaul.journey.gates import Shut, check_name, is_open
from mailhaul.journey.grades import Grade
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate, not_signable
from mailhaul.journey.rows import Change, MailboxRow, due_in, from_row, move_all, write
from mailhaul.journey.states import ENDED, State, Trigger, follows


@dataclass(frozen=True, slots=True)
class Selection:
    """Mailboxes with one of those addresses, in one of those waves; an empty tuple restricts
    nothing."""

    mailboxes: tuple[str, ...] = ()
    waves: tuple[str, ...] = ()

    @property
    def all(self) -> bool:
        return not self.mailboxes and not self.waves


EVERYTHING = Selection()

_CARRIED = frozenset(
    {
        *(State.COPYING, State.SYNCED, State.FINAL, State.SWEEPING),
        *(State.VERIFYING, State.VERIFIED),
    }
)
"""States in which something may have been refused, and which need no other act of a person."""


@dataclass(frozen=True, slots=True)
class Left:
    """A mailbox for which nothing was done, and why."""

    address: str
    why: str


@dataclass(slots=True)
class Result:
    """What came of an order: addresses for which it was carried out, those left, remarks."""

    done: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def chosen(
    connection: Connection, plan: PlanRow, selection: Selection, *, hold: bool = False
) -> list[MailboxRow]:
    """The plan's mailboxes that are meant, in its order; with `hold` nobody else moves any of the
    plan's until the transaction ends. Raises `BadInput` for an address or wave that the plan hasn't
    got."""
    table = tables.mailbox
    query = select(table).where(table.c.plan_id == plan.id).order_by(table.c.position, table.c.id)
    if hold:
        query = query.with_for_update(key_share=True)
    rows = [from_row(row) for row in connection.execute(query)]
    if selection.all:
        return rows
    addresses = {address.casefold() for address in selection.mailboxes}
    for address in selection.mailboxes:
        if all(row.address.casefold() != address.casefold() for row in rows):
            raise BadInput(f"plan {plan.name} has no mailbox {printable(address, 100)}")
    for wave in selection.waves:
        if all(row.wave != wave for row in rows):
            raise BadInput(f"plan {plan.name} has no wave “{printable(wave, 100)}”")
    return [
        row
        for row in rows
        if (not addresses or row.address.casefold() in addresses)
        and (not selection.waves or row.wave in selection.waves)
    ]


def start(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    at: float,
    actor: str,
    trial: bool = False,
) -> Result:
    """Lets mailboxes begin; as a `trial` the newest of each folder come first. Raises `BadInput`
    for a plan that is paused or has ended."""
    if plan.state is PlanState.PAUSED:
        raise BadInput(f"plan {plan.name} is paused; mailhaul resume lets it go on")
    _refuse_ended(plan)
    result = Result()
    begun: list[MailboxRow] = []
    for row in chosen(connection, plan, selection, hold=True):
        if row.started_at is not None or row.state in ENDED:
            result.left.append(Left(row.address, f"it is {row.state}"))
        else:
            begun.append(row)
            result.done.append(row.address)
    if begun:
        by_number = update(tables.mailbox).where(tables.mailbox.c.id == bindparam("number"))
        # What has been checked goes on from there once it is admitted.
        connection.execute(
            by_number.values(started_at=at, due_at=bindparam("due"), trial=trial),
            [
                {"number": row.id, "due": at if row.state is State.PLANNED else row.due_at}
                for row in begun
            ],
        )
    if plan.started_at is None:
        _write(connection, plan, started_at=at)
    if begun or plan.started_at is None:
        _tell(connection, plan, "started", actor, selection, begun, at)
    return result


def pause(
    connection: Connection, plan: PlanRow, selection: Selection, *, at: float, actor: str
) -> Result:
    """Stops what is under way at the next message boundary, and keeps it from going on."""
    _refuse_ended(plan)
    result = _ordered(
        connection,
        plan,
        selection,
        lambda row: Change(row, Trigger.PAUSED, why=f"paused by {actor}"),
        at,
        actor,
    )
    if selection.all and plan.state is PlanState.RUNNING:
        _write(connection, plan, state=PlanState.PAUSED.value)
        _tell(connection, plan, "plan_paused", actor, selection, result.done, at)
    return result


def resume(
    connection: Connection, plan: PlanRow, selection: Selection, *, at: float, actor: str
) -> Result:
    """Lets paused mailboxes go on where they were; those whose credentials had been refused wait
    for others as before."""
    _refuse_ended(plan)

    def change(row: MailboxRow) -> Change | str:
        if row.state is State.PAUSED and row.refused_secret is not None:
            return Change(row, Trigger.REFUSED, at, "its credentials were refused before the pause")
        due = None if row.resume_state is None else due_in(row.resume_state, at)
        return Change(row, Trigger.RESUMED, due)

    result = _ordered(connection, plan, selection, change, at, actor)
    if plan.state is PlanState.PAUSED and (selection.all or result.done):
        _write(connection, plan, state=PlanState.RUNNING.value)
        _tell(connection, plan, "plan_resumed", actor, selection, result.done, at)
    return result


def cancel(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    undo: bool,
    at: float,
    actor: str,
) -> Result:
    """Ends journeys for good. What they carried stays at the target or, with `undo`, is removed
    there by the worker, message by message, unless its user has touched it since."""
    if plan.state is PlanState.COMPLETED:
        _refuse_ended(plan)
    trigger = Trigger.RECALLED if undo else Trigger.CANCELLED
    why = f"cancelled by {actor}"

    def change(row: MailboxRow) -> Change | str:
        if undo and row.state is State.UNDOING and row.resume_state is None:
            return "it is being undone already"
        return Change(row, trigger, at if undo else None, why)

    result = _ordered(connection, plan, selection, change, at, actor)
    if undo:
        _ask_to_undo(connection, plan, result.done, None, at)
    if selection.all and plan.state is not PlanState.CANCELLED:
        _write(connection, plan, state=PlanState.CANCELLED.value, ended_at=at)
        _tell(connection, plan, "plan_cancelled", actor, selection, result.done, at)
    return result


def request_undo(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    number: int,
    *,
    at: float,
    actor: str,
) -> Result:
    """Has the pass of that number undone by the worker; after it the mailbox is paused where it
    was. What is to be undone are rows of `passes` with `undo_at` and without `undone_at`."""
    _refuse_ended(plan)
    table = tables.passes
    mailboxes = select(tables.mailbox.c.id).where(tables.mailbox.c.plan_id == plan.id)
    there = {
        row.mailbox_id: row
        for row in connection.execute(
            select(table).where(table.c.number == number, table.c.mailbox_id.in_(mailboxes))
        )
    }

    def change(row: MailboxRow) -> Change | str:
        found = there.get(row.id)
        if found is None:
            return f"it has no pass {number}"
        if found.kind == Kind.RETURN:
            return f"its pass {number} has carried mail back to the old system, where it stays"
        if found.undone_at is not None or found.undo_at is not None:
            return f"its pass {number} {'is' if found.undone_at is None else 'was'} undone already"
        # What was verified is no longer so; it would be signed off as if it were.
        later = {"resume_state": State.SWEEPING.value} if row.state is State.VERIFIED else {}
        return Change(row, Trigger.UNDO, at, f"pass {number} is undone for {actor}", later)

    result = _ordered(connection, plan, selection, change, at, actor, {"pass": number})
    _ask_to_undo(connection, plan, result.done, number, at)
    return result


def retry(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    same_secret: bool = False,
    at: float,
    actor: str,
) -> Result:
    """Tries again where a person had to act: failed, blocked and hindered mailboxes; with
    `same_secret` once more with credentials that were refused (F4: never by itself). The next pass
    also offers the target what it refused before; where all of that was approved, only if the
    mailbox is named. An approval of its grade is void then."""
    _refuse_ended(plan)
    if selection.all and plan.plan.dns is not None:
        hold_domains(connection, plan.id)
    approved = _all_approved(connection, plan)
    named = {address.casefold() for address in selection.mailboxes}

    def lacking(row: MailboxRow) -> Change | str:
        if not row.refused + row.missing:
            return f"it is {row.state}, and nothing of it was refused or is missing"
        if row.id in approved and row.address.casefold() not in named:
            return "what it lacks was approved; --mailbox has it offered again nonetheless"
        values = {"failures": 0, "offer_refused": True, "approved_by": None, "approved_at": None}
        figures = {"refused": row.refused, "missing": row.missing}
        return Change(row, Trigger.RETRIED, at, values=values, figures=figures)

    def change(row: MailboxRow) -> Change | str:
        if row.state is State.WAITING and not same_secret:
            return (
                "its credentials were refused and have not changed; once they have it goes on by "
                "itself, and --same-secret tries them once more"
            )
        if row.state in _CARRIED:
            return lacking(row)
        if row.state is State.RETURNING:
            return Change(row, Trigger.RETRIED, at, values={"failures": 0, "offer_refused": True})
        target = follows(row.state, Trigger.RETRIED, row.resume_state)
        due = None if target is None else due_in(target, at)
        if row.state is State.BLOCKED and row.started_at is None:
            due = None
        values: dict[str, Any] = {"failures": 0, "offer_refused": row.state is not State.BLOCKED}
        if row.state is State.WAITING:
            values["refused_secret"] = None
        return Change(row, Trigger.RETRIED, due, values=values)

    result = _ordered(connection, plan, selection, change, at, actor)
    if selection.all and plan.plan.dns is not None:
        retried = retry_domains(connection, plan, at=at, actor=actor)
        result.done += [row.name for row in retried]
    return result


def sync(
    connection: Connection, plan: PlanRow, selection: Selection, *, at: float, actor: str
) -> Result:
    """Has another delta or sweep run now. A verified mailbox is swept and verified once more; an
    approval of its grade is void then."""
    _refuse_ended(plan)

    def change(row: MailboxRow) -> Change | str:
        if row.state in (State.READY, State.COPYING, State.FINAL):
            return f"it is {row.state}: everything new is carried anyway"
        values = {"approved_by": None, "approved_at": None} if row.state is State.VERIFIED else {}
        return Change(row, Trigger.AGAIN, at, values=values)

    return _ordered(connection, plan, selection, change, at, actor)


def approve(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    who: str,
    keys: Sequence[str] | None = None,
    at: float,
) -> Result:
    """Writes down that `who` approves what was refused or is missing: all of it, or the messages
    with those `keys`. When nothing is left open, the grade Investigate of a verified mailbox is
    approved with it. Raises `BadInput` for a name that the plan does not allow to sign off."""
    _refuse_ended(plan)
    name = check_name(plan.plan, Gate.SIGN_OFF, who)
    table = tables.leftover
    result = Result()
    records = []
    for row in chosen(connection, plan, selection, hold=True):
        still_open = (table.c.mailbox_id == row.id) & table.c.approved_by.is_(None)
        wanted = still_open if keys is None else still_open & table.c.key.in_(keys)
        approved = connection.execute(
            update(table).where(wanted).values(approved_by=name, approved_at=at)
        ).rowcount
        left = connection.execute(select(func.count()).where(still_open)).scalar_one()
        graded = (
            row.state is State.VERIFIED
            and row.grade == Grade.INVESTIGATE
            and row.approved_by is None
            and not left
        )
        if graded:
            write(connection, row, approved_by=name, approved_at=at)
        if not approved and not graded:
            result.left.append(Left(row.address, _nothing_to_approve(row, left)))
            continue
        result.done.append(row.address)
        figures: dict[str, Figure] = {"messages": approved, "open": left}
        if graded:
            figures["grade"] = row.grade
        records.append(Record("approved", name, row.id, figures=figures))
        if row.grade == Grade.POOR:
            result.remarks.append(f"{row.address}: the grade poor can't be approved")
    if records:
        record_all(connection, plan.id, records, at)
    return result


def complete(
    connection: Connection, plan: PlanRow, selection: Selection, *, who: str, at: float
) -> Result:
    """Signs mailboxes off: verified ones whose grade allows it. For all of a plan the sign-off gate
    must be open (`Shut`); with it, and no mailbox under way any more, the plan is completed. Raises
    `BadInput` for a name that the plan does not allow."""
    if plan.state is not PlanState.COMPLETED:
        _refuse_ended(plan)
    name = check_name(plan.plan, Gate.SIGN_OFF, who)
    signed_off = is_open(connection, plan, Gate.SIGN_OFF)
    if selection.all and not signed_off:
        raise Shut(f"the gate “{Gate.SIGN_OFF}” of plan {plan.name} is not open")

    def change(row: MailboxRow) -> Change | str:
        if row.state is State.VERIFIED and (why := not_signable(row)):
            return why
        return Change(row, Trigger.SIGNED, None, figures={"grade": row.grade})

    result = _ordered(connection, plan, selection, change, at, name)
    if signed_off and plan.state is not PlanState.COMPLETED:
        under_way = [row for row in chosen(connection, plan, EVERYTHING) if row.state not in ENDED]
        if under_way:
            result.remarks.append(f"{len(under_way)} mailboxes are still under way")
        else:
            _write(connection, plan, state=PlanState.COMPLETED.value, ended_at=at)
            _tell(connection, plan, "plan_completed", name, selection, result.done, at)
            result.remarks.append(f"plan {plan.name} is completed")
    return result


def _ordered(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    change: Callable[[MailboxRow], Change | str],
    at: float,
    actor: str,
    figures: dict[str, Figure] | None = None,
) -> Result:
    """Moves every chosen mailbox as `change` says; a text says why it is left."""
    result = Result()
    changes = []
    for row in chosen(connection, plan, selection, hold=True):
        wanted = change(row)
        if isinstance(wanted, str):
            result.left.append(Left(row.address, wanted))
        elif follows(row.state, wanted.trigger, row.resume_state) is None:
            result.left.append(Left(row.address, f"it is {row.state}"))
        else:
            changes.append(replace(wanted, figures={**wanted.figures, **(figures or {})}))
            result.done.append(row.address)
    move_all(connection, changes, at=at, actor=actor)
    return result


def _ask_to_undo(
    connection: Connection, plan: PlanRow, addresses: Sequence[str], number: int | None, at: float
) -> None:
    """Marks that pass, or all passes, of those mailboxes."""
    if not addresses:
        return
    table, mailbox = tables.passes, tables.mailbox
    numbers = {
        row.address: row.id
        for row in connection.execute(
            select(mailbox.c.address, mailbox.c.id).where(mailbox.c.plan_id == plan.id)
        )
    }
    marked = update(table).where(
        table.c.mailbox_id == bindparam("mailbox"),
        table.c.undone_at.is_(None),
        table.c.undo_at.is_(None),
        table.c.kind != Kind.RETURN.value,
    )
    if number is not None:
        marked = marked.where(table.c.number == number)
    connection.execute(
        marked.values(undo_at=at), [{"mailbox": numbers[address]} for address in addresses]
    )


def _all_approved(connection: Connection, plan: PlanRow) -> set[int]:
    """The mailboxes (ids) of which something was refused or is missing, and all of it approved."""
    table, mailbox = tables.leftover, tables.mailbox
    query = (
        select(table.c.mailbox_id)
        .join(mailbox, mailbox.c.id == table.c.mailbox_id)
        .where(mailbox.c.plan_id == plan.id)
        .group_by(table.c.mailbox_id)
        .having(func.count(table.c.approved_by) == func.count())
    )
    return set(connection.execute(query).scalars())


def _nothing_to_approve(row: MailboxRow, still_open: int) -> str:
    if row.grade == Grade.INVESTIGATE and row.state is State.VERIFIED and row.approved_by:
        return f"{row.approved_by} has approved it"
    if still_open:
        return f"none of its {still_open} open messages is meant"
    return f"nothing of it is to be approved; it is {row.state}"


def _refuse_ended(plan: PlanRow) -> None:
    if plan.state in (PlanState.CANCELLED, PlanState.COMPLETED):
        raise BadInput(f"plan {plan.name} is {plan.state}; nothing of it goes on")


def _write(connection: Connection, plan: PlanRow, **values: Any) -> None:
    connection.execute(update(tables.plan).where(tables.plan.c.id == plan.id).values(**values))


def _tell(
    connection: Connection,
    plan: PlanRow,
    action: str,
    actor: str,
    selection: Selection,
    concerned: Sequence[object],
    at: float,
) -> None:
    """The event of an order to the whole plan; for a part of it, it says which."""
    parts = [*selection.mailboxes, *(f"wave {wave}" for wave in selection.waves)]
    figures: dict[str, Figure] = {"mailboxes": len(concerned)}
    why = printable(", ".join(parts), 1000)
    record(connection, plan.id, Record(action, actor, why=why, figures=figures), at)
