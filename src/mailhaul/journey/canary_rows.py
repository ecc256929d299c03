"""Probes and canaries of a plan as rows: how far each has come, and which are due.

A row stands before anything is said to anybody. It is changed by compare-and-set on its step, so
that of two who do the same only one is heard, and one message goes out once: what may have been
sent is looked for from then on, whoever died meanwhile.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from mailhaul.canary.mark import Canary
from mailhaul.canary.routes import Act, Via
from mailhaul.canary.watch import EVERYTHING, Bookmark, Found, Side
from mailhaul.core.folder import FolderPath, Role
from mailhaul.core.message import Key
from mailhaul.db import tables
from mailhaul.journey.engine import Run
from mailhaul.journey.plans import PlanState
from mailhaul.journey.rows import Stale
from mailhaul.journey.states import Phase, State

BATCH = 10
"""So many addresses are asked about in one run."""
TRIES = 6
"""So often is a message offered to hosts that say “not now” or can't be reached."""


class Stage(StrEnum):
    """How far it is."""

    DUE = "due"
    """To be asked, or sent, as soon as its turn comes; perhaps once more."""
    SPEAKING = "speaking"
    """A host is being told, or was when whoever did it ended."""
    SOUGHT = "sought"
    """A host took the message, or may have: it is looked for."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Era:
    """The time that a probe speaks of: before the switch of its domain, or since it."""

    switched: bool
    at: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary in a mailbox; `gone` once it was taken out there."""

    found: Found
    gone: bool = False


@dataclass(frozen=True, slots=True)
class CanaryRow:
    """A probe or a message as it stands; see `db.zone_tables.canary`. `name` is the domain's."""

    id: int
    plan: int
    domain: int
    name: str
    mailbox: int
    address: str
    person: State
    """Where its mailbox is."""
    via: Via
    kind: Act
    era: Era
    stage: Stage
    step: int
    due_at: float | None
    tries: int
    token: str
    made_at: float | None
    sent_at: float
    taken_at: float | None
    deadline_at: float | None
    verdict: str
    said: str
    reached: str
    takes_anyone: bool | None
    since: Mapping[Side, Bookmark]
    seen: tuple[Sighting, ...]
    outcome: str
    reason: str

    @property
    def canary(self) -> Canary:
        """The message. Servers stamp what they are given by the time of day, and so do we."""
        return Canary(self.token, self.address, self.via, self.made_at or 0.0)


def canary_row(connection: Connection, number: int) -> CanaryRow:
    """The row by id."""
    return _from(connection.execute(_select().where(tables.canary.c.id == number)).one())


def canaries_of(
    connection: Connection, plan: int, *, domain: int | None = None, mailbox: int | None = None
) -> list[CanaryRow]:
    """The plan's rows, in the order of their making; of one domain or mailbox alone."""
    query = _select().where(tables.domain.c.plan_id == plan).order_by(tables.canary.c.id)
    if domain is not None:
        query = query.where(tables.canary.c.domain_id == domain)
    if mailbox is not None:
        query = query.where(tables.canary.c.mailbox_id == mailbox)
    return [*map(_from, connection.execute(query))]


def due_canaries(connection: Connection, now: float, most: int) -> list[CanaryRow]:
    """What is due in plans that run: whatever is looked for, and of each plan one that a mail host
    is to be told of, unless the last telling was too lately."""
    table, plan = tables.canary, tables.plan
    running = (plan.c.state == PlanState.RUNNING.value) & plan.c.started_at.is_not(None)
    due = _select().join(plan, plan.c.id == tables.domain.c.plan_id)
    due = due.where(table.c.due_at <= now, running).order_by(table.c.due_at, table.c.id)
    sought = due.where(table.c.stage == Stage.SOUGHT.value).limit(most)
    found = [*map(_from, connection.execute(sought))]
    spoken = due.where(table.c.stage.in_((Stage.DUE.value, Stage.SPEAKING.value)))
    plans = connection.execute(
        spoken.with_only_columns(tables.domain.c.plan_id).order_by(None).distinct()
    )
    for number in plans.scalars().all():
        if clear_at(connection, number) <= now:
            rows = connection.execute(spoken.where(tables.domain.c.plan_id == number).limit(1))
            found += map(_from, rows)
    return found


def clear_at(connection: Connection, plan: int) -> float:
    """From when on mail hosts may be told another name for that plan."""
    table = tables.canary
    found = connection.execute(
        select(func.max(table.c.clear_at))
        .join(tables.domain, tables.domain.c.id == table.c.domain_id)
        .where(tables.domain.c.plan_id == plan)
    ).scalar_one()
    return float(found or 0.0)


