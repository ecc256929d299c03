"""A domain's row: read, moved on, and which mailboxes it stands for. As `rows` is for mailboxes.

Every change is compare-and-set on state, generation and step; who comes late changes nothing
(`Stale`). A domain's event is written in the same transaction.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.dns.names import domain_name
from mailhaul.journey.domain_states import (
    LOOKED_AT,
    DomainState,
    DomainTrigger,
    domain_follows,
)
from mailhaul.journey.engine import Run
from mailhaul.journey.events import SYSTEM, Figure, Record, record
from mailhaul.journey.plans import PlanState
from mailhaul.journey.rows import Stale
from mailhaul.plan.model import Plan


@dataclass(frozen=True, slots=True)
class DomainRow:
    """A domain as it stands. See `db.zone_tables.domain` for what each figure means."""

    id: int
    plan: int
    name: str
    state: DomainState
    resume_state: DomainState | None
    generation: int
    step: int
    due_at: float | None
    since_at: float
    reason: str
    failures: int
    wave: str | None
    old_mx: tuple[str, ...] | None
    looked_at: float | None
    mx: str
    ready: bool
    ttl: int | None
    lowered_at: float | None
    cached_until: float | None
    switched_at: float | None
    released_at: float | None
    settled_at: float | None
    returned_at: float | None

    @property
    def was(self) -> DomainState:
        """Its state, or the one in which it failed."""
        return self.resume_state or self.state


def domain_of(address: str) -> str:
    """The domain of a mailbox's address as rows have it; empty for an address without one."""
    try:
        return domain_name(address.rpartition("@")[2])
    except BadInput:
        return ""


def plan_domains(plan: Plan, addresses: Iterable[str]) -> list[str]:
    """The domains whose mail the plan is about, in its order; none for a plan without [dns]."""
    if plan.dns is None:
        return []
    named = plan.dns.domains or (address.rpartition("@")[2] for address in addresses)
    found: dict[str, None] = {}
    for name in named:
        try:
            found[domain_name(name)] = None
        except BadInput:
            if plan.dns.domains:
                raise
    return [*found]


def load_domains(
    connection: Connection, plan: int, model: Plan, addresses: Iterable[str], *, at: float
) -> list[str]:
    """Brings the plan's domains up to date; what changed, as sentences. Those that are no longer
    meant are forgotten unless something has been done for them."""
    wanted = plan_domains(model, addresses)
    there = {row.name: row for row in domains(connection, plan)}
    fresh = [name for name in wanted if name not in there]
    if fresh:
        connection.execute(
            insert(tables.domain),
            [
                {
                    "plan_id": plan,
                    "name": name,
                    "state": DomainState.WATCHED.value,
                    "due_at": at,
                    "since_at": at,
                }
                for name in fresh
            ],
        )
    gone = [
        row
        for name, row in there.items()
        if name not in wanted and row.state is DomainState.WATCHED and row.returned_at is None
    ]
    for row in gone:
        for table in (tables.look, tables.domain_finding, tables.canary):
            connection.execute(delete(table).where(table.c.domain_id == row.id))
        connection.execute(delete(tables.domain).where(tables.domain.c.id == row.id))
    for row in there.values():
        # Whatever else the plan says now is seen by the next look.
        if row not in gone and row.due_at is not None:
            connection.execute(
                update(tables.domain).where(tables.domain.c.id == row.id).values(due_at=at)
            )
    return [
        *(f"{name} is looked at" for name in fresh if there),
        *(f"{row.name} is no longer looked at" for row in gone),
    ]


def hold_domains(connection: Connection, plan: int) -> None:
    """Nobody else moves the plan's mailboxes or domains until the transaction ends. Mailboxes come
    first, then domains, then the plan and its log, everywhere: so nobody waits in a circle."""
    for table, order in (
        (tables.mailbox, (tables.mailbox.c.position, tables.mailbox.c.id)),
        (tables.domain, (tables.domain.c.id,)),
    ):
        connection.execute(
            select(table.c.id)
            .where(table.c.plan_id == plan)
            .order_by(*order)
            .with_for_update(key_share=True)
        ).all()


def domains(connection: Connection, plan: int) -> list[DomainRow]:
    """The plan's domains, in the order of loading; none where it has no [dns]."""
    table = tables.domain
    rows = connection.execute(select(table).where(table.c.plan_id == plan).order_by(table.c.id))
    return [*map(domain_from, rows)]


