"""What people order about domains and the night of the switch: records back, another try, the end
of sweeps, and that a step which nobody can see is done. As `orders` is for mailboxes."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.dns.names import domain_name, shown
from mailhaul.journey.domain_states import DomainState, DomainTrigger, domain_follows
from mailhaul.journey.domains import DomainRow, domain_of, domains, hold_domains, move_domain
from mailhaul.journey.events import Figure, Record, record
from mailhaul.journey.gates import check_name
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate
from mailhaul.journey.rows import MailboxRow, from_row, write
from mailhaul.journey.states import State
from mailhaul.journey.switching import SWEEPS, still_old

LANDED = 60.0
"""Seconds after which a switch that was under way has come to its end, one way or the other."""
_RECALLABLE = (DomainState.SWITCHING, DomainState.SWITCHED, DomainState.FAILED)


def chosen_domains(
    connection: Connection, plan: PlanRow, names: Collection[str] = ()
) -> list[DomainRow]:
    """The plan's domains of those names, all when none is named. Raises `BadInput` for one that it
    hasn't got."""
    rows = domains(connection, plan.id)
    if not names:
        return rows
    wanted = [domain_name(name) for name in names]
    for name in wanted:
        if all(row.name != name for row in rows):
            raise BadInput(f"plan {plan.name} has no domain {shown(name)}")
    return [row for row in rows if row.name in wanted]


def recall(
    connection: Connection,
    plan: PlanRow,
    rows: Sequence[DomainRow],
    *,
    who: str,
    at: float,
) -> list[DomainRow]:
    """Has the worker bring the old records of those domains back; which of them it will. Mailboxes
    that waited for a switch wait for a go of their own from then on. Raises `BadInput` for a plan
    that is completed, and for a name that may not say go."""
    if plan.state is PlanState.COMPLETED:
        raise BadInput(f"plan {plan.name} is completed; nothing of it is returned any more")
    name = check_name(plan.plan, Gate.GO, who)
    hold_domains(connection, plan.id)
    _leave_out(connection, plan, rows)
    recalled = []
    for row in rows:
        if row.state in _RECALLABLE:
            # An update that is on its way now must not land behind the one that takes it back.
            due = at + LANDED if row.state is DomainState.SWITCHING else at
            trigger = DomainTrigger.DOMAIN_RECALLED
            recalled.append(
                move_domain(connection, row, trigger, at=at, due=due, actor=name, failures=0)
            )
    return recalled


def retry_domains(
    connection: Connection, plan: PlanRow, *, at: float, actor: str
) -> list[DomainRow]:
    """Tries again where switching or returning could not go on; which domains."""
    return [
        move_domain(
            connection, row, DomainTrigger.DOMAIN_RETRIED, at=at, due=at, actor=actor, failures=0
        )
        for row in domains(connection, plan.id)
        if domain_follows(row.state, DomainTrigger.DOMAIN_RETRIED, row.resume_state) is not None
    ]


def end_sweeps(
    connection: Connection,
    plan: PlanRow,
    wave: str,
    *,
    who: str,
    login: str,
    why: str,
    at: float,
) -> list[str]:
    """Ends the sweeps of a wave by a named person's word, against the evidence: one more runs now
    for each mailbox that is swept, and is its last. Their addresses; kept with the reason. Raises
    `BadInput` without a reason, for a name that may not say go, and where nothing is swept."""
    name = check_name(plan.plan, Gate.GO, who)
    login = printable(login, 200)
    reason = printable(" ".join(why.split()), 500)
    if not reason:
        raise BadInput("sweeps are ended early for a reason; give it with --despite REASON")
    table = tables.mailbox
    rows = [
        from_row(row)
        for row in connection.execute(
            select(table)
            .where(
                table.c.plan_id == plan.id,
                table.c.wave == wave,
                table.c.state == State.SWEEPING.value,
            )
            .order_by(table.c.position, table.c.id)
            .with_for_update(key_share=True)
        )
    ]
    if not rows:
        raise BadInput(f"no mailbox of wave “{printable(wave, 100)}” is being swept")
    lacking = _lacking(connection, plan, rows, at)
    connection.execute(
        insert(tables.override).values(
            plan_id=plan.id,
            wave=wave,
            gate=SWEEPS,
            lacking=printable("; ".join(lacking), 1000),
            why=reason,
            given_at=at,
            given_by=name,
            login=login,
        )
    )
    for row in rows:
        write(connection, row, due_at=at, step=row.step + 1)
    figures: dict[str, Figure] = {"wave": wave, "mailboxes": len(rows), "login": login}
    record(connection, plan.id, Record("sweeps_ended", name, why=reason, figures=figures), at)
    return [row.address for row in rows]


def say_done(
    connection: Connection,
    plan: PlanRow,
    wave: str,
    key: str,
    *,
    who: str,
    login: str,
    note: str = "",
    at: float,
) -> bool:
    """Writes down that a step of the runbook is done, by the word of `who`; false when somebody has
    said so before. Which steps there are is for `runbook`."""
    name = check_name(plan.plan, Gate.GO, who)
    table = tables.step
    here = (table.c.plan_id == plan.id) & (table.c.wave == wave) & (table.c.key == key)
    if connection.execute(select(table.c.key).where(here)).first() is not None:
        return False
    connection.execute(
        insert(table).values(
            plan_id=plan.id,
            wave=wave,
            key=key,
            done_at=at,
            done_by=name,
            login=printable(login, 200),
            note=printable(note, 500),
        )
    )
    figures = {"step": key, "wave": wave, "login": printable(login, 200)}
    record(connection, plan.id, Record("step_done", name, why=key, figures=figures), at)
    return True


def _leave_out(connection: Connection, plan: PlanRow, rows: Sequence[DomainRow]) -> None:
    """Nobody goes by the word that was given for a switch that is not made."""
    held = {row.name for row in rows if row.was is DomainState.SWITCHING}
    if not held:
        return
    table = tables.mailbox
    waiting = connection.execute(
        select(table.c.id, table.c.address)
        .where(table.c.plan_id == plan.id, table.c.state == State.SYNCED.value)
        .order_by(table.c.position, table.c.id)
    )
    ids = [row.id for row in waiting if domain_of(row.address) in held]
    if ids:
        connection.execute(
            update(table).where(table.c.id == bindparam("number")).values(left_out=True),
            [{"number": number} for number in ids],
        )


def _lacking(
    connection: Connection, plan: PlanRow, rows: Sequence[MailboxRow], at: float
) -> list[str]:
    """What speaks against the end, each once."""
    found = [still_old(connection, plan, row, at) for row in rows]
    return [each for each in dict.fromkeys(found) if each] or ["the sweeps' time is not over"]
