"""What waits for what in a plan, and what a person can do about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from sqlalchemy import Connection, func, select

from mailhaul.db import tables
from mailhaul.dns.names import shown
from mailhaul.journey.account_rows import moves, moves_accounts
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import domain_of, domains, held_names
from mailhaul.journey.gates import Opened
from mailhaul.journey.hours import opens
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate, may_open, wave_words
from mailhaul.journey.states import ENDED, State
from mailhaul.journey.switching import still_old_of

SHOWN = 3
"""So many accounts are named as examples."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something waits: how many mailboxes, for what, and what a person can do about it."""

    what: str
    mailboxes: int
    cure: str = ""
    examples: tuple[str, ...] = ()


def what_waits(
    connection: Connection,
    plan: PlanRow,
    count: Mapping[State, int],
    gates: Sequence[Opened],
    at: float,
) -> list[Wait]:
    """What the plan's mailboxes wait for, given how many are in which state and what is open."""
    waits = []
    if plan.state is PlanState.PAUSED:
        waits.append(Wait("the plan is paused", 0, "mailhaul resume"))
    waits += _unstarted(connection, plan)
    waits += _accounts(connection, plan)
    waits += _shut(connection, plan, count, gates)
    waits += _returning(connection, plan)
    waits += _reasons(connection, plan)
    waits += _domains(connection, plan, at)
    due = opens(plan.plan.hours, plan.plan.zone, at)
    if due > at and (copying := count.get(State.READY, 0) + count.get(State.COPYING, 0)):
        waits.append(Wait("the working hours to begin", copying))
    return waits


def _unstarted(connection: Connection, plan: PlanRow) -> list[Wait]:
    table = tables.mailbox
    idle = connection.execute(
        select(func.count()).where(
            table.c.plan_id == plan.id,
            table.c.started_at.is_(None),
            table.c.state.in_([State.PLANNED.value, State.CHECKED.value]),
        )
    ).scalar_one()
    return [Wait("to be started", idle, "mailhaul start")] if idle else []


def _accounts(connection: Connection, plan: PlanRow) -> list[Wait]:
    """Mailboxes whose accounts are to be moved first."""
    if not moves_accounts(plan.plan):
        return []
    rows = [row for row in moves(connection, plan.id) if row.person not in ENDED]
    waiting = [row for row in rows if row.state is MoveState.WAITING]
    ready = [row for row in waiting if row.ready]
    waits = []
    if ready:
        names = may_open(plan.plan, Gate.ACCOUNTS)
        who = f", by {' or '.join(names)}" if names else ""
        cure = f"mailhaul accounts move --go --as NAME{who}"
        waits.append(Wait(f"the gate “{Gate.ACCOUNTS}”", len(ready), cure))
    for what, found, cure in (
        (
            "what is in the way of their accounts",
            [row for row in waiting if not row.ready and row.looked_at is not None],
            "mailhaul accounts check",
        ),
        (
            "their accounts, which are being moved",
            [row for row in rows if row.state in (MoveState.MOVING, MoveState.UNDOING)],
            "",
        ),
        (
            "a person, for their accounts could not be moved",
            [row for row in rows if row.state in (MoveState.FAILED, MoveState.UNDONE)],
            "mailhaul accounts status, and mailhaul accounts retry",
        ),
    ):
        if found:
            names = tuple(row.address for row in found[:SHOWN])
            waits.append(Wait(what, len(found), cure, names))
    return waits


def _shut(
    connection: Connection, plan: PlanRow, count: Mapping[State, int], gates: Sequence[Opened]
) -> list[Wait]:
    """Mailboxes that stand before a gate."""
    waits = []
    model = plan.plan
    objects = any(each.gate is Gate.OBJECTS for each in gates)
    if may_open(model, Gate.OBJECTS) is not None and not objects and count.get(State.CHECKED, 0):
        waits.append(_before(plan, Gate.OBJECTS, count[State.CHECKED]))
    table = tables.mailbox
    sent = {each.wave for each in gates if each.gate is Gate.GO}
    synced = connection.execute(
        select(table.c.wave, table.c.left_out, func.count().label("mailboxes"))
        .where(table.c.plan_id == plan.id, table.c.state == State.SYNCED.value)
        .group_by(table.c.wave, table.c.left_out)
        .order_by(table.c.wave, table.c.left_out)
    )
    waits += [
        _before(plan, Gate.GO, row.mailboxes, row.wave)
        for row in synced
        if row.left_out or row.wave not in sent
    ]
    if verified := count.get(State.VERIFIED, 0):
        waits.append(_before(plan, Gate.SIGN_OFF, verified))
    return waits


