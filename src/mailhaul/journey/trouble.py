"""What is done about a phase that could not do its work.

Only what a person must decide stops a mailbox; everything else waits, says why, and is tried again.
"""

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mailhaul.core.errors import Busy, Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey.engine import Run
from mailhaul.journey.events import Record, record
from mailhaul.journey.means import Means, login_of
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, Stale, mailbox, move, write
from mailhaul.journey.states import State, Trigger

ANSWER_EVERY = 60.0
"""Seconds between two looks whether refused credentials have changed."""
BUSY_PAUSE = 10.0
SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
NO_SECRET = "none"  # noqa: S105 - says that there is none
TOKEN = "token"  # noqa: S105 - says that it was one


@dataclass(slots=True)
class Standing:
    """A mailbox whose turn it is, and its plan."""

    run: Run
    row: MailboxRow
    plan: PlanRow


async def troubled(means: Means, standing: Standing, error: MailhaulError) -> None:
    """Only what a person must decide stops the mailbox; everything else waits and says why."""
    side = f"{error.side}: " if error.side else ""
    why = printable(f"{side}{error}", 1000)
    match error:
        case Busy():
            await _briefly(means, standing, why)
        case RetryLater(throttled=True):
            await later(means, standing, why, error.after, doubling=False)
        case RetryLater():
            await later(means, standing, why, max(error.after, SHORTEST_PAUSE))
        case Closed(reason=ClosedReason.UNREACHABLE):
            await later(means, standing, why, SHORTEST_PAUSE)
        case Closed(reason=ClosedReason.CREDENTIALS):
            await _refused(means, standing, error, why)
        case _:
            await failed(means, standing, why)


async def _refused(means: Means, standing: Standing, error: Closed, why: str) -> None:
    """From here on nobody logs in until the secret is another one."""
    row = await _current(means, standing)
    if row.state is State.UNDOING:
        await failed(means, standing, why)
        return
    side = Side(error.side) if error.side else Side.SOURCE
    refused = await secrets_of(means, standing, {side})

    def done(connection: Connection) -> None:
        now = means.clock.now()
        due = now + ANSWER_EVERY
        move(connection, row, Trigger.REFUSED, at=now, due=due, why=why, refused_secret=refused)

    await _unless_stale(means, done)


async def secrets_of(means: Means, standing: Standing, sides: Collection[Side]) -> str:
    """By what it is known again what was refused, side by side: `source:FINGERPRINT`."""
    return " ".join(
        [f"{side.value}:{await secret_of(means, standing, side)}" for side in Side if side in sides]
    )


async def secret_of(means: Means, standing: Standing, side: Side) -> str:
    """See `known_again`."""
    return await known_again(means, standing.plan, standing.row, side)


async def known_again(means: Means, plan: PlanRow, row: MailboxRow, side: Side) -> str:
    """By what that side's present secret is known again: `NO_SECRET`, `TOKEN` and the login's mark,
    or its fingerprint."""
    try:
        login = await login_of(means, plan, row, side)
    except Closed:
        return NO_SECRET
    if login.token is not None:
        return f"{TOKEN}-{login.mark}" if login.mark else TOKEN
    return await asyncio.to_thread(means.fingerprint, login) or NO_SECRET


async def failed(means: Means, standing: Standing, why: str) -> None:
    """The mailbox stops until a person lets it go on."""
    row = await _current(means, standing)
    # What is being undone has another place to go back to; a person lets it go on with `retry`.
    trigger = Trigger.HINDERED if row.state is State.UNDOING else Trigger.FAILED
    await _unless_stale(means, lambda c: move(c, row, trigger, at=means.clock.now(), why=why))


async def _briefly(means: Means, standing: Standing, why: str) -> None:
    row = await _current(means, standing)
    due = means.clock.now() + BUSY_PAUSE
    await _unless_stale(means, lambda c: write(c, row, step=row.step + 1, due_at=due, reason=why))


async def later(
    means: Means, standing: Standing, why: str, pause: float, *, doubling: bool = True
) -> None:
    """Tried again after `pause` seconds or, doubling, longer with every failure in a row."""
    row = await _current(means, standing)
    now = means.clock.now()
    if doubling:
        pause = doubled(pause, row.failures)
        pause *= 0.75 + random.random() / 2  # noqa: S311 - spreads retries, guards nothing
    await _unless_stale(means, lambda c: delayed(c, row, why, now, pause, {}, {}))


def doubled(pause: float, failures: int) -> float:
    """A pause that doubles with every failure, up to `LONGEST_PAUSE`."""
    return max(pause, min(pause * 2.0 ** min(failures, 20), LONGEST_PAUSE))


def delayed(
    connection: Connection,
    row: MailboxRow,
    why: str,
    now: float,
    pause: float,
    figures: dict[str, Any],
    values: dict[str, Any],
) -> MailboxRow:
    """Something temporary: it is told, and tried again after a pause."""
    told = {**figures, "state": row.state.value, "pause": round(pause), "tries": row.failures + 1}
    record(connection, row.plan, Record("delayed", mailbox=row.id, why=why, figures=told), now)
    return write(
        connection,
        row,
        **{
            **values,
            "step": row.step + 1,
            "due_at": now + pause,
            "reason": why,
            "failures": row.failures + 1,
        },
    )


async def _current(means: Means, standing: Standing) -> MailboxRow:
    """The row with what a slice has written in it since; if it is still the same one."""
    before = standing.row
    row = await means.database.run(lambda c: mailbox(c, before.id))
    return before if moved_on(before, row) else row


def moved_on(before: MailboxRow, now: MailboxRow) -> bool:
    """Whether somebody else has moved the row since."""
    return (now.generation, now.state, now.step) != (before.generation, before.state, before.step)


async def _unless_stale(means: Means, work: Callable[[Connection], object]) -> None:
    try:
        await means.database.run(work)
    except Stale:
        # It has moved on, and so has the trouble.
        return
