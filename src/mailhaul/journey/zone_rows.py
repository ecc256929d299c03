"""What rows hold of a domain's zone for the orders about it: how far its move is, what has been
kept, and that it was written or put back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.dns.expected import Moment
from mailhaul.dns.names import shown
from mailhaul.dns.snapshot import Snapshot, from_text, to_text
from mailhaul.dns.switch import Result
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domain, domain_of
from mailhaul.journey.events import Figure, Record, record
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import from_row
from mailhaul.journey.states import ENDED, State
from mailhaul.journey.watching import AHEAD, END, SWITCH
from mailhaul.journey.zone_plans import DUE, Stage

WORDS = {Moment.NOW: AHEAD, Moment.SWITCH: SWITCH, Moment.END: END}
BUSY = (DomainState.SWITCHING, DomainState.RETURNING, DomainState.FAILED)
_QUIET = frozenset({State.VERIFIED}) | ENDED


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot as a row has it; see `db.zone_tables.snapshot`."""

    id: int
    moment: str
    snapshot: Snapshot
    written_at: float | None
    returned_at: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What rows say of a domain's zone. `kept` in the order of writing; `cutover` is that of its
    last wave, where all have one."""

    row: DomainRow
    stage: Stage
    kept: tuple[Kept, ...]
    cutover: datetime | None

    @property
    def open(self) -> tuple[Kept, ...]:
        """Snapshots that have not been given back."""
        return tuple(each for each in self.kept if each.returned_at is None)


@dataclass(frozen=True, slots=True)
class Order:
    """Who has what written, in which plan and domain, from which account."""

    plan: PlanRow
    domain: DomainRow
    who: str
    login: str


def zone_facts(connection: Connection, plan: PlanRow, row: DomainRow) -> Facts:
    """What rows say of the domain now."""
    table = tables.snapshot
    kept = tuple(
        Kept(each.id, each.moment, from_text(each.text), each.written_at, each.returned_at)
        for each in connection.execute(
            select(table).where(table.c.domain_id == row.id).order_by(table.c.id)
        )
    )
    box = tables.mailbox
    rows = connection.execute(select(box).where(box.c.plan_id == plan.id))
    here = [each for each in map(from_row, rows) if domain_of(each.address) == row.name]
    waves = {each.wave for each in here if each.state not in ENDED}
    cutovers = [plan.plan.cutover_of(wave) for wave in waves]
    known = [each for each in cutovers if each is not None]
    if row.state in BUSY:
        stage = Stage.BUSY
    elif row.state is not DomainState.SWITCHED:
        stage = Stage.BEFORE
    else:
        quiet = all(each.state in _QUIET or each.left_out for each in here)
        stage = Stage.AFTER if quiet else Stage.SINCE
    return Facts(row, stage, kept, max(known) if known and len(known) == len(cutovers) else None)


def keep_snapshot(
    connection: Connection, order: Order, moment: Moment, taken: Snapshot, at: float
) -> int:
    """The snapshot becomes a row, and the order an event; the row's id. Raises `BadInput` where the
    moment has passed meanwhile."""
    there = domain(connection, order.domain.id, hold=True)
    stage = zone_facts(connection, order.plan, there).stage
    if moment not in DUE[stage]:
        raise BadInput(f"{shown(there.name)} is {stage} by now; nothing was written")
    table = tables.snapshot
    number = connection.execute(
        insert(table)
        .values(domain_id=there.id, kept_at=at, moment=WORDS[moment], text=to_text(taken))
        .returning(table.c.id)
    ).scalar_one()
    _tell(connection, order, "zone_writing", WORDS[moment], len(taken.edits), at)
    return int(number)


def note_written(
    connection: Connection, order: Order, kept: Kept, result: Result, why: str, at: float
) -> None:
    """What came of writing it."""
    count = len(kept.snapshot.edits)
    if result is Result.DONE:
        _mark(connection, [kept.id], written_at=at)
        _tell(connection, order, "zone_written", kept.moment, count, at)
        _look_soon(connection, order.domain, at)
    elif result is not Result.WAITS:
        if result is Result.NOTHING:
            _mark(connection, [kept.id], returned_at=at)
        _tell(connection, order, "zone_failed", kept.moment, count, at, why)


def note_returned(
    connection: Connection, order: Order, kept: Kept, result: Result, why: str, at: float
) -> None:
    """What came of putting it back."""
    count = len(kept.snapshot.edits)
    if result is Result.DONE:
        _mark(connection, [kept.id], returned_at=at)
        _tell(connection, order, "zone_put_back", kept.moment, count, at)
        _look_soon(connection, order.domain, at)
    elif result is not Result.WAITS:
        _tell(connection, order, "zone_failed", kept.moment, count, at, why)


def forget(connection: Connection, kept: Sequence[Kept], at: float) -> None:
    """Nothing of those stands, and nobody wants them any more."""
    _mark(connection, [each.id for each in kept], returned_at=at)


def _tell(
    connection: Connection,
    order: Order,
    action: str,
    moment: str,
    count: int,
    at: float,
    why: str = "",
) -> None:
    figures: dict[str, Figure] = {
        "domain": order.domain.name,
        "moment": moment,
        "records": count,
        "login": printable(order.login, 200),
    }
    what = Record(action, order.who, why=printable(why, 1000), figures=figures)
    record(connection, order.plan.id, what, at)


def _mark(connection: Connection, numbers: Sequence[int], **values: float) -> None:
    table = tables.snapshot
    connection.execute(update(table).where(table.c.id.in_(numbers)).values(**values))


def _look_soon(connection: Connection, row: DomainRow, at: float) -> None:
    """A worker sees at once what has changed."""
    table = tables.domain
    connection.execute(
        update(table).where(table.c.id == row.id, table.c.due_at > at).values(due_at=at)
    )