def beside(connection: Connection, row: CanaryRow, now: float) -> list[CanaryRow]:
    """The row, and others that are due and can be asked about in the same breath."""
    table = tables.canary
    query = (
        _select()
        .where(
            table.c.domain_id == row.domain,
            table.c.via == row.via.value,
            table.c.kind == row.kind.value,
            table.c.switched.is_(row.era.switched),
            table.c.era == row.era.at,
            table.c.stage == Stage.DUE.value,
            table.c.due_at <= now,
            table.c.id != row.id,
        )
        .order_by(table.c.due_at, table.c.id)
        .limit(BATCH - 1)
    )
    return [row, *map(_from, connection.execute(query))]


def canary_run(row: CanaryRow) -> Run:
    """The run that the row asks for, once it is due. Mail hosts are spoken to by one at a time."""
    part = "sought" if row.stage is Stage.SOUGHT else "spoken"
    return Run(0, row.id, row.step, Phase.CANARY, f"{row.plan}:{part}", row.domain)


def write_canary(connection: Connection, row: CanaryRow, **values: Any) -> CanaryRow:
    """The row, a step on, with those columns changed. Raises `Stale` when somebody else has moved
    it."""
    table = tables.canary
    done = connection.execute(
        update(table)
        .where(table.c.id == row.id, table.c.step == row.step, table.c.stage == row.stage.value)
        .values(step=row.step + 1, **values)
    )
    if done.rowcount != 1:
        raise Stale(f"the canary for {row.address} has moved on")
    return canary_row(connection, row.id)


def places_at_old(connection: Connection, mailbox: int) -> frozenset[tuple[FolderPath, Key]]:
    """Where canaries lie, or lay, in the old mailbox: no mail of its user's."""
    table = tables.canary
    rows = connection.execute(
        select(table.c.seen).where(table.c.mailbox_id == mailbox, table.c.seen != "")
    )
    found = [each.found for text in rows.scalars() for each in _sightings(text)]
    return frozenset((each.path, each.key) for each in found if each.side is Side.OLD)


def written_sightings(seen: Sequence[Sighting]) -> str:
    """As the column has them."""
    return json.dumps(
        [
            {
                "token": each.found.token,
                "side": each.found.side.value,
                "path": list(each.found.path),
                "key": each.found.key,
                "seen": each.found.seen,
                "role": None if each.found.role is None else each.found.role.value,
                "received": each.found.received and each.found.received.isoformat(),
                "hops": list(each.found.hops),
                "gone": each.gone,
            }
            for each in seen
        ]
    )


def written_bookmarks(since: Mapping[Side, Bookmark]) -> str:
    """As the column has them."""
    return json.dumps({side.value: text for side, text in since.items()})


def _sightings(text: str) -> tuple[Sighting, ...]:
    return tuple(
        Sighting(
            Found(
                each["token"],
                Side(each["side"]),
                tuple(each["path"]),
                each["key"],
                each["seen"],
                None if each["role"] is None else Role(each["role"]),
                each["received"] and datetime.fromisoformat(each["received"]),
                tuple(each["hops"]),
            ),
            each["gone"],
        )
        for each in json.loads(text or "[]")
    )


def _select() -> Select[Any]:
    domain, mailbox = tables.domain, tables.mailbox
    return (
        select(
            tables.canary,
            domain.c.plan_id.label("plan"),
            domain.c.name.label("name"),
            mailbox.c.address.label("address"),
            mailbox.c.state.label("person"),
        )
        .join(domain, domain.c.id == tables.canary.c.domain_id)
        .join(mailbox, mailbox.c.id == tables.canary.c.mailbox_id)
    )


def _from(row: Row[Any]) -> CanaryRow:
    since = {Side(side): Bookmark(text) for side, text in json.loads(row.since or "{}").items()}
    return CanaryRow(
        id=row.id,
        plan=row.plan,
        domain=row.domain_id,
        name=row.name,
        mailbox=row.mailbox_id,
        address=row.address,
        person=State(row.person),
        via=Via(row.via),
        kind=Act(row.kind),
        era=Era(row.switched, row.era),
        stage=Stage(row.stage),
        step=row.step,
        due_at=row.due_at,
        tries=row.tries,
        token=row.token,
        made_at=row.made_at,
        sent_at=row.sent_at,
        taken_at=row.taken_at,
        deadline_at=row.deadline_at,
        verdict=row.verdict,
        said=row.said,
        reached=row.reached,
        takes_anyone=row.takes_anyone,
        since={side: since.get(side, EVERYTHING) for side in Side},
        seen=_sightings(row.seen),
        outcome=row.outcome,
        reason=row.reason,
    )
