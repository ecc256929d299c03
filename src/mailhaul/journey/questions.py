"""What a person is asked at a gate, composed from the figures of that moment, and what is lacking
before the answer can be yes. `gates` asks and keeps the answer."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, or_, select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.journey.account_questions import asked_about
from mailhaul.journey.account_rows import moves_accounts
from mailhaul.journey.bulk import gate_lines
from mailhaul.journey.grades import Grade, may_be_signed
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import ENDED, State
from mailhaul.journey.switching import doubts, switched_with, words
from mailhaul.plan.durations import duration_text
from mailhaul.plan.model import Plan

SHOWN = 10
"""So many mailboxes are named; of the rest only the number is told."""


class Gate(StrEnum):
    OBJECTS = "objects"
    GO = "go"
    SIGN_OFF = "sign off"
    ACCOUNTS = "accounts"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked. While `lacking` names anything, the answer can't be yes."""

    gate: Gate
    wave: str
    text: str
    lacking: tuple[str, ...] = ()
    mailboxes: tuple[int, ...] = ()
    """Whom it is about: ids."""
    without: tuple[int, ...] = ()
    doubts: tuple[str, ...] = ()
    """What DNS says against it, and a named person has decided to go despite."""
    domains: tuple[int, ...] = ()
    """Domains (ids) that are switched with it."""


def may_open(plan: Plan, gate: Gate) -> tuple[str, ...] | None:
    """Who may open it; nobody by name means anybody who gives one. None: there is no such gate."""
    match gate:
        case Gate.OBJECTS:
            return plan.gates.objects
        case Gate.GO:
            return plan.gates.go
        case Gate.SIGN_OFF:
            return plan.gates.sign_off
        case Gate.ACCOUNTS:
            return plan.gates.accounts if moves_accounts(plan) else None


def ask(
    connection: Connection,
    plan: PlanRow,
    gate: Gate,
    wave: str = "",
    without: Collection[str] = (),
    *,
    at: float | None = None,
    despite: str = "",
) -> Question:
    """What a person would agree to now, and what is lacking for it.

    `at` is the present moment, which a plan with [dns] needs. `despite` is the reason for which a
    wave goes although DNS speaks against it: what does is part of the text then. `without` are
    addresses of mailboxes that are to stay behind when the wave goes, or whose accounts are to stay
    for now. Raises `BadInput` for a gate, wave or address that the plan hasn't got.
    """
    if may_open(plan.plan, gate) is None:
        raise BadInput(f"plan {plan.name} has no gate “{gate}”; nothing waits for it")
    if (wave and gate is not Gate.GO) or (without and gate not in (Gate.GO, Gate.ACCOUNTS)):
        raise BadInput(f"the gate “{gate}” is the whole plan's; leave --wave and --without out")
    match gate:
        case Gate.OBJECTS:
            question = _objects(connection, plan)
        case Gate.GO:
            question = _go(connection, plan, wave, without, at, despite)
        case Gate.SIGN_OFF:
            question = _sign_off(connection, plan)
        case Gate.ACCOUNTS:
            question = _accounts(connection, plan, without)
    lacking = [*_plan_lacks(plan), *question.lacking]
    return replace(question, lacking=tuple(lacking))


def _plan_lacks(plan: PlanRow) -> list[str]:
    if plan.state is not PlanState.RUNNING:
        return [f"plan {plan.name} is {plan.state}"]
    return [] if plan.started_at is not None else [f"plan {plan.name} has not been started"]


def _objects(connection: Connection, plan: PlanRow) -> Question:
    rows = [row for row in _mailboxes(connection, plan.id) if row.state not in ENDED]
    lacking = _named([row for row in rows if row.state is State.PLANNED], "not checked yet")
    if found := rounds(connection, plan.id, Gate.OBJECTS, ""):
        assert found == 1
        lacking = ["it is open already"]
    text = [f"The accounts of plan {plan.name} at {plan.plan.target.url} have been looked at."]
    text += _counted(rows, "mailbox", "mailboxes")
    text += _named([row for row in rows if row.state is State.BLOCKED], "blocked")
    text += gate_lines(connection, plan)
    text += ["With this yes the initial copy begins."]
    return Question(
        Gate.OBJECTS, "", "\n".join(text), tuple(lacking), tuple(row.id for row in rows)
    )


