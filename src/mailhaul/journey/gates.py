"""Gates: places where journeys wait for a named person's yes.

`objects` (of the plan: the accounts at the target have been looked at), `go` (of each wave: switch
now), `sign off` (of the plan). What the person agrees to is composed from the figures of that
moment and kept for good; an opened gate is never closed or changed, and none opens by time.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, exists, insert, select, update

from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.journey.account_rows import advance, moves, waits_for_account
from mailhaul.journey.account_states import MoveTrigger
from mailhaul.journey.domains import domain_of, domains, held_names, hold_domains
from mailhaul.journey.events import Record, record
from mailhaul.journey.plans import PlanRow, PlanState, all_plans
from mailhaul.journey.questions import Gate, Question, ask, may_open, rounds, wave_words
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import State
from mailhaul.journey.switching import send
from mailhaul.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Opened:
    """A row of `db.tables.gate`; `round` counts how often this wave was sent: those that were
    left out the first time go the second time."""

    gate: Gate
    wave: str
    round: int
    at: float
    by: str
    login: str
    text: str


class Shut(MailhaulError):
    """The gate can't be opened now. Each line says one thing that is lacking."""

    def __init__(self, text: str, lacking: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.lacking = tuple(lacking)


class TextChanged(Shut):
    """The figures have moved on while the person was reading: ask again, with `question`."""

    def __init__(self, question: Question) -> None:
        super().__init__("the figures have changed meanwhile; read the text again")
        self.question = question


def opened(connection: Connection, plan: int) -> list[Opened]:
    """Every gate that has been opened, in the order of opening."""
    table = tables.gate
    rows = connection.execute(
        select(table)
        .where(table.c.plan_id == plan)
        .order_by(table.c.opened_at, table.c.name, table.c.wave)
    )
    found = []
    for row in rows:
        name, _, number = row.name.partition(" #")
        found.append(
            Opened(
                Gate(name),
                row.wave,
                int(number or 1),
                row.opened_at,
                row.opened_by,
                row.login,
                row.text,
            )
        )
    return found


def check_name(plan: Plan, gate: Gate, who: str) -> str:
    """The name as it is written down. Raises `BadInput` for somebody who may not open the gate."""
    name = printable(" ".join(who.split()), 100)
    if not name:
        raise BadInput(f"the gate “{gate}” is opened by a person; give a name with --as NAME")
    names = may_open(plan, gate)
    if names and name.casefold() not in {each.casefold() for each in names}:
        raise BadInput(
            f"{name} may not open the gate “{gate}”; the plan names {', '.join(names)} for it"
        )
    return name


def open_gate(
    connection: Connection,
    plan: PlanRow,
    question: Question,
    *,
    who: str,
    login: str,
    without: Collection[str] = (),
    at: float,
    despite: str = "",
) -> Opened:
    """Opens the gate that `question` is about, for good.

    `who` gives the word, from the account `login`; with `despite`, a reason, against what DNS says,
    which is kept for good too. The domains that go with a wave are switched from now on. Raises
    `Shut` with all that is lacking, `TextChanged` when what was asked is no longer what would be
    asked, `BadInput` for a name that the plan does not allow.
    """
    name = check_name(plan.plan, question.gate, who)
    # Two who open it at the same time come one after the other, and nothing moves meanwhile.
    hold_domains(connection, plan.id)
    if question.gate is Gate.ACCOUNTS:
        moves(connection, plan.id, hold=True)
    connection.execute(
        select(tables.plan.c.id).where(tables.plan.c.id == plan.id).with_for_update(key_share=True)
    ).one()
    now = ask(connection, plan, question.gate, question.wave, without, at=at, despite=despite)
    if now.lacking:
        raise Shut(f"the gate “{now.gate}” can't be opened yet", now.lacking)
    if now.text != question.text:
        raise TextChanged(now)
    number = 1 + rounds(connection, plan.id, now.gate, now.wave)
    connection.execute(
        insert(tables.gate).values(
            plan_id=plan.id,
            wave=now.wave,
            name=now.gate.value if number == 1 else f"{now.gate} #{number}",
            opened_at=at,
            opened_by=name,
            login=printable(login, 200),
            text=now.text,
        )
    )
    _leave_out(connection, now)
    if now.gate is Gate.ACCOUNTS:
        _agree(connection, plan, now, name, printable(login, 200), at)
    overrides = [
        {
            "plan_id": plan.id,
            "wave": now.wave,
            "gate": now.gate.value,
            "lacking": lacking,
            "why": printable(despite, 1000),
            "given_at": at,
            "given_by": name,
            "login": printable(login, 200),
        }
        for lacking in now.doubts
    ]
    if overrides:
        connection.execute(insert(tables.override), overrides)
    switched = [each for each in domains(connection, plan.id) if each.id in now.domains]
    send(connection, switched, now.wave, who=name, at=at)
    what = Record(
        "gate_opened",
        name,
        why=f"{now.gate} of {wave_words(now.wave)}" if now.gate is Gate.GO else now.gate.value,
        figures={
            "gate": now.gate.value,
            "wave": now.wave,
            "round": number,
            "mailboxes": len(now.mailboxes),
            "without": len(now.without),
            "login": printable(login, 200),
            **({"despite": len(now.doubts)} if now.doubts else {}),
            # So that the log's digests cover the text that was agreed to.
            "text": hashlib.sha256(now.text.encode()).hexdigest(),
        },
    )
    record(connection, plan.id, what, at)
    return Opened(now.gate, now.wave, number, at, name, printable(login, 200), now.text)


def is_open(connection: Connection, plan: PlanRow, gate: Gate, wave: str = "") -> bool:
    """Whether nothing waits for this gate any more. Mailboxes that were left out still do."""
    return may_open(plan.plan, gate) is None or rounds(connection, plan.id, gate, wave) > 0


def admissible(connection: Connection) -> list[MailboxRow]:
    """Mailboxes of all plans for which `ADMITTED` is due: checked and started, in a plan that
    runs, whose objects gate is open or which has none; not those whose account is still to be
    moved."""
    table = tables.mailbox
    found: list[MailboxRow] = []
    for plan in all_plans(connection):
        if plan.state is not PlanState.RUNNING or plan.started_at is None:
            continue
        if is_open(connection, plan, Gate.OBJECTS):
            rows = connection.execute(
                select(table)
                .where(
                    table.c.plan_id == plan.id,
                    table.c.state == State.CHECKED.value,
                    table.c.started_at.is_not(None),
                    ~waits_for_account(),
                )
                .order_by(table.c.position)
            )
            found += map(from_row, rows)
    return found


def going(connection: Connection) -> list[MailboxRow]:
    """Mailboxes of all plans for which `WENT` is due: synced, and included when a person opened
    their wave's go gate; not those whose domain is still being switched."""
    table = tables.mailbox
    sent = exists().where(
        tables.gate.c.plan_id == table.c.plan_id,
        tables.gate.c.wave == table.c.wave,
        tables.gate.c.name == Gate.GO.value,
    )
    rows = connection.execute(
        select(table)
        .join(tables.plan, tables.plan.c.id == table.c.plan_id)
        .where(
            table.c.state == State.SYNCED.value,
            table.c.left_out.is_(False),
            tables.plan.c.state == PlanState.RUNNING.value,
            sent,
        )
        .order_by(table.c.plan_id, table.c.position)
    )
    found = [*map(from_row, rows)]
    held = {plan: held_names(connection, plan) for plan in {row.plan for row in found}}
    return [row for row in found if domain_of(row.address) not in held[row.plan]]


def _agree(
    connection: Connection, plan: PlanRow, question: Question, who: str, login: str, at: float
) -> None:
    """The accounts are moved from now on, or from when the plan says."""
    accounts = plan.plan.accounts
    begin = None if accounts is None or accounts.begin is None else accounts.begin.timestamp()
    for row in moves(connection, plan.id):
        if row.mailbox in question.mailboxes:
            advance(
                connection,
                row,
                MoveTrigger.ACCOUNT_AGREED,
                at=at,
                due=max(at, begin or at),
                actor=who,
                round=row.generation + 1,
                acknowledged_at=at,
                acknowledged_by=who,
                login=login,
                text=question.text,
            )


def _leave_out(connection: Connection, question: Question) -> None:
    """Who stays behind waits for a yes of its own; who was left out before and goes now doesn't."""
    table = tables.mailbox
    for numbers, left_out in ((question.without, True), (question.mailboxes, False)):
        if question.gate is Gate.GO and numbers:
            connection.execute(
                update(table).where(table.c.id == bindparam("number")).values(left_out=left_out),
                [{"number": number} for number in numbers],
            )
