"""Whose turn it is in canary mail, what each turn needs, and what follows when it was in vain."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from mailhaul.canary.judging import Fate
from mailhaul.canary.routes import Act
from mailhaul.core.errors import Busy, MailhaulError
from mailhaul.core.text import printable
from mailhaul.journey.canary_rows import (
    TRIES,
    CanaryRow,
    Stage,
    canary_row,
    write_canary,
)
from mailhaul.journey.domains import DomainRow
from mailhaul.journey.means import Means, Pair, opened_pair
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, Stale

SHORTEST_PAUSE = 300.0
LONGEST_PAUSE = 3600.0
"""Seconds until a host is asked again; greylisting hosts want some minutes."""
GIVEN_UP = 86_400.0
"""Seconds for which a message is looked for."""
SLOWEST_LOOK = 600.0
BUSY_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is."""

    row: CanaryRow
    plan: PlanRow
    zone: DomainRow
    mailbox: MailboxRow


def opened_aside(means: Means, turn: Turn) -> AbstractAsyncContextManager[Pair]:
    """Both mailboxes, while no pass is at them."""
    aside = replace(means, opener=means.aside or means.opener)
    return opened_pair(aside, turn.plan, turn.mailbox, rationed=False)


async def put_off(means: Means, row: CanaryRow, error: MailhaulError) -> None:
    """It could not be done now, and nothing was said or changed by it."""

    def done(connection: Connection) -> None:
        now = means.clock.now()
        why = printable(str(error), 1000)
        if isinstance(error, Busy):
            stage = Stage.DUE if row.stage is Stage.SPEAKING else row.stage
            due = now + BUSY_PAUSE
            write_canary(connection, row, stage=stage.value, due_at=due, reason=why)
        elif row.stage is Stage.SOUGHT:
            given_up = now - (row.taken_at or now) > GIVEN_UP
            write_canary(
                connection,
                # What was found by then has been kept.
                canary_row(connection, row.id),
                stage=Stage.OVER.value if given_up else Stage.SOUGHT.value,
                due_at=None if given_up else now + min(pause_after(row) / 10, SLOWEST_LOOK),
                tries=row.tries + 1,
                reason=why,
                **({"outcome": Fate.MISSING.value} if given_up and not row.seen else {}),
            )
        elif row.kind is Act.ASK:
            due = now + pause_after(row)
            write_canary(connection, row, stage=Stage.DUE.value, due_at=due, reason=why)
        else:
            tries = row.tries + (0 if row.stage is Stage.SPEAKING else 1)
            write_canary(connection, row, tries=tries, **offered_again(row, why, now))

    try:
        await means.database.run(done)
    except Stale:
        return


def offered_again(row: CanaryRow, why: str, now: float) -> dict[str, Any]:
    """The message is offered again later, or no more."""
    reason = printable(why, 1000)
    if row.tries >= TRIES:
        over = {"stage": Stage.OVER.value, "due_at": None, "outcome": Fate.UNSENT.value}
        return {**over, "reason": reason}
    return {"stage": Stage.DUE.value, "due_at": now + pause_after(row), "reason": reason}


def pause_after(row: CanaryRow) -> float:
    return min(SHORTEST_PAUSE * 2.0 ** max(0, min(row.tries, 10) - 1), LONGEST_PAUSE)