def domain(connection: Connection, number: int, *, hold: bool = False) -> DomainRow:
    """The row by id; with `hold` nobody else changes it until the transaction ends."""
    query = select(tables.domain).where(tables.domain.c.id == number)
    return domain_from(connection.execute(query.with_for_update() if hold else query).one())


def domain_named(connection: Connection, plan: int, name: str) -> DomainRow | None:
    """The plan's domain of that name; None where it has none."""
    table = tables.domain
    found = connection.execute(
        select(table).where(table.c.plan_id == plan, table.c.name == name)
    ).one_or_none()
    return None if found is None else domain_from(found)


def domain_from(row: Row[Any]) -> DomainRow:
    """The row of a `select(tables.domain)`."""
    values = dict(row._mapping)
    values["plan"] = values.pop("plan_id")
    values["state"] = DomainState(values["state"])
    resume, old = values["resume_state"], values["old_mx"]
    values["resume_state"] = None if resume is None else DomainState(resume)
    values["old_mx"] = None if old is None else tuple(json.loads(old))
    return DomainRow(**values)


def domain_run(row: DomainRow) -> Run:
    """The run that the row asks for, once it is due."""
    return Run(0, row.generation, row.step, LOOKED_AT, f"{row.plan}:zone", row.id)


def due_domains(connection: Connection, now: float) -> list[DomainRow]:
    """Domains that are due; those that are being switched come first. Of a plan that was cancelled
    only what a person wants returned."""
    table, plan = tables.domain, tables.plan
    running = (plan.c.state == PlanState.RUNNING.value) & plan.c.started_at.is_not(None)
    returning = table.c.state == DomainState.RETURNING.value
    cancelled = plan.c.state == PlanState.CANCELLED.value
    rows = connection.execute(
        select(table)
        .join(plan, plan.c.id == table.c.plan_id)
        .where(table.c.due_at <= now, running | (cancelled & returning))
        .order_by(table.c.due_at, table.c.id)
    )
    calm = (DomainState.WATCHED, DomainState.SWITCHED, DomainState.RETURNED)
    return sorted(map(domain_from, rows), key=lambda row: row.state in calm)


def move_domain(
    connection: Connection,
    row: DomainRow,
    trigger: DomainTrigger,
    *,
    at: float,
    due: float | None,
    actor: str = SYSTEM,
    why: str = "",
    figures: Mapping[str, Figure] | None = None,
    **values: Any,
) -> DomainRow:
    """The row after `trigger`, written down with its event. Raises `Stale` when it is no longer as
    `row` says, or the trigger means nothing in its state."""
    target = domain_follows(row.state, trigger, row.resume_state)
    if target is None:
        raise Stale(f"{row.name} is {row.state}: “{trigger}” means nothing there")
    failed = target is DomainState.FAILED
    written = write_domain(
        connection,
        row,
        state=target.value,
        resume_state=row.was.value if failed else None,
        generation=row.generation + 1,
        step=0,
        due_at=due,
        since_at=at,
        reason=why,
        **values,
    )
    told = {"domain": row.name, "from": row.state.value, "to": target.value, **(figures or {})}
    record(connection, row.plan, Record(trigger.name.lower(), actor, None, why, told), at)
    return written


def write_domain(connection: Connection, row: DomainRow, **values: Any) -> DomainRow:
    """The row with those columns changed, without an event. Raises `Stale` as `move_domain`."""
    table = tables.domain
    written = connection.execute(
        update(table)
        .where(
            table.c.id == row.id,
            table.c.generation == row.generation,
            table.c.state == row.state.value,
            table.c.step == row.step,
        )
        .values(**values)
        .returning(table)
    ).one_or_none()
    if written is None:
        raise Stale(f"{row.name} has moved on")
    return domain_from(written)


def held_names(connection: Connection, plan: int) -> dict[str, DomainRow]:
    """Domains whose mailboxes wait with their final pass until the records stand."""
    table = tables.domain
    switching = DomainState.SWITCHING.value
    rows = connection.execute(
        select(table).where(
            table.c.plan_id == plan,
            (table.c.state == switching)
            | ((table.c.state == DomainState.FAILED.value) & (table.c.resume_state == switching)),
        )
    )
    return {row.name: row for row in map(domain_from, rows)}
