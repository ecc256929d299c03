"""What a look at an account found, written down; and what others have chosen already."""

import json

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_end import moved
from mailhaul.journey.account_look import Look, Others
from mailhaul.journey.account_rows import MoveRow, moves, write_move
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.control import section_of, service_name
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import Stale, held_mailbox
from mailhaul.providers.addresses import folded
from mailhaul.providers.paths import Path

LOOK_EVERY = 900.0
"""Seconds between two looks at an account in whose way something is."""
ASKED = "a named person's yes is waited for"


def others_have(connection: Connection, plan: PlanRow, row: MoveRow) -> Others:
    """What other moves have chosen: placeholders of the same service in all plans, and temporary
    addresses in this one."""
    table = tables.placeholder
    names: list[str] = []
    if (section := section_of(plan, Side.TARGET)) is not None:
        query = select(table.c.name).where(
            table.c.service == service_name(section), table.c.move_id != row.id
        )
        names = [*connection.execute(query).scalars()]
    temporaries = (
        each.temporary
        for each in moves(connection, plan.id)
        if each.id != row.id and each.temporary and each.state is not MoveState.UNDONE
    )
    return Others(frozenset(map(folded, names)), frozenset(map(folded, temporaries)))


def looked(
    connection: Connection, means: Means, plan: PlanRow, row: MoveRow, found: Look, now: float
) -> MoveRow:
    """Writes it down. Raises `Stale` where somebody has reserved the placeholder meanwhile."""
    # Mailboxes are held before moves, everywhere.
    held_mailbox(connection, row.mailbox)
    findings(connection, row.mailbox, found.findings, now)
    ready = bool(found.path) and not found.blocking
    reserve(connection, plan, row, found.placeholder if ready else "", now)
    after = write_move(
        connection,
        row,
        step=row.step + 1,
        due_at=None if ready else now + LOOK_EVERY,
        reason=ASKED if ready else found.why_not,
        failures=0,
        refused_secret=found.refused,
        looked_at=now,
        ready=ready,
        path=found.path,
        evidence=json.dumps(found.evidence),
        temporary=found.temporary,
        # What a person chose stays chosen, whatever is in its way now.
        placeholder=found.placeholder or (row.placeholder if row.chosen else ""),
        octets=found.octets,
        messages=found.messages,
    )
    if found.path == Path.NONE:
        return moved(connection, means, plan, after, (), now)
    return after


def reserve(connection: Connection, plan: PlanRow, row: MoveRow, name: str, now: float) -> None:
    """The placeholder is this move's, of all plans, and what it had before is free; with an empty
    name it has none. Raises `Stale` where another has it."""
    table = tables.placeholder
    section = section_of(plan, Side.TARGET)
    connection.execute(delete(table).where(table.c.move_id == row.id, table.c.name != name))
    if not name or section is None:
        return
    service = service_name(section)
    makes = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"service": service, "name": name, "move_id": row.id, "reserved_at": now}
    connection.execute(makes(table).values(**values).on_conflict_do_nothing())
    holder = connection.execute(
        select(table.c.move_id).where(table.c.service == service, table.c.name == name)
    ).scalar_one_or_none()
    if holder != row.id:
        raise Stale(f"{name} has been reserved for another account meanwhile")


def findings(connection: Connection, mailbox: int, found: tuple[Finding, ...], at: float) -> None:
    """The mailbox's findings are these."""
    table = tables.finding
    connection.execute(delete(table).where(table.c.mailbox_id == mailbox))
    rows = [
        {
            "mailbox_id": mailbox,
            "code": each.code,
            "severity": each.severity.value,
            "evidence": printable(each.evidence, 2000),
            "remedy": printable(each.remedy, 2000),
            "found_at": at,
        }
        for each in found
    ]
    if rows:
        connection.execute(insert(table), rows)
