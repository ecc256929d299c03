"""Which probes and messages a plan wants now: nothing at all unless it says so."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from mailhaul.canary.routes import Act, Errand, Via, errands
from mailhaul.canary.watch import Side
from mailhaul.db import tables
from mailhaul.journey.canary_rows import TRIES, Era, Stage
from mailhaul.journey.domain_states import DomainState
from mailhaul.journey.domains import DomainRow, domain_of, domains
from mailhaul.journey.plans import PlanRow, PlanState
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import ENDED, State

UNSEEN = ("", "on its way")
"""Outcomes of messages that nobody has seen, and nobody misses yet."""
_BEFORE = (DomainState.WATCHED, DomainState.RETURNED)
_UNKNOWN = frozenset({State.PLANNED, State.BLOCKED})
"""Nobody has logged in to the mailbox yet."""
_AT_REST = frozenset({State.PAUSED, State.UNDOING}) | ENDED


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
