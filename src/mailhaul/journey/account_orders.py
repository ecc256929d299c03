"""What people order about accounts: a yes to their moves, the placeholder to take, the way back,
another try, the end of old accounts. As `orders` is for mailboxes.

An order only writes rows, in the caller's transaction; workers see them within a second or two. It
does what it can, and says for whom it did nothing and why.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow, advance, moves, write_move
from mailhaul.journey.account_states import MoveState, MoveTrigger, move_follows
from mailhaul.journey.account_steps import (
    KEEP,
    Part,
    Planned,
    StepState,
    plan_steps,
    steps_of,
    write_step,
)
from mailhaul.journey.account_written import reserve
from mailhaul.journey.events import Figure
from mailhaul.journey.gates import check_name
from mailhaul.journey.orders import EVERYTHING, Left, Result, Selection, chosen
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate, not_signable
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import SWITCHED, State, Trigger
from mailhaul.journey.switching import moment
from mailhaul.providers import saga
from mailhaul.providers.actions import Lock, Unlock
from mailhaul.providers.actions_text import told
from mailhaul.providers.paths import Path

_BEGUN = (StepState.BEGUN, StepState.DONE, StepState.BROKEN)
_STOPPED = (StepState.REFUSED, StepState.BROKEN)
_AT_WORK = {
    MoveState.MOVING: Part.MOVE,
    MoveState.UNDOING: Part.UNDO,
    MoveState.RETIRING: Part.RETIRE,
}
_MAIN = frozenset({saga.Part.RENAME, saga.Part.ARRIVE, saga.Part.HAND_OVER, KEEP})
"""Kinds of steps without which the account is not where its move says, or nothing can prove it."""


def chosen_moves(
    connection: Connection,
    plan: PlanRow,
    selection: Selection = EVERYTHING,
    *,
    hold: bool = False,
) -> list[tuple[MailboxRow, MoveRow | None]]:
    """The mailboxes that are meant, each with its account's move, if it has one. Raises `BadInput`
    as `chosen`."""
    rows = chosen(connection, plan, selection, hold=hold)
    there = {row.mailbox: row for row in moves(connection, plan.id, hold=hold)}
    return [(row, there.get(row.id)) for row in rows]


def choose(
    connection: Connection,
    plan: PlanRow,
    address: str,
    placeholder: str,
    *,
    at: float,
) -> MoveRow:
    """That placeholder becomes the account of the address; a worker looks whether it is fit. Raises
    `BadInput` where nothing is to be chosen, and `Stale` where another move has it."""
    (found,) = chosen_moves(connection, plan, Selection((address,)), hold=True)
    row = found[1]
    if row is None or row.state is not MoveState.WAITING:
        state = "its account is left alone" if row is None else f"its move is {row.state}"
        raise BadInput(f"{printable(address, 200)}: there is nothing to choose, for {state}")
    name = printable(placeholder, 320)
    reserve(connection, plan, row, name, at)
    return write_move(
        connection,
        row,
        step=row.step + 1,
        due_at=at,
        ready=False,
        placeholder=name,
        chosen=bool(name),
        reason="it is looked whether the placeholder is fit",
    )


def look_again(connection: Connection, plan: PlanRow, selection: Selection, *, at: float) -> Result:
    """Has a worker look at accounts now that wait for a yes."""

    def change(person: MailboxRow, row: MoveRow) -> str:
        if row.state is not MoveState.WAITING:
            return f"its move is {row.state}"
        write_move(connection, row, step=row.step + 1, due_at=at, refused_secret=None)
        return ""

    return _each(connection, plan, selection, change)


def undo(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    who: str,
    login: str,
    at: float,
    dry: bool = False,
) -> Result:
    """Takes moves back, step by step; `dry` only says whose. A worker looks first whether mail
    would be left behind in the new account, and leaves it there then. Raises `BadInput` for a name
    that the plan does not allow to open the gate."""
    name = check_name(plan.plan, Gate.ACCOUNTS, who)

    def change(person: MailboxRow, row: MoveRow) -> str:
        if why := _not_undoable(connection, person, row):
            return why
        if not dry:
            advance(
                connection,
                row,
                MoveTrigger.ACCOUNT_RECALLED,
                at=at,
                due=at,
                actor=name,
                why=f"taken back for {name}",
                figures={"login": printable(login, 200)},
            )
        return ""

    return _each(connection, plan, selection, change, hold=not dry)


def _not_undoable(connection: Connection, person: MailboxRow, row: MoveRow) -> str:
    if move_follows(row.state, MoveTrigger.ACCOUNT_RECALLED, row.resume_state) is None:
        return f"its move is {row.state}"
    if row.was is MoveState.RETIRING:
        return "its old account is being disabled"
    if any(each.last and each.state in _BEGUN for each in steps_of(connection, row, Part.MOVE)):
        return "it has been handed over to its provider, and nothing takes that back"
    if row.moved_at is None:
        return ""
    was = person.resume_state or person.state
    if was in SWITCHED:
        return "its mail has been switched; mailhaul return brings that back first"
    if State.RETURNING in (was, person.state):
        return "its mail is on its way back; wait for that"
    if person.state is State.COMPLETED:
        return "it is completed: there is no way back any more"
    return ""


def retry(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    at: float,
    actor: str,
    leave: bool = False,
) -> Result:
    """Tries again where a person had to act. What failed goes on where it stopped, with `leave`
    without the step that can't be done; what was taken back is looked at anew, and waits for
    another yes. Raises `BadInput` where that step can't be left either."""
    if plan.state in (PlanState.CANCELLED, PlanState.COMPLETED):
        raise BadInput(f"plan {plan.name} is {plan.state}; nothing of it goes on")

    def change(person: MailboxRow, row: MoveRow) -> str:
        if move_follows(row.state, MoveTrigger.ACCOUNT_RETRIED, row.resume_state) is None:
            return f"its move is {row.state}"
        values: dict[str, Any] = {"refused_secret": None}
        if row.state is MoveState.UNDONE:
            again = {"acknowledged_at": None, "acknowledged_by": None, "login": None, "text": ""}
            values |= {**again, "ready": False, "nowhere_from": None, "nowhere_until": None}
        else:
            if leave:
                _leave(connection, row, at)
            for step in [] if leave else steps_of(connection, row):
                if step.state in _STOPPED:
                    begun = {"state": StepState.BEGUN.value, "task": "", "tries": 1}
                    write_step(connection, step, **begun, ended_at=None)
        trigger = MoveTrigger.ACCOUNT_RETRIED
        advance(connection, row, trigger, at=at, due=at, actor=actor, **values)
        return ""

    return _each(connection, plan, selection, change)


