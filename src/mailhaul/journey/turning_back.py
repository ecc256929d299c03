"""The way back, as it is ordered and as it ends.

Until a mailbox is completed a named person may return it to the old system: the worker brings what
arrived on the new side to the old one, over and over until nothing can come there any more. Then
the mailbox is synced again, left out of its wave, and waits for a go of its own.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.journey.events import Record, record
from mailhaul.journey.gates import check_name
from mailhaul.journey.orders import Left, Result, Selection, chosen
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate
from mailhaul.journey.rows import Change, MailboxRow, move_all
from mailhaul.journey.states import SWITCHED, State, Trigger
from mailhaul.plan.durations import duration_text

EARLY = 86400.0
"""Seconds. Records are often changed before the gate is opened, and clocks differ: what the new
side has received up to so long before counts as arrived since the switch."""

_RESTING = (State.PAUSED, State.FAILED)


def turn_back(
    connection: Connection,
    plan: PlanRow,
    selection: Selection,
    *,
    who: str,
    login: str,
    at: float,
    dry: bool = False,
) -> Result:
    """Returns mailboxes whose mail has been switched; `dry` only says which. Raises `BadInput` for a plan that is not
    running, and for a name that the plan does not allow to open the gate go."""
    if plan.state is not PlanState.RUNNING:
        cure = "; mailhaul resume lets it go on" if plan.state is PlanState.PAUSED else ""
        raise BadInput(f"plan {plan.name} is {plan.state}{cure}")
    name = check_name(plan.plan, Gate.GO, who)
    result = Result()
    changes = []
    for row in chosen(connection, plan, selection, hold=not dry):
        if why := not_returnable(row):
            result.left.append(Left(row.address, why))
            continue
        changes.append(_change(row, name, login, at))
        result.done.append(row.address)
    if not changes:
        return result
    result.remarks += records_remarks(plan)
    if dry:
        return result
    move_all(connection, changes, at=at, actor=name)
    what = Record(
        "way_back",
        name,
        why=printable("; ".join(result.remarks), 1000),
        figures={"mailboxes": len(changes), "login": printable(login, 200)},
    )
    record(connection, plan.id, what, at)
    return result


def not_returnable(row: MailboxRow) -> str:
    """Why there is no way back for the mailbox now; empty where there is."""
    if row.refused_secret is not None:
        return "its credentials were refused; give others first, and it goes on by itself"
    was = row.resume_state if row.state in _RESTING else row.state
    if was in SWITCHED:
        return ""
    if row.state is State.RETURNING or was is State.RETURNING:
        return "it is on its way back already"
    if row.state is State.COMPLETED:
        return "it is completed: there is no way back any more"
    if row.state is State.UNDOING:
        return "passes of it are being undone; wait for that"
    return f"it is {row.state}: its mail has not been switched"


def records_remarks(plan: PlanRow) -> list[str]:
    """Who brings back the records."""
    if plan.plan.dns is not None:
        return []
    sweeps = duration_text(plan.plan.sweeps.for_)
    return [
        "the plan has no [dns]: bring back the old records yourself, now; what still comes to the "
        f"new system is carried back for {sweeps} at least"
    ]


def _change(row: MailboxRow, name: str, login: str, at: float) -> Change:
    values = {
        **{"sweeps": 0, "quiet_sweeps": 0, "failures": 0},
        # What was compared is no longer so.
        **{"grade": "", "approved_by": None, "approved_at": None},
    }
    figures = {"login": printable(login, 200)}
    return Change(row, Trigger.TURNED_BACK, at, f"way back for {name}", values, figures)


def arrivals_since(connection: Connection, row: MailboxRow) -> datetime:
    """From when on what the new side received counts as arrived there: when the mailbox went, and
    `EARLY` before."""
    table = tables.event
    went = connection.execute(
        select(func.max(table.c.at)).where(
            table.c.mailbox_id == row.id, table.c.action == Trigger.WENT.name.lower()
        )
    ).scalar_one()
    begun = row.started_at or 0.0 if went is None else float(went) - EARLY
    return datetime.fromtimestamp(max(0.0, begun), UTC)


def still_coming(connection: Connection, plan: PlanRow, row: MailboxRow, now: float) -> str:
    """Why mail may still come to the new side; empty when it can't any more."""
    return _until_over(plan, row, now)


def _until_over(plan: PlanRow, row: MailboxRow, now: float) -> str:
    """Nobody looks at DNS: as long as sweeps would be made."""
    over = row.since_at + plan.plan.sweeps.for_.total_seconds()
    if now >= over:
        return ""
    until = datetime.fromtimestamp(over, plan.plan.zone).strftime("%Y-%m-%d %H:%M %Z")
    return f"nobody here knows when the last mail comes to the new system; looked for until {until}"
