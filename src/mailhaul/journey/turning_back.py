"""The way back, as it is ordered and as it ends.

Until a mailbox is completed a named person may return it to the old system: the worker brings what
arrived on the new side to the old one, over and over until nothing can come there any more. Then
the mailbox is synced again, left out of its wave, and waits for a go of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import plural, printable
from mailhaul.db import tables
from mailhaul.dns.names import shown
from mailhaul.dns.records import Kind
from mailhaul.journey.account_rows import MoveRow, move_of, moves
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.domain_orders import recall
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domain_named, domain_of, domains, held_names
from mailhaul.journey.events import Figure, Record, record
from mailhaul.journey.gates import check_name
from mailhaul.journey.orders import EVERYTHING, Left, Result, Selection, chosen
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate
from mailhaul.journey.rows import Change, MailboxRow, move_all
from mailhaul.journey.states import SWITCHED, State, Trigger
from mailhaul.journey.switching import moment
from mailhaul.journey.zones import Standing
from mailhaul.plan.durations import duration_text
from mailhaul.providers.paths import Path

EARLY = 86400.0
"""Seconds. Records are often changed before the gate is opened, and clocks differ: what the new
side has received up to so long before counts as arrived since the switch."""

_UNSWEPT = (State.VERIFYING, State.VERIFIED, State.COMPLETED)
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
    """Returns mailboxes whose mail has been switched, and their domains; `dry` only says which.
    Raises `BadInput` for a plan that is not running, and for a name that the plan does not allow to
    open the gate go."""
    if plan.state is not PlanState.RUNNING:
        cure = "; mailhaul resume lets it go on" if plan.state is PlanState.PAUSED else ""
        raise BadInput(f"plan {plan.name} is {plan.state}{cure}")
    name = check_name(plan.plan, Gate.GO, who)
    result = Result()
    changes: list[Change] = []
    held = held_names(connection, plan.id)
    accounts = {each.mailbox: each for each in moves(connection, plan.id)}
    for row in chosen(connection, plan, selection, hold=not dry):
        # A switch that was asked for and is not made yet may have been made in part.
        waits = row.state is State.SYNCED and not row.left_out and domain_of(row.address) in held
        account = accounts.get(row.id)
        if why := _handed_over(account):
            result.left.append(Left(row.address, why))
            continue
        # Mail for a renamed account has come to the new one ever since.
        waits = waits or (row.state is State.SYNCED and _renamed(account))
        if not waits and (why := not_returnable(row)):
            result.left.append(Left(row.address, why))
            continue
        changes.append(_change(row, name, login, at))
        result.done.append(row.address)
    if not changes:
        return result
    returned = [change.row for change in changes]
    moving = _domains(connection, plan, returned)
    result.remarks += _remarks(connection, plan, returned, moving)
    renamed = [row for row in returned if _renamed(accounts.get(row.id))]
    if renamed:
        result.remarks.append(
            f"mail for {plural(len(renamed), 'mailbox', 'mailboxes')} comes to the new account "
            "until that is taken back: mailhaul accounts undo, once they are synced again"
        )
    if dry:
        return result
    recall(connection, plan, moving, who=name, at=at)
    move_all(connection, changes, at=at, actor=name)
    figures: dict[str, Figure] = {"mailboxes": len(returned), "domains": len(moving)}
    figures["login"] = printable(login, 200)
    why = printable("; ".join(result.remarks), 1000)
    record(connection, plan.id, Record("way_back", name, why=why, figures=figures), at)
    return result


def _renamed(account: MoveRow | None) -> bool:
    return account is not None and account.was is MoveState.MOVED and account.path == Path.NEW


def _handed_over(account: MoveRow | None) -> str:
    """Why there is no old account any more to which mail could go; empty where there is."""
    if account is None or account.was is MoveState.WAITING:
        return ""
    if account.path == Path.LEGACY and account.moved_at is not None:
        return "its account was handed over to its provider, and nothing takes that back"
    if account.was in (MoveState.RETIRING, MoveState.RETIRED):
        return "its old account is disabled"
    return ""


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


def _domains(connection: Connection, plan: PlanRow, rows: Sequence[MailboxRow]) -> list[DomainRow]:
    """The domains of those mailboxes whose old records are to be brought back."""
    names = {domain_of(row.address) for row in rows}
    moved = (DomainState.SWITCHING, DomainState.SWITCHED)
    return [row for row in domains(connection, plan.id) if row.name in names and row.was in moved]


def _remarks(
    connection: Connection,
    plan: PlanRow,
    returned: Sequence[MailboxRow],
    moving: Sequence[DomainRow],
) -> list[str]:
    """Who brings the records back, and whom that concerns besides."""
    sweeps = duration_text(plan.plan.sweeps.for_)
    known = {row.name for row in domains(connection, plan.id)}
    remarks = [f"{shown(row.name)}: its old records are brought back" for row in moving]
    others = {domain_of(row.address) for row in returned} - known
    if plan.plan.dns is None or others:
        whose = f" of {', '.join(map(shown, sorted(others)))}" if plan.plan.dns else ""
        remarks.append(
            f"the plan knows no records{whose}: bring back the old ones yourself, now; what still "
            f"comes to the new system is carried back for {sweeps} at least"
        )
    ids = {row.id for row in returned}
    staying = [row for row in chosen(connection, plan, EVERYTHING) if row.id not in ids]
    for row in moving:
        here = [each for each in staying if domain_of(each.address) == row.name]
        swept = [each for each in here if each.state in (State.FINAL, State.SWEEPING)]
        alone = [each for each in here if each.state in _UNSWEPT]
        if swept:
            remarks.append(
                f"{shown(row.name)}: mail for {plural(len(swept), 'mailbox', 'mailboxes')} that "
                "stay at the new system comes in at the old one too; sweeps go on carrying it"
            )
        if alone:
            remarks.append(
                f"{shown(row.name)}: mail for {plural(len(alone), 'mailbox', 'mailboxes')} that "
                "are verified or completed comes in at the old system again, and nobody carries it "
                "from there; return them too, or have them swept (mailhaul sync)"
            )
    return remarks


def _change(row: MailboxRow, name: str, login: str, at: float) -> Change:
    values = {
        **{"sweeps": 0, "quiet_sweeps": 0, "failures": 0},
        # What was compared is no longer so.
        **{"grade": "", "approved_by": None, "approved_at": None},
    }
    figures = {"login": printable(login, 200)}
    return Change(row, Trigger.TURNED_BACK, at, f"way back for {name}", values, figures)


def arrivals_since(connection: Connection, row: MailboxRow) -> datetime:
    """From when on what the new side received counts as arrived there: when the mailbox went, or
    the gate was opened if it came no further, and `EARLY` before."""
    gate = tables.gate
    went = _went(connection, row)
    if went is None:
        went = connection.execute(
            select(func.max(gate.c.opened_at)).where(
                gate.c.plan_id == row.plan,
                gate.c.wave == row.wave,
                gate.c.name.startswith(Gate.GO.value),
            )
        ).scalar_one()
    account = move_of(connection, row.id)
    if account is not None and account.moved_at is not None:
        # From its move on mail has come there, whatever was switched later.
        begun = account.nowhere_from or account.acknowledged_at or account.moved_at
        went = begun if went is None else min(went, begun)
    return datetime.fromtimestamp(max(0.0, (went or EARLY) - EARLY), UTC)


def _went(connection: Connection, row: MailboxRow) -> float | None:
    """When the mailbox's mail was switched last; None: it never was."""
    table = tables.event
    found: float | None = connection.execute(
        select(func.max(table.c.at)).where(
            table.c.mailbox_id == row.id, table.c.action == Trigger.WENT.name.lower()
        )
    ).scalar_one()
    return found


