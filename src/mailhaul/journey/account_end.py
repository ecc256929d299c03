"""How an account's move ends, in rows: where its mailbox is from then on, and who is told."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, update

from mailhaul.db import tables
from mailhaul.journey.account_places import kept_endpoint, renamed
from mailhaul.journey.account_rows import MoveRow, advance
from mailhaul.journey.account_states import MoveTrigger
from mailhaul.journey.account_steps import StepRow, StepState
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, held_mailbox, move, write
from mailhaul.journey.states import ENDED, UNBEGUN, State, Trigger
from mailhaul.plan.templates import endpoint_text
from mailhaul.providers.paths import Path
from mailhaul.providers.saga import Part

_STANDS = (StepState.DONE, StepState.BEGUN, StepState.BROKEN)


def moved(
    connection: Connection,
    means: Means,
    plan: PlanRow,
    row: MoveRow,
    steps: Sequence[StepRow],
    now: float,
) -> MoveRow:
    """The account stands at the target. Its mailbox is carried from the renamed account on the new
    path, from the safety copy on the legacy one, so that what the provider has carried is adopted,
    and what it has lost is carried. Raises `Stale`, and `BadInput` as `renamed`."""
    person = held_mailbox(connection, row.mailbox)
    values: dict[str, Any] = {}
    if row.path == Path.NEW:
        values = {"source": renamed(person.source, row.address, row.temporary)}
    elif row.path == Path.LEGACY:
        values = {"source": endpoint_text(kept_endpoint(means, plan, row)), "source_secret": ""}
    begins, ends, guarded = nowhere(steps)
    after = advance(
        connection,
        row,
        MoveTrigger.ACCOUNT_MOVED,
        at=now,
        due=None,
        figures={
            "path": row.path,
            "seconds": round(now - (row.acknowledged_at or now), 3),
            "nowhere": None if begins is None or ends is None else round(ends - begins, 3),
            "guarded": int(guarded),
        },
        source=person.source,
        source_secret=person.source_secret,
        moved_at=now,
        undone_at=None,
        nowhere_from=begins,
        nowhere_until=ends,
        guarded=guarded,
    )
    _goes_on(connection, person, now, values)
    return after


def nowhere(steps: Sequence[StepRow]) -> tuple[float | None, float | None, bool]:
    """Between which moments the address was nowhere, at the most; and whether something took its
    mail meanwhile. None where it always was somewhere, as far as is known."""
    renamed_at = [each.begun_at for each in steps if each.kind == Part.RENAME]
    arrived_at = [each.ended_at for each in steps if each.kind == Part.ARRIVE]
    if not renamed_at or not arrived_at:
        return None, None, False
    guarded = any(each.kind == Part.GUARD and each.state in _STANDS for each in steps)
    return renamed_at[0], arrived_at[0], guarded


def stopped(connection: Connection, row: MoveRow, now: float) -> None:
    """Nothing is carried for the mailbox any more, before its account is taken back. One of which
    nothing has been carried yet waits where it began; another's journey ends here."""
    person = held_mailbox(connection, row.mailbox)
    if row.source is None or person.state in ENDED:
        return
    before: dict[str, Any] = {"source": row.source, "source_secret": row.source_secret or ""}
    if person.passes == 0 and person.state in UNBEGUN:
        why = "its account is being taken back"
        move(connection, person, Trigger.CHANGED, at=now, why=why, **before)
    elif person.passes == 0 and person.state is State.PAUSED:
        write(connection, person, **before)
    else:
        why = "its account is taken back; what was carried stays at the target"
        move(connection, person, Trigger.CANCELLED, at=now, why=why)


def undone(connection: Connection, row: MoveRow, steps: Sequence[StepRow], now: float) -> MoveRow:
    """The account is where it was. Its placeholder is free for others."""
    table, placeholder = tables.account_step, tables.placeholder
    numbers = [each.id for each in steps if each.state in _STANDS]
    connection.execute(
        update(table).where(table.c.id.in_(numbers)).values(state=StepState.TAKEN_BACK.value)
    )
    connection.execute(delete(placeholder).where(placeholder.c.move_id == row.id))
    return advance(
        connection,
        row,
        MoveTrigger.ACCOUNT_UNDONE,
        at=now,
        due=None,
        why=row.cause,
        figures={"steps": len(numbers)},
        ready=False,
        placeholder="",
        chosen=False,
        temporary="",
        source=None,
        source_secret=None,
        moved_at=None,
        undone_at=now,
    )


def retired(connection: Connection, row: MoveRow, now: float) -> MoveRow:
    """The old account is disabled."""
    return advance(connection, row, MoveTrigger.ACCOUNT_RETIRED, at=now, due=None, retired_at=now)


def _goes_on(
    connection: Connection, person: MailboxRow, now: float, values: dict[str, Any]
) -> None:
    """The mailbox is checked with what its endpoints are by now."""
    if person.state in ENDED:
        return
    if person.state in UNBEGUN:
        due = now if person.started_at is not None else None
        why = "its account has been moved"
        move(connection, person, Trigger.CHANGED, at=now, due=due, why=why, failures=0, **values)
    elif values:
        write(connection, person, **values)
