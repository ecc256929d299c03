"""What DNS has to do with gates and sweeps: which domains go with a wave, what is lacking for it,
and when no mail can come through the old system any more.

Everything is read from rows that looks have written; nothing here asks a server.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from mailhaul.core.finding import Severity
from mailhaul.db import tables
from mailhaul.dns.names import shown
from mailhaul.journey.canary_account import canary_doubts
from mailhaul.journey.domain_states import DomainState, DomainTrigger
from mailhaul.journey.domains import (
    DomainRow,
    domain_named,
    domain_of,
    domains,
    move_domain,
)
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import ENDED, State
from mailhaul.journey.zones import Standing
from mailhaul.plan.durations import duration_text
from mailhaul.plan.model import Plan, WriterKind

SWEEPS = "sweeps"
"""What is ended early, where gates are opened early."""
FRESH = 4
"""So many times the usual time between two looks may have gone by since the last one."""
_TOLD = ("TTL_LONG", "MX_TOO_EARLY")
"""Findings for which there are sentences of our own."""
_GONE = frozenset({State.FINAL, State.SWEEPING, State.VERIFYING, State.VERIFIED, State.COMPLETED})
_BEFORE = (DomainState.WATCHED, DomainState.RETURNED)


def switched_with(
    connection: Connection, plan: PlanRow, going: Collection[int], staying: Collection[int]
) -> list[DomainRow]:
    """The domains of which no mailbox is left at the old system once `going` (ids) have gone.
    Mailboxes that were left out, and `staying`, do not keep their domain: its mail can't be
    switched for a part of them, and a person has decided to go without them."""
    if plan.plan.dns is None:
        return []
    keeping: set[str] = set()
    leaving: set[str] = set()
    for row in _mailboxes(connection, plan.id):
        name = domain_of(row.address)
        if row.id in going:
            leaving.add(name)
        elif row.state in ENDED or row.id in staying or row.left_out:
            continue
        elif (row.resume_state or row.state) not in _GONE:
            keeping.add(name)
    return [
        each
        for each in domains(connection, plan.id)
        if each.state in _BEFORE and each.name in leaving - keeping
    ]


def doubts(
    connection: Connection, plan: PlanRow, rows: Iterable[DomainRow], at: float
) -> list[str]:
    """What speaks against switching those domains now, each a sentence for a person, who may
    decide otherwise."""
    return [
        f"{shown(row.name)}: {why}"
        for row in rows
        for why in [
            *_seen_lately(plan.plan, row, at),
            *_evidence(connection, plan.plan, row, at),
            *canary_doubts(connection, plan, row),
        ]
    ]


def words(plan: PlanRow, rows: Sequence[DomainRow], staying: Sequence[MailboxRow]) -> list[str]:
    """What a person agrees to: the domains, how they are switched, who is left out of it."""
    dns = plan.plan.dns
    if dns is None:
        return []
    if not rows:
        return [
            "No domain is switched with it: mail still comes through the old system, and sweeps "
            "carry it until the last wave of each domain has gone."
        ]
    how = (
        "whoever holds the zone writes the records, and mailhaul watches for them"
        if dns.writer.kind is WriterKind.MANUAL
        else f"mailhaul writes the records at {dns.writer.server or 'OVHcloud'}"
    )
    if dns.filter:
        how = f"MX stays, {dns.filter} forwards to the new system; for the rest {how}"
    names = ", ".join(shown(row.name) for row in rows)
    text = [f"Switched with it: {names}; {how}."]
    late = [row.address for row in staying if domain_of(row.address) in {r.name for r in rows}]
    if late:
        text.append(
            f"Mail for {', '.join(late[:10])}{' and more' if len(late) > 10 else ''} arrives at "
            "the new system from then on too, although left out."
        )
    return text


def send(
    connection: Connection, rows: Iterable[DomainRow], wave: str, *, who: str, at: float
) -> None:
    """The domains are switched from now on."""
    for row in rows:
        move_domain(
            connection,
            row,
            DomainTrigger.DOMAIN_SENT,
            at=at,
            due=at,
            actor=who,
            figures={"wave": wave},
            wave=wave,
        )


def still_old(connection: Connection, plan: PlanRow, row: MailboxRow, at: float) -> str:
    """Why mail may still come through the old system for the mailbox; empty when it can't, or when
    the plan knows nothing of its domain."""
    if plan.plan.dns is None:
        return ""
    there = domain_named(connection, plan.id, domain_of(row.address))
    return "" if there is None else still_old_of(connection, there, at, plan.plan)


def still_old_of(connection: Connection, there: DomainRow, at: float, plan: Plan) -> str:
    """As `still_old`, of a domain."""
    name = shown(there.name)
    if there.was in (DomainState.RETURNING, DomainState.RETURNED):
        return f"{name} has been returned to the old system"
    if there.state is not DomainState.SWITCHED:
        return f"{name} has not been switched: its mail goes to the old system"
    if there.settled_at is None:
        return f"not every server says new of {name}: {_laggards(connection, there)}"
    if there.released_at is not None and at < there.released_at:
        return f"caches may hold the old records of {name} until {moment(plan, there.released_at)}"
    return ""


def ended_early(connection: Connection, row: MailboxRow, since: float) -> str:
    """By whose word the sweeps of the mailbox's wave end now, in words; empty while they go on."""
    table = tables.override
    found = connection.execute(
        select(table.c.given_by, table.c.why)
        .where(
            table.c.plan_id == row.plan,
            table.c.wave == row.wave,
            table.c.gate == SWEEPS,
            # An order of before this mailbox went was for those that had gone by then.
            table.c.given_at >= since,
        )
        .order_by(table.c.id)
        .limit(1)
    ).one_or_none()
    return "" if found is None else f"ended by {found.given_by}: {found.why}"


