"""One run of an account's move: whose turn it is, and what is done about trouble.

Short and idempotent, as all runs are. What is about to be begun stands in a row first, with the key
by which the provider finds it again; a run that is cut off anywhere is made again by whoever comes,
from what the row says and from what stands at the provider by then (`account_going`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import Busy, Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_doors import refused_login
from mailhaul.journey.account_going import Turn, back, fail, forward, look_at, step_on
from mailhaul.journey.account_rows import MoveRow, move_row, move_run, write_move
from mailhaul.journey.account_states import WORKING, MoveState
from mailhaul.journey.account_steps import Part, StepRow, StepState, steps_of
from mailhaul.journey.control import section_of
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanState, plan_row
from mailhaul.journey.rows import Stale, mailbox
from mailhaul.journey.states import ENDED, State

SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 900.0
ANSWER_EVERY = 60.0
"""Seconds between two looks whether refused credentials have changed."""
TOKEN_EVERY = 600.0
"""Seconds after which another token is tried: they differ from one login to the next."""
REST = 60.0
"""Seconds after which it is asked again whether a plan that rests goes on."""


async def carry_on(means: Means, run: Run) -> Next | None:
    """Does what is due for the account; what is to follow at once."""
    turn = await means.database.run(lambda c: _standing(c, run, means.clock.now()))
    if turn is None or means.providers is None:
        # A worker that has no way to control planes leaves it to one that has.
        return None
    try:
        if await _still_refused(means, turn):
            return None
        match turn.row.state:
            case MoveState.MOVING:
                return await forward(means, turn)
            case MoveState.UNDOING:
                return await back(means, turn)
            case MoveState.RETIRING:
                return await step_on(means, turn, Part.RETIRE)
            case _:
                return await look_at(means, turn)
    except Stale:
        return None
    except MailhaulError as error:
        await _troubled(means, turn, error)
    except TimeoutError:
        await _troubled(means, turn, RetryLater("a server took too long"))
    except OSError as error:
        said = printable(error.strerror or type(error).__name__, 200)
        await _troubled(means, turn, RetryLater(f"this machine says: {said}"))
    return None


async def account_defect(means: Means, run: Run, why: str) -> None:
    """The run ended in a way that mailhaul itself is to blame for: a person must look."""

    def done(connection: Connection) -> None:
        row = move_row(connection, run.domain)
        if move_run(row) != run:
            return
        now = means.clock.now()
        if row.state in WORKING:
            fail(connection, row, why, now)
        else:
            due = now + LONGEST_PAUSE
            write_move(connection, row, step=row.step + 1, due_at=due, reason=why)

    await means.database.run(done)


def _standing(connection: Connection, run: Run, now: float) -> Turn | None:
    row = move_row(connection, run.domain)
    steps = tuple(steps_of(connection, row))
    if move_run(row) != run and not _cut_off(row, run, steps):
        return None
    plan = plan_row(connection, row.plan)
    person = mailbox(connection, row.mailbox)
    going = (
        plan.state is PlanState.RUNNING
        and plan.started_at is not None
        and person.started_at is not None
        and person.state is not State.PAUSED
    )
    # What has been begun is brought to its end: the address may be nowhere.
    begun = row.state in WORKING and (bool(steps) or row.state is not MoveState.MOVING)
    if row.state not in (*WORKING, MoveState.WAITING):
        write_move(connection, row, step=row.step + 1, due_at=None)
        return None
    if not going and not begun:
        due = None if person.state in ENDED else now + REST
        write_move(connection, row, step=row.step + 1, due_at=due)
        return None
    if row.state is MoveState.WAITING and person.state in ENDED:
        write_move(connection, row, step=row.step + 1, due_at=None, ready=False)
        return None
    return Turn(row, person, plan, steps)


def _cut_off(row: MoveRow, run: Run, steps: Sequence[StepRow]) -> bool:
    """Whether this run had begun a step when its worker died, and is made again by the engine: the
    row has been moved on for whoever comes when its time is over, and nobody has come yet."""
    begun = any(each.state is StepState.BEGUN and not each.task for each in steps)
    return begun and row.state in WORKING and move_run(row) == replace(run, step=run.step + 1)


async def _still_refused(means: Means, turn: Turn) -> bool:
    """Whether a control plane would be asked with what it has refused before (F4)."""
    row = turn.row
    # What mail servers refused stands there too, and is asked after by looks.
    pairs = (each.partition(":") for each in (row.refused_secret or "").split())
    known = [(Side(side), refused) for side, _, refused in pairs if side in set(Side)]
    if not known:
        return False
    for side, refused in known:
        if await _fingerprint(means, turn, side) not in (refused, None):
            return False
    due = means.clock.now() + ANSWER_EVERY
    await means.database.run(lambda c: write_move(c, row, step=row.step + 1, due_at=due))
    return True


async def _fingerprint(means: Means, turn: Turn, side: Side) -> str | None:
    """By which that side's secret of now is known again; None where it can't be."""
    section = section_of(turn.plan, side)
    if section is None or not section.secret:
        return None
    try:
        login: Credentials = await means.resolve(section.secret, turn.plan.directory)
    except Closed:
        return None
    return await asyncio.to_thread(means.fingerprint, login)


async def _troubled(means: Means, turn: Turn, error: MailhaulError) -> None:
    """What may pass by itself is tried again; what a person must act on stops what is being done,
    and only delays a look. With credentials that were refused nobody asks again."""
    why = printable(f"{error.side}: {error}" if error.side else str(error), 1000)
    refused: str | None = None
    closed = error.reason if isinstance(error, Closed) else None
    if closed is ClosedReason.CREDENTIALS and error.side:
        found = await _fingerprint(means, turn, Side(error.side))
        refused = None if found is None else f"{error.side}:{found}"
    kept = " ".join(filter(None, (refused, refused_login(turn.row)))) or None
    passing = isinstance(error, RetryLater | Busy) or closed in (
        ClosedReason.UNREACHABLE,
        ClosedReason.CREDENTIALS,
    )

    def done(connection: Connection) -> None:
        now = means.clock.now()
        # What was begun meanwhile has moved the row on; the trouble is still its own.
        row = move_row(connection, turn.row.id)
        if (row.generation, row.state) != (turn.row.generation, turn.row.state):
            return
        if row.state in WORKING and not passing:
            fail(connection, row, why, now)
            return
        pause = min(SHORTEST_PAUSE * 2 ** min(row.failures, 10), LONGEST_PAUSE)
        if closed is ClosedReason.CREDENTIALS:
            pause = ANSWER_EVERY if refused else TOKEN_EVERY
        elif isinstance(error, RetryLater) and error.throttled:
            pause = max(error.after, 1.0)
        write_move(
            connection,
            row,
            step=row.step + 1,
            due_at=now + pause,
            reason=why,
            failures=row.failures + 1,
            refused_secret=kept,
        )

    try:
        await means.database.run(done)
    except Stale:
        return
