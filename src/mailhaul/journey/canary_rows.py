"""Probes and canaries of a plan as rows: which are wanted, which are due, how far each has come.

A row stands before anything is said to anybody. It is changed by compare-and-set on its step, so
that of two who do the same only one is heard, and one message goes out once: what may have been
sent is looked for from then on, whoever died meanwhile.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailhaul.canary.mark import Canary
from mailhaul.canary.routes import Act, Errand, Via, errands
from mailhaul.canary.watch import EVERYTHING, Bookmark, Found, Side
from mailhaul.core.folder import FolderPath, Role
from mailhaul.core.message import Key
from mailhaul.db import tables
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domain_of, domains
from mailhaul.journey.engine import Run
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.rows import MailboxRow, Stale, from_row
from mailhaul.journey.states import ENDED, Phase, State

BATCH = 10
"""So many addresses are asked about in one run."""
TRIES = 6
"""So often is a message offered to hosts that say “not now” or can't be reached."""
UNSEEN = ("", "on its way")
"""Outcomes of messages that nobody has seen, and nobody misses yet."""
_BEFORE = (DomainState.WATCHED, DomainState.RETURNED)
_UNKNOWN = frozenset({State.PLANNED, State.BLOCKED})
"""Nobody has logged in to the mailbox yet."""
_AT_REST = frozenset({State.PAUSED, State.UNDOING}) | ENDED


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


def era_of(zone: DomainRow) -> Era | None:
    """What a probe of this moment would speak of; None while records are being changed."""
    if zone.state in _BEFORE:
        return Era(False, zone.returned_at or 0.0)
    if zone.state is DomainState.SWITCHED:
        return Era(True, zone.switched_at or 0.0)
    return None


def errands_of(plan: PlanRow, zone: DomainRow, at: float) -> tuple[Errand, ...]:
    """What is tried for the domain now. By the MX of now nothing is sent as long as caches may
    still lead to the old system; the old host is sent one message, before and after."""
    era = era_of(zone)
    if plan.plan.dns is None or zone.looked_at is None or era is None:
        return ()
    filtered = bool(plan.plan.dns.filter)
    wanted = [*errands(filtered=filtered, switched=era.switched)]
    if not filtered and not era.switched:
        wanted.append(Errand(Via.OLD, Act.SEND))
    if era.switched and zone.settled_at is None and (zone.released_at or 0.0) > at:
        wanted = [each for each in wanted if each.via is Via.OLD]
    return tuple(wanted)


def want(connection: Connection, plan: PlanRow, at: float) -> int:
    """Makes the rows that are wanted now and not there; how many. None without `on = true`."""
    fresh = _wanted(connection, plan, at)
    if fresh:
        postgres = connection.dialect.name == "postgresql"
        insert = postgresql.insert if postgres else sqlite.insert
        connection.execute(insert(tables.canary).on_conflict_do_nothing(), fresh)
    return len(fresh)


def expected_soon(connection: Connection, plan: PlanRow, at: float) -> bool:
    """Whether canary mail will show something new by itself within the hour: an answer that nobody
    has had yet, a message that nobody has seen, or one whose copy by the last sweep is to be taken
    out. What is only asked once more is not waited for."""
    if not _wishes(plan):
        return False
    table, mailbox = tables.canary, tables.mailbox
    unanswered = (table.c.stage == Stage.DUE.value) & (table.c.outcome == "")
    unseen = (table.c.stage == Stage.SOUGHT.value) & table.c.outcome.in_(UNSEEN)
    carried = (table.c.side == Side.OLD.value) & (mailbox.c.state == State.VERIFIED.value)
    query = (
        select(table.c.id)
        .join(tables.domain, tables.domain.c.id == table.c.domain_id)
        .join(mailbox, mailbox.c.id == table.c.mailbox_id)
        .where(
            tables.domain.c.plan_id == plan.id,
            (unanswered & (table.c.tries < TRIES))
            | unseen
            | (carried & (table.c.stage == Stage.SOUGHT.value))
            | (table.c.stage == Stage.SPEAKING.value),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None or bool(_wanted(connection, plan, at))


def _wishes(plan: PlanRow) -> bool:
    canary = plan.plan.canary
    if canary is None or not canary.on or plan.plan.dns is None:
        return False
    return plan.state is PlanState.RUNNING and plan.started_at is not None


def _wanted(connection: Connection, plan: PlanRow, at: float) -> list[dict[str, Any]]:
    if not _wishes(plan):
        return []
    fit = [
        row
        for row in _mailboxes(connection, plan.id)
        if row.started_at is not None
        and row.state not in _AT_REST
        and (row.resume_state or row.state) not in _UNKNOWN
    ]
    there = _there(connection, plan.id)
    fresh: list[dict[str, Any]] = []
    for zone in domains(connection, plan.id):
        era = era_of(zone)
        for errand in errands_of(plan, zone, at):
            assert era is not None
            known = there.get((zone.id, errand, era), set())
            people = [row for row in fit if domain_of(row.address) == zone.name]
            if errand == Errand(Via.OLD, Act.SEND):
                people = [] if known else people[:1]
            fresh += [_row(zone, row, errand, era, at) for row in people if row.id not in known]
    return fresh


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


def _row(
    zone: DomainRow, mailbox: MailboxRow, errand: Errand, era: Era, at: float
) -> dict[str, Any]:
    return {
        "domain_id": zone.id,
        "mailbox_id": mailbox.id,
        "via": errand.via.value,
        "kind": errand.act.value,
        "switched": era.switched,
        "era": era.at,
        "stage": Stage.DUE.value,
        "due_at": at,
        "sent_at": at,
        "outcome": "",
    }


def _there(connection: Connection, plan: int) -> dict[tuple[int, Errand, Era], set[int]]:
    """Mailboxes that have a row, by what it is for."""
    table = tables.canary
    columns = (table.c.domain_id, table.c.via, table.c.kind, table.c.switched, table.c.era)
    found: dict[tuple[int, Errand, Era], set[int]] = {}
    for each in connection.execute(
        select(*columns, table.c.mailbox_id)
        .join(tables.domain, tables.domain.c.id == table.c.domain_id)
        .where(tables.domain.c.plan_id == plan)
    ):
        place = each.domain_id, Errand(Via(each.via), Act(each.kind)), Era(each.switched, each.era)
        found.setdefault(place, set()).add(each.mailbox_id)
    return found


def _mailboxes(connection: Connection, plan: int) -> Iterable[MailboxRow]:
    table = tables.mailbox
    return map(
        from_row,
        connection.execute(
            select(table).where(table.c.plan_id == plan).order_by(table.c.position, table.c.id)
        ),
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
