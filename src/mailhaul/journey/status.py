"""How a plan stands: figures, what waits for what, and when it may be done. Reads rows, changes
none; the number of statements does not depend on the number of mailboxes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, case, func, select

from mailhaul.db import tables
from mailhaul.journey.account import FIGURES, Account, account_of, total
from mailhaul.journey.canary_account import CanaryFigures, canary_figures, canary_total
from mailhaul.journey.gates import Opened, opened
from mailhaul.journey.grades import Grade, worst
from mailhaul.journey.hours import passed
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.journey.waits import Wait, what_waits

PACE_WINDOW = 3600.0
"""The measured pace is that of the passes of so many seconds."""
SHOWN = 5
"""So many of what runs next are told."""

_OTHERS = ("octets", "expected_messages", "expected_octets", "left_octets")
"""What is summed besides the account."""
_CHECKED = frozenset(State) - {State.PLANNED, State.BLOCKED, State.CANCELLED, State.ROLLED_BACK}
_SYNCED = frozenset(
    {
        State.SYNCED,
        State.FINAL,
        State.SWEEPING,
        State.VERIFYING,
        State.VERIFIED,
        State.RETURNING,
        State.COMPLETED,
    }
)
_SWITCHED = _SYNCED - {State.SYNCED, State.RETURNING}
_VERIFIED = frozenset({State.VERIFIED, State.COMPLETED})

PHASES: Mapping[str, frozenset[State]] = {
    "checked": _CHECKED,
    "synced": _SYNCED,
    "switched": _SWITCHED,
    "verified": _VERIFIED,
    "completed": frozenset({State.COMPLETED}),
}
"""The plan's milestones, and the states of the mailboxes that have passed each. What is paused,
failed or waiting counts by where it was."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over mailboxes; see `db.tables.mailbox`."""

    mailboxes: int = 0
    account: Account = field(default_factory=Account)
    octets: int = 0
    expected_messages: int = 0
    expected_octets: int = 0
    left_octets: int = 0
    """Expected and not carried yet, of mailboxes that have never been synced."""