def _leave(connection: Connection, row: MoveRow, at: float) -> None:
    """The step at which the move has stopped is left to a person: refused, ended half way, or
    begun when a provider closed its door. Raises `BadInput` for one of `_MAIN`."""
    for step in steps_of(connection, row, _AT_WORK[row.was]):
        if step.state not in (*_STOPPED, StepState.BEGUN):
            continue
        if step.kind in _MAIN:
            raise BadInput(
                f"{printable(row.address, 200)}: {printable(step.words, 500)}: this can't be left "
                "out; do it by hand if need be, then mailhaul accounts retry without --leave"
            )
        said = step.said or row.reason
        write_step(connection, step, state=StepState.LEFT.value, said=said, ended_at=at)


def retire(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    who: str,
    login: str,
    at: float,
    by_hand: bool = False,
    dry: bool = False,
) -> Result:
    """Disables the renamed accounts of mailboxes that are verified, once the plan's time is over;
    `by_hand`: somebody has done so already. Raises `BadInput` for a name that the plan does not
    allow to open the gate."""
    name = check_name(plan.plan, Gate.ACCOUNTS, who)

    def change(person: MailboxRow, row: MoveRow) -> str:
        if why := _not_retirable(connection, plan, person, row, at):
            return why
        if not dry:
            _retire(connection, row, name, printable(login, 200), by_hand, at)
        return ""

    return _each(connection, plan, selection, change, hold=not dry)


def retirable_at(connection: Connection, plan: PlanRow, person: MailboxRow) -> float | None:
    """From when on the old account may be disabled; None before the mailbox is verified."""
    accounts = plan.plan.accounts
    done = person.state is State.COMPLETED or (
        person.state is State.VERIFIED and not not_signable(person)
    )
    if accounts is None or not done:
        return None
    table = tables.event
    verified = connection.execute(
        select(func.max(table.c.at)).where(
            table.c.mailbox_id == person.id, table.c.action == Trigger.VERIFIED.name.lower()
        )
    ).scalar_one()
    return float(verified or person.since_at) + accounts.keep_temporary.total_seconds()


def _not_retirable(
    connection: Connection, plan: PlanRow, person: MailboxRow, row: MoveRow, at: float
) -> str:
    if row.state is not MoveState.MOVED:
        return f"its move is {row.state}"
    if row.path != Path.NEW:
        return "no account of its was renamed"
    free = retirable_at(connection, plan, person)
    if free is None:
        return f"it is {person.state}; its old account stays until it is verified"
    if at < free:
        return f"its old account is kept until {moment(plan.plan, free)}"
    return ""


def _retire(
    connection: Connection, row: MoveRow, who: str, login: str, by_hand: bool, at: float
) -> None:
    trigger = MoveTrigger.ACCOUNT_RELEASED
    figures: dict[str, Figure] = {"login": login, "by hand": int(by_hand)}
    due = None if by_hand else at
    released = advance(
        connection, row, trigger, at=at, due=due, actor=who, figures=figures, retired_by=who
    )
    if by_hand:
        end = MoveTrigger.ACCOUNT_RETIRED
        advance(connection, released, end, at=at, due=None, actor=who, retired_at=at)
        return
    lock = Lock(row.temporary)
    words = f"{told(lock)}, at the source"
    unlock = Unlock(row.temporary)
    plan_steps(
        connection,
        released,
        Part.RETIRE,
        [Planned(Side.SOURCE, Part.RETIRE.value, words, lock, unlock)],
    )


def _each(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    change: Callable[[MailboxRow, MoveRow], str],
    *,
    hold: bool = True,
) -> Result:
    """Does it for every chosen account; a text says why one is left."""
    result = Result()
    for person, row in chosen_moves(connection, plan, selection, hold=hold):
        why = "its account is left alone" if row is None else change(person, row)
        if why:
            result.left.append(Left(person.address, why))
        else:
            result.done.append(person.address)
    return result
