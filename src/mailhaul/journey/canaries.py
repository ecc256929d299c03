"""One run of a probe or a canary: hosts are asked, one message is sent, or mailboxes looked at.

Short, as all runs are. What is about to be said stands in rows first, with a moment by which it is
over; a run that is cut off leaves them so, and who comes after that moment asks again, or looks for
what may have been sent. Nothing is sent a second time unless a host has said no to the first.
"""

from sqlalchemy import Connection

from mailhaul.canary.judging import Fate
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Act
from mailhaul.core.errors import MailhaulError, RetryLater
from mailhaul.core.text import printable
from mailhaul.journey.canary_rows import (
    CanaryRow,
    Stage,
    canary_row,
    canary_run,
    clear_at,
    write_canary,
)
from mailhaul.journey.canary_seeking import seek
from mailhaul.journey.canary_speaking import MISSED, ask_about, send_one
from mailhaul.journey.canary_turns import LONGEST_PAUSE, SHORTEST_PAUSE, Turn, put_off
from mailhaul.journey.canary_wants import era_of
from mailhaul.journey.domains import domain
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanState, plan_row
from mailhaul.journey.rows import Stale, mailbox
from mailhaul.journey.states import ENDED, State


async def tend(means: Means, run: Run) -> Next | None:
    """Does what is due for the probe or the message; nothing follows at once."""
    post = means.post
    turn = await means.database.run(lambda c: _standing(c, run, means.clock.now()))
    if turn is None or post is None:
        return None
    try:
        if turn.row.stage is Stage.SOUGHT:
            await seek(means, turn)
        elif turn.row.kind is Act.ASK:
            await ask_about(means, post, turn)
        else:
            await send_one(means, post, turn)
    except Stale:
        return None
    except MailhaulError as error:
        await put_off(means, turn.row, error)
    except TimeoutError:
        await put_off(means, turn.row, RetryLater("a server of its mailboxes took too long"))
    except OSError as error:
        said = printable(error.strerror or type(error).__name__, 200)
        await put_off(means, turn.row, RetryLater(f"this machine says: {said}"))
    return None


async def canary_defect(means: Means, run: Run, why: str) -> None:
    """The run ended in a way that mailhaul itself is to blame for: it is left, and told."""

    def done(connection: Connection) -> None:
        row = canary_row(connection, run.generation)
        if canary_run(row) == run:
            due = means.clock.now() + LONGEST_PAUSE
            write_canary(connection, row, due_at=due, reason=printable(why, 1000))

    await means.database.run(done)


def _standing(connection: Connection, run: Run, now: float) -> Turn | None:
    """What the run is for, if it is still to be done."""
    row = canary_row(connection, run.generation)
    if canary_run(row) != run or row.stage is Stage.OVER:
        return None
    plan = plan_row(connection, row.plan)
    zone = domain(connection, row.domain)
    if plan.state is not PlanState.RUNNING or plan.started_at is None:
        # It is the same work for another run, once the plan goes on.
        write_canary(connection, row)
        return None
    person = mailbox(connection, row.mailbox)
    canary = plan.plan.canary
    if row.stage is Stage.SPEAKING:
        _lost_track(connection, row, now)
        return None
    if row.stage is Stage.DUE:
        wanted = canary is not None and canary.on and plan.plan.dns is not None
        if not wanted or era_of(zone) != row.era or person.state in ENDED:
            left = row.outcome or ("" if row.kind is Act.ASK else Fate.UNSENT.value)
            why = row.reason or "its time is over"
            write_canary(
                connection, row, stage=Stage.OVER.value, due_at=None, outcome=left, reason=why
            )
            return None
        if person.state in (State.PAUSED, State.UNDOING):
            write_canary(connection, row, due_at=now + SHORTEST_PAUSE, reason="its mailbox rests")
            return None
        if (clear := clear_at(connection, row.plan)) > now:
            write_canary(connection, row, due_at=clear)
            return None
    return Turn(row, plan, zone, person)


def _lost_track(connection: Connection, row: CanaryRow, now: float) -> None:
    """Whoever was speaking has ended. Asking again does no harm; sending again would."""
    if row.kind is Act.ASK:
        write_canary(connection, row, stage=Stage.DUE.value, due_at=now)
        return
    write_canary(
        connection,
        row,
        stage=Stage.SOUGHT.value,
        due_at=now,
        taken_at=row.sent_at,
        deadline_at=row.sent_at + MISSED,
        verdict=Verdict.UNCERTAIN.value,
        said="whoever sent it ended before the answer was kept",
    )