def still_coming(connection: Connection, plan: PlanRow, row: MailboxRow, now: float) -> str:
    """Why mail may still come to the new side; empty when it can't any more."""
    there = None
    if _renamed(move_of(connection, row.id)) and not _went(connection, row):
        # It comes there until the account is taken back, which is another order.
        return ""
    if plan.plan.dns is not None:
        there = domain_named(connection, plan.id, domain_of(row.address))
    if there is None:
        return _until_over(plan, row, now)
    name, why = shown(there.name), f": {there.reason}" if there.reason else ""
    match there.was:
        case DomainState.RETURNING:
            return f"the old records of {name} do not stand again yet{why}"
        case DomainState.SWITCHING | DomainState.SWITCHED:
            return f"the records of {name} lead to the new system"
        case DomainState.WATCHED:
            return ""
    said, until = _still_new(connection, plan, there)
    if said:
        return f"not every server says old of {name}: {', '.join(said)}"
    until = max(until, there.released_at or 0.0)
    if now < until:
        return f"caches may hold the new records of {name} until {moment(plan.plan, until)}"
    return ""


def _still_new(connection: Connection, plan: PlanRow, there: DomainRow) -> tuple[list[str], float]:
    """Which servers named the new system when last looked at, and by when every cache has let go
    of what one was ever seen to say since the return."""
    assert plan.plan.dns is not None
    table = tables.look
    rows = connection.execute(
        select(table.c.server, table.c.last_at, table.c.ttl).where(
            table.c.domain_id == there.id,
            (table.c.name == there.name) & (table.c.kind == Kind.MX.value),
            table.c.standing.in_([Standing.NEW.value, Standing.MIXED.value]),
            table.c.last_at >= (there.returned_at or 0.0),
        )
    ).all()
    usual = plan.plan.dns.ttl.total_seconds()
    until = [row.last_at + (usual if row.ttl is None else row.ttl) for row in rows]
    said = {row.server for row in rows if row.last_at == there.looked_at}
    return sorted(said), max(until, default=0.0)


def _until_over(plan: PlanRow, row: MailboxRow, now: float) -> str:
    """Nobody looks at DNS: as long as sweeps would be made."""
    over = row.since_at + plan.plan.sweeps.for_.total_seconds()
    if now >= over:
        return ""
    until = moment(plan.plan, over)
    return f"nobody here knows when the last mail comes to the new system; looked for until {until}"