def switched_moment(connection: Connection, plan: PlanRow, row: MailboxRow) -> float | None:
    """When the mail of the mailbox's domain was switched, if it was."""
    if plan.plan.dns is None:
        return None
    there = domain_named(connection, plan.id, domain_of(row.address))
    return None if there is None else there.switched_at


def moment(plan: Plan, at: float) -> str:
    """A moment in the plan's time zone."""
    return datetime.fromtimestamp(at, plan.zone).strftime("%Y-%m-%d %H:%M %Z")


def _seen_lately(plan: Plan, row: DomainRow, at: float) -> list[str]:
    assert plan.dns is not None
    if row.looked_at is None:
        return ["nobody has looked at it yet; a worker does, mailhaul run starts one"]
    if at - row.looked_at > FRESH * plan.dns.every.total_seconds():
        return [f"it was last looked at {moment(plan, row.looked_at)}; let a worker look again"]
    return []


def _evidence(connection: Connection, plan: Plan, row: DomainRow, at: float) -> list[str]:
    assert plan.dns is not None
    if row.looked_at is None:
        return []
    found = []
    if row.mx == Standing.NEW:
        found.append("its mail goes to the new system already")
    elif row.mx == Standing.MIXED:
        found.append("its servers do not agree, or name both systems")
    elif row.mx == Standing.SILENT:
        found.append("none of its servers answers")
    elif row.ttl is not None and row.mx != Standing.KEPT:
        wanted = duration_text(plan.dns.ttl)
        if row.lowered_at is None:
            found.append(
                f"its records may be remembered for {row.ttl} s; lower their TTL to {wanted} and "
                "wait that long"
            )
        elif (row.cached_until or 0.0) > at:
            until = moment(plan, row.cached_until or 0.0)
            found.append(f"caches may hold its records as they were until {until}")
    table = tables.domain_finding
    rows = connection.execute(
        select(table.c.evidence, table.c.remedy)
        .where(
            table.c.domain_id == row.id,
            table.c.severity == Severity.BLOCKS.value,
            table.c.code.not_in(_TOLD),
        )
        .order_by(table.c.id)
    )
    found += [f"{each.evidence}{f'; {each.remedy}' if each.remedy else ''}" for each in rows]
    return found


def _laggards(connection: Connection, row: DomainRow) -> str:
    """Who did not say new when last looked at, and what they said."""
    table = tables.look
    rows = connection.execute(
        select(table.c.server, table.c.standing)
        .where(
            table.c.domain_id == row.id,
            table.c.last_at == row.looked_at,
            table.c.standing != Standing.NEW.value,
        )
        .order_by(table.c.server)
        .distinct()
        .limit(4)
    ).all()
    return ", ".join(f"{each.server} says {each.standing}" for each in rows) or "none was asked yet"


def _mailboxes(connection: Connection, plan: int) -> list[MailboxRow]:
    table = tables.mailbox
    rows = connection.execute(
        select(table).where(table.c.plan_id == plan).order_by(table.c.position, table.c.id)
    )
    return [*map(from_row, rows)]