def _go(
    connection: Connection,
    plan: PlanRow,
    wave: str,
    without: Collection[str],
    at: float | None,
    despite: str,
) -> Question:
    every = _mailboxes(connection, plan.id, wave)
    if not every:
        raise BadInput(f"plan {plan.name} has no mailbox in {wave_words(wave)}")
    again = rounds(connection, plan.id, Gate.GO, wave) > 0
    rows = [row for row in every if row.state not in ENDED and (row.left_out or not again)]
    unknown = set(without) - {row.address for row in rows}
    if unknown:
        raise BadInput(
            f"--without {printable(min(unknown), 100)}: no such mailbox waits in {wave_words(wave)}"
        )
    staying = [row for row in rows if row.address in without]
    asked = [row for row in rows if row.address not in without]
    going_now = [row for row in asked if row.state is State.SYNCED]
    lacking = [
        f"{row.address} is {row.state}{_because(row)}"
        for row in asked
        if row.state is not State.SYNCED
    ]
    if not going_now:
        lacking.append("it is open already" if again and not rows else "no mailbox would go")
    oldest = _oldest_pass(connection, going_now)
    text = [f"Go for {wave_words(wave)} of plan {plan.name}."]
    text += _counted(going_now, "mailbox is synced", "mailboxes are synced")
    if oldest is not None:
        text += [f"Each has been brought up to date since {_moment(plan.plan, oldest)}."]
    text += _named(staying, "left out")
    going_ids, staying_ids = {row.id for row in going_now}, {row.id for row in staying}
    switched = switched_with(connection, plan, going_ids, staying_ids)
    text += words(plan, switched, staying)
    against: list[str] = []
    if switched:
        assert at is not None
        against = doubts(connection, plan, switched, at)
    if against and despite:
        text += ["Against it speaks:", *against, f"It goes nonetheless: {printable(despite, 500)}"]
    else:
        lacking += against
    text += [
        "With this yes mail is switched to the new system: the final pass runs now, sweeps follow "
        f"every {duration_text(plan.plan.sweeps.every)} for "
        f"{duration_text(plan.plan.sweeps.for_)}, and nothing is removed at the target any more."
    ]
    return Question(
        Gate.GO,
        wave,
        "\n".join(text),
        tuple(lacking),
        tuple(row.id for row in going_now),
        tuple(row.id for row in staying),
        doubts=tuple(against) if despite else (),
        domains=tuple(row.id for row in switched),
    )


def _sign_off(connection: Connection, plan: PlanRow) -> Question:
    every = _mailboxes(connection, plan.id)
    rows = [row for row in every if row.state not in (State.CANCELLED, State.ROLLED_BACK)]
    lacking = [
        f"{row.address} is {row.state}{_because(row)}"
        for row in rows
        if row.state not in (State.VERIFIED, State.COMPLETED)
    ]
    lacking += [
        f"{row.address}: {why}"
        for row in rows
        if row.state is State.VERIFIED and (why := not_signable(row))
    ]
    if rounds(connection, plan.id, Gate.SIGN_OFF, ""):
        lacking = ["it is open already"]
    elif not rows:
        lacking.append("no mailbox is left in it")
    text = [f"Sign-off of plan {plan.name}."]
    text += _counted(rows, "mailbox is verified", "mailboxes are verified")
    grades = [(grade, sum(row.grade == grade for row in rows)) for grade in Grade]
    text += ["Grades: " + ", ".join(f"{count} {grade}" for grade, count in grades if count) + "."]
    for row in rows:
        if row.grade == Grade.INVESTIGATE and row.approved_by is not None:
            text.append(f"{row.address}: approved by {row.approved_by}.")
    gone = [row for row in every if row not in rows]
    text += _named(gone, "cancelled")
    text += ["With this yes the plan is complete; nothing is carried any more."]
    return Question(
        Gate.SIGN_OFF, "", "\n".join(text), tuple(lacking), tuple(row.id for row in rows)
    )