@dataclass(frozen=True, slots=True)
class WaveStatus:
    """A wave: how many mailboxes are in which state, and whether it has been sent."""

    name: str
    states: Mapping[State, int]
    figures: Figures
    cutover: float | None
    gone: Opened | None

    @property
    def mailboxes(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Pace:
    """What was carried lately: a second of the clock."""

    messages: float
    octets: float


@dataclass(frozen=True, slots=True)
class Due:
    """What runs next by itself."""

    at: float
    address: str
    state: State


@dataclass(frozen=True, slots=True)
class Status:
    """A plan at the moment `at`."""

    plan: PlanRow
    at: float
    states: Mapping[State, int]
    milestones: Mapping[str, int]
    figures: Figures
    waves: tuple[WaveStatus, ...]
    gates: tuple[Opened, ...]
    waits: tuple[Wait, ...]
    next_due: tuple[Due, ...]
    overdue: int
    """Mailboxes whose phase is due now: under way, or waiting for a free worker."""
    running: int
    """Passes that are under way."""
    pace: Pace | None
    synced_at: float | None
    """When the initial copies may be done, by the measured pace and the working hours; None when
    nothing is left or it can't be known."""
    grades: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    canary: CanaryFigures | None = None
    """Of all domains together; None where there is no canary mail."""

    @property
    def mailboxes(self) -> int:
        return sum(self.states.values())

    @property
    def grade(self) -> Grade | None:
        return worst(self.grades)


def status(connection: Connection, plan: PlanRow, at: float) -> Status:
    """How the plan stands."""
    gates = tuple(opened(connection, plan.id))
    parts = _parts(connection, plan)
    states: dict[State, int] = {}
    milestones = dict.fromkeys(PHASES, 0)
    for part in parts:
        states[part.state] = states.get(part.state, 0) + part.figures.mailboxes
        for name, beyond in PHASES.items():
            if part.reached in beyond:
                milestones[name] += part.figures.mailboxes
    figures = _summed([part.figures for part in parts])
    pace = _pace(connection, plan, at)
    next_due, overdue = _due(connection, plan, at)
    return Status(
        plan=plan,
        at=at,
        states={state: states[state] for state in State if state in states},
        milestones=milestones,
        figures=figures,
        waves=tuple(_waves(plan, parts, gates)),
        gates=gates,
        waits=tuple(what_waits(connection, plan, states, gates, at)),
        next_due=next_due,
        overdue=overdue,
        running=_running(connection, plan),
        pace=pace,
        synced_at=_forecast(plan, figures, pace, at),
        grades=_grades(connection, plan),
        workers=workers(connection),
        canary=canary_total(canary_figures(connection, plan)),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The mailboxes of one wave in one state that came from one state."""

    wave: str
    state: State
    reached: State
    figures: Figures
    first: int


def _parts(connection: Connection, plan: PlanRow) -> list[_Part]:
    table = tables.mailbox

    def summed(value: ColumnElement[int]) -> ColumnElement[int]:
        return func.coalesce(func.sum(value), 0)

    columns = table.c
    reached = func.coalesce(columns.resume_state, columns.state)
    unsynced = reached.not_in([state.value for state in _SYNCED])
    left = case(
        (
            unsynced & (columns.expected_octets > columns.octets),
            columns.expected_octets - columns.octets,
        ),
        else_=0,
    )
    rows = connection.execute(
        select(
            columns.wave,
            columns.state,
            reached.label("reached"),
            func.count().label("mailboxes"),
            *(summed(columns[name]).label(name) for name in (*FIGURES, "octets")),
            summed(columns.expected_messages).label("expected_messages"),
            summed(columns.expected_octets).label("expected_octets"),
            summed(left).label("left_octets"),
            func.min(columns.position).label("first"),
        )
        .where(columns.plan_id == plan.id)
        .group_by(columns.wave, columns.state, reached)
    )
    return [
        _Part(
            row.wave,
            State(row.state),
            State(row.reached),
            Figures(
                row.mailboxes,
                account_of(row),
                **{name: int(getattr(row, name)) for name in _OTHERS},
            ),
            row.first,
        )
        for row in rows
    ]


def _summed(every: list[Figures]) -> Figures:
    names = ("mailboxes", *_OTHERS)
    return Figures(
        account=total(each.account for each in every),
        **{name: sum(getattr(each, name) for each in every) for name in names},
    )


def _waves(plan: PlanRow, parts: list[_Part], gates: tuple[Opened, ...]) -> list[WaveStatus]:
    gone = {each.wave: each for each in gates if each.gate is Gate.GO and each.round == 1}
    order = {wave.name: place for place, wave in enumerate(plan.plan.waves)}
    waves = sorted(
        {part.wave for part in parts},
        key=lambda wave: (
            order.get(wave, len(order)),
            min(part.first for part in parts if part.wave == wave),
        ),
    )
    found = []
    for wave in waves:
        here = [part for part in parts if part.wave == wave]
        states: dict[State, int] = {}
        for part in here:
            states[part.state] = states.get(part.state, 0) + part.figures.mailboxes
        cutover = plan.plan.cutover_of(wave)
        found.append(
            WaveStatus(
                wave,
                {state: states[state] for state in State if state in states},
                _summed([part.figures for part in here]),
                None if cutover is None else cutover.timestamp(),
                gone.get(wave),
            )
        )
    return found


def _due(connection: Connection, plan: PlanRow, at: float) -> tuple[tuple[Due, ...], int]:
    table = tables.mailbox
    here = table.c.plan_id == plan.id
    rows = connection.execute(
        select(table.c.due_at, table.c.address, table.c.state)
        .where(here, table.c.due_at > at)
        .order_by(table.c.due_at, table.c.position)
        .limit(SHOWN)
    )
    overdue = connection.execute(
        select(func.count()).where(here, table.c.due_at <= at)
    ).scalar_one()
    return tuple(Due(row.due_at, row.address, State(row.state)) for row in rows), overdue


def _running(connection: Connection, plan: PlanRow) -> int:
    """Passes without an end, of mailboxes that have not ended."""
    passes, table = tables.passes, tables.mailbox
    return connection.execute(
        select(func.count())
        .select_from(table)
        .join(passes, (passes.c.mailbox_id == table.c.id) & (passes.c.number == table.c.passes))
        .where(table.c.plan_id == plan.id, passes.c.ended_at.is_(None), table.c.due_at.is_not(None))
    ).scalar_one()


def _pace(connection: Connection, plan: PlanRow, at: float) -> Pace | None:
    """By the passes that were under way in the window before `at`, a longer one by its share; None
    when nothing was carried."""
    passes, table = tables.passes, tables.mailbox
    opening = at - PACE_WINDOW
    ended = func.coalesce(passes.c.ended_at, at)
    lasted = ended - passes.c.began_at
    within = ended - case((passes.c.began_at > opening, passes.c.began_at), else_=opening)
    share = case((lasted > within, within / lasted), else_=1.0)
    row = connection.execute(
        select(
            func.sum(passes.c.carried * share).label("messages"),
            func.sum(passes.c.octets * share).label("octets"),
            func.min(passes.c.began_at).label("first"),
        )
        .join(table, table.c.id == passes.c.mailbox_id)
        .where(table.c.plan_id == plan.id, ended > opening)
    ).one()
    if row.first is None or not row.messages:
        return None
    seconds = max(at - max(row.first, opening), 1.0)
    return Pace(float(row.messages) / seconds, float(row.octets) / seconds)


def _forecast(plan: PlanRow, figures: Figures, pace: Pace | None, at: float) -> float | None:
    if plan.state is not PlanState.RUNNING or pace is None or pace.octets <= 0:
        return None
    if figures.left_octets == 0:
        return None
    return passed(plan.plan.hours, plan.plan.zone, at, figures.left_octets / pace.octets)


def _grades(connection: Connection, plan: PlanRow) -> Mapping[str, int]:
    table = tables.mailbox
    rows = connection.execute(
        select(table.c.grade, func.count())
        .where(table.c.plan_id == plan.id, table.c.grade != "")
        .group_by(table.c.grade)
    )
    return {str(grade): int(number) for grade, number in rows}


def workers(connection: Connection) -> int:
    """How many work on the installation's plans now, as far as they have said."""
    return connection.execute(
        select(func.count()).where(tables.worker.c.stopped_at.is_(None))
    ).scalar_one()