def _before(plan: PlanRow, gate: Gate, mailboxes_there: int, wave: str | None = None) -> Wait:
    names = may_open(plan.plan, gate)
    who = f", by {' or '.join(names)}" if names else ""
    what = f"the gate “{gate}”" + ("" if wave is None else f" of {wave_words(wave)}")
    option = f" --wave {quote(wave)}" if wave else ""
    order = "complete" if gate is Gate.SIGN_OFF else f"approve --gate {gate}{option}"
    return Wait(what, mailboxes_there, f"mailhaul {order} --as NAME{who}")


def _domains(connection: Connection, plan: PlanRow, at: float) -> list[Wait]:
    """What is to be said of the plan's domains: who waits for their switch, what went wrong, and
    why sweeps go on."""
    if plan.plan.dns is None:
        return []
    waits = []
    held = held_names(connection, plan.id)
    table = tables.mailbox
    counts = Counter(
        (domain_of(row.address), row.state)
        for row in connection.execute(
            select(table.c.address, table.c.state).where(
                table.c.plan_id == plan.id,
                table.c.state.in_([State.SYNCED.value, State.SWEEPING.value]),
            )
        )
    )
    for row in domains(connection, plan.id):
        name = shown(row.name)
        failed = row.state is DomainState.FAILED
        said = f": {row.reason}" if row.reason else ""
        if row.name in held:
            cure = "mend it, then mailhaul retry" if failed else ""
            waiting = counts[row.name, State.SYNCED.value]
            waits.append(Wait(f"the switch of {name}{said}", waiting, cure))
        elif failed:
            waits.append(Wait(f"the return of {name}{said}", 0, "mend it, then mailhaul retry"))
        elif row.state is DomainState.RETURNING:
            waits.append(Wait(f"the return of {name}{said}", 0))
        elif row.reason:
            waits.append(Wait(f"{name}: {row.reason}", 0, "mailhaul cutover shows what is seen"))
        swept = counts[row.name, State.SWEEPING.value]
        if swept and (old := still_old_of(connection, row, at, plan.plan)):
            waits.append(Wait(f"sweeps go on: {old}", swept))
    return waits


def _returning(connection: Connection, plan: PlanRow) -> list[Wait]:
    """Why passes back go on."""
    table = tables.mailbox
    rows = connection.execute(
        select(table.c.reason, func.count().label("mailboxes"))
        .where(
            table.c.plan_id == plan.id,
            table.c.state == State.RETURNING.value,
            table.c.reason != "",
        )
        .group_by(table.c.reason)
        .order_by(func.count().desc(), table.c.reason)
        .limit(50)
    )
    return [Wait(f"the way back goes on: {row.reason}", row.mailboxes) for row in rows]


CURES = {
    State.WAITING: "change what its secret refers to; it goes on by itself",
    State.BLOCKED: "mend it, then mailhaul retry",
    State.FAILED: "mend it, then mailhaul retry",
    State.PAUSED: "mailhaul resume",
    State.UNDOING: "mend it, then mailhaul retry",
}


def _reasons(connection: Connection, plan: PlanRow) -> list[Wait]:
    """What waits for a person, most frequent reason first."""
    table = tables.mailbox
    resting = [state.value for state in CURES if state is not State.UNDOING]
    stuck = table.c.state.in_(resting) | (
        (table.c.state == State.UNDOING.value) & table.c.due_at.is_(None)
    )
    grouped = (
        select(
            table.c.state,
            table.c.reason,
            func.count().label("mailboxes"),
            func.min(table.c.address).label("first"),
            func.max(table.c.address).label("last"),
        )
        .where(table.c.plan_id == plan.id, stuck)
        .group_by(table.c.state, table.c.reason)
        .order_by(func.count().desc(), table.c.state, table.c.reason)
        .limit(50)
    )
    waits = []
    for row in connection.execute(grouped):
        state = State(row.state)
        what = f"{state}: {row.reason}" if row.reason else state.value
        waits.append(
            Wait(what, row.mailboxes, CURES[state], tuple(dict.fromkeys((row.first, row.last))))
        )
    return waits