def _accounts(connection: Connection, plan: PlanRow, without: Collection[str]) -> Question:
    rows = _mailboxes(connection, plan.id)
    unknown = set(without) - {row.address for row in rows}
    if unknown:
        raise BadInput(f"--without {printable(min(unknown), 100)}: no such mailbox is in the plan")
    text, lacking, going, staying = asked_about(connection, plan, rows, without)
    return Question(
        Gate.ACCOUNTS,
        "",
        "\n".join(text),
        tuple(lacking),
        tuple(row.mailbox for row in going),
        tuple(row.mailbox for row in staying),
    )


def not_signable(row: MailboxRow) -> str:
    """Why a verified mailbox can't be signed off; empty when it can."""
    if may_be_signed(row.grade, row.approved_by is not None):
        return ""
    if row.grade == Grade.INVESTIGATE:
        return "its grade is investigate and nobody has approved it"
    return f"its grade is {row.grade or 'none'}, which can't be approved; sync and verify it again"


def wave_words(wave: str) -> str:
    """A wave for people."""
    return f"wave “{wave}”" if wave else "the mailboxes without a wave"


def rounds(connection: Connection, plan: int, gate: Gate, wave: str) -> int:
    table = tables.gate
    return connection.execute(
        select(func.count()).where(
            table.c.plan_id == plan,
            table.c.wave == wave,
            or_(table.c.name == gate.value, table.c.name.startswith(f"{gate} #")),
        )
    ).scalar_one()


def _mailboxes(connection: Connection, plan: int, wave: str | None = None) -> list[MailboxRow]:
    table = tables.mailbox
    query = select(table).where(table.c.plan_id == plan).order_by(table.c.position, table.c.id)
    if wave is not None:
        query = query.where(table.c.wave == wave)
    return [*map(from_row, connection.execute(query))]


def _oldest_pass(connection: Connection, rows: Sequence[MailboxRow]) -> float | None:
    """When the last pass of the mailbox whose last pass is longest ago began."""
    if not rows:
        return None
    table, passes = tables.mailbox, tables.passes
    first = rows[0]
    wanted = {row.id for row in rows}
    began = connection.execute(
        select(table.c.id, passes.c.began_at)
        .join(passes, (passes.c.mailbox_id == table.c.id) & (passes.c.number == table.c.passes))
        .where(table.c.plan_id == first.plan, table.c.wave == first.wave)
    )
    return min((row.began_at for row in began if row.id in wanted), default=None)


def _counted(rows: Sequence[MailboxRow], one: str, many: str) -> list[str]:
    """What the rows hold, as lines."""
    names = ("copied", "adopted", "skipped", "refused", "missing")
    parts = [(name, sum(getattr(row, name) for row in rows)) for name in names]
    octets = sum(row.octets for row in rows)
    lines = [f"{len(rows)} {one if len(rows) == 1 else many}."]
    if any(row.census for row in rows):
        what = ", ".join(f"{count} {name}" for name, count in parts if count)
        lines.append(
            f"Messages: {sum(row.census for row in rows)}, of which {what or 'none known'}; "
            f"{octets:,} octets carried."
        )
    return lines


def _named(rows: Sequence[MailboxRow], what: str) -> list[str]:
    """`2 blocked: a, b`, or nothing."""
    if not rows:
        return []
    names = ", ".join(row.address for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return [f"{len(rows)} {what}: {names}{more}"]


def _because(row: MailboxRow) -> str:
    return f" ({row.reason})" if row.reason else ""


def _moment(plan: Plan, at: float) -> str:
    return datetime.fromtimestamp(at, plan.zone).strftime("%Y-%m-%d %H:%M %Z")
