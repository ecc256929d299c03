"""What is done for a mailbox in each state: one function a phase, all by way of `perform`.

A run reads the mailbox's row; when that is no longer what the run was for, nothing is done. Else
the work is done, and one transaction writes what came of it and moves the row on. Every run that
was not stale leaves its mailbox with another step, state or generation, and with the moment at
which it is due again. So any run may be performed again, at any time, by anybody.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection

from mailhaul.core.errors import (
    MailhaulError,
    Superseded,
)
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey import passing
from mailhaul.journey.account_rows import move_of
from mailhaul.journey.account_written import findings
from mailhaul.journey.accounts import account_defect, carry_on
from mailhaul.journey.canaries import canary_defect, tend
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.means import Means, opened_pair
from mailhaul.journey.plans import PlanState, plan_row
from mailhaul.journey.proving import compared, proven, write_proof
from mailhaul.journey.rows import Stale, mailbox, move, write
from mailhaul.journey.runs import run_of
from mailhaul.journey.states import Phase, Trigger
from mailhaul.journey.taking_back import undo_pass
from mailhaul.journey.trouble import (
    ANSWER_EVERY,
    NO_SECRET,
    SHORTEST_PAUSE,
    TOKEN,
    Standing,
    delayed,
    doubled,
    failed,
    later,
    secret_of,
    secrets_of,
    troubled,
)
from mailhaul.journey.watching import domain_defect, watch

TOKEN_EVERY = 3600.0
"""Seconds after which a program is asked for another token when a server refused its last one."""

Work = Callable[[Means, Standing], Awaitable[Next | None]]


async def perform(means: Means, run: Run) -> Next | None:
    """Does what the run is for, if it is still to be done; what is to follow at once."""
    if run.phase is Phase.CANARY:
        return await tend(means, run)
    if run.phase is Phase.ACCOUNT:
        return await carry_on(means, run)
    if run.domain:
        return await watch(means, run)
    standing = await means.database.run(lambda c: _standing(c, run, means.clock.now()))
    if standing is None:
        return None
    try:
        return await _WORK[run.phase](means, standing)
    except (Stale, Superseded):
        return None
    except MailhaulError as error:
        await troubled(means, standing, error)
    except OSError as error:
        said = error.strerror or type(error).__name__
        name = f" at {printable(str(error.filename), 200)}" if error.filename else ""
        await later(means, standing, f"this machine says: {said}{name}", SHORTEST_PAUSE)
    return None


def _standing(connection: Connection, run: Run, at: float) -> Standing | None:
    row = mailbox(connection, run.mailbox)
    if run_of(row) != run:
        return None
    plan = plan_row(connection, row.plan)
    running = plan.state is PlanState.RUNNING and row.started_at is not None
    if not running and run.phase is not Phase.UNDO:
        # It is the same work for another run, once the plan goes on.
        write(connection, row, step=row.step + 1)
        return None
    account = move_of(connection, row.id) if run.phase in (Phase.CHECK, Phase.COPY) else None
    if account is not None and account.open:
        # Where its mail is, and where it goes, is what the move makes of it.
        why = "its account is to be moved first"
        write(connection, row, step=row.step + 1, due_at=None, reason=why)
        return None
    return Standing(run, row, plan)


# phases


async def _check(means: Means, standing: Standing) -> Next | None:
    plan, row = standing.plan, standing.row
    async with opened_pair(means, plan, row, rationed=False) as pair:
        checked = await means.examine(pair.source, pair.target, plan, row)
    refused = await secrets_of(means, standing, checked.refused)

    def done(connection: Connection) -> None:
        now = means.clock.now()
        findings(connection, row.id, tuple(checked.findings), now)
        blocking = [each for each in checked.findings if each.severity is Severity.BLOCKS]
        why = printable("; ".join(each.evidence for each in blocking[:3]), 1000)
        if refused:
            due = now + ANSWER_EVERY
            move(connection, row, Trigger.REFUSED, at=now, due=due, why=why, refused_secret=refused)
        elif checked.again_after is not None:
            away = checked.findings[0].evidence if checked.findings else "a server is away"
            pause = doubled(checked.again_after, row.failures)
            delayed(connection, row, printable(away, 1000), now, pause, {}, {})
        else:
            move(
                connection,
                row,
                Trigger.BLOCKED if blocking else Trigger.CHECKED,
                at=now,
                why=why,
                figures={
                    "findings": len(checked.findings),
                    "messages": checked.messages,
                    "octets": checked.octets,
                },
                expected_messages=checked.messages,
                expected_octets=checked.octets,
                failures=0,
            )

    await means.database.run(done)
    return None


async def _answer(means: Means, standing: Standing) -> Next | None:
    """Looks whether the credentials that were refused have changed; asks no server."""
    row = standing.row
    answered = True
    for each in (row.refused_secret or "").split():
        side, _, refused = each.partition(":")
        now = await secret_of(means, standing, Side(side))
        if now == refused and now.startswith(TOKEN):
            # Tokens differ from one login to the next: it is the account that has to change.
            answered &= means.clock.now() - row.since_at >= TOKEN_EVERY
        else:
            answered &= now not in (NO_SECRET, refused)

    def done(connection: Connection) -> None:
        now = means.clock.now()
        if answered:
            move(connection, row, Trigger.ANSWERED, at=now, due=now, refused_secret=None)
        else:
            write(connection, row, step=row.step + 1, due_at=now + ANSWER_EVERY)

    await means.database.run(done)
    return None


async def _verify(means: Means, standing: Standing) -> Next | None:
    plan, row = standing.plan, standing.row
    proof = await proven(means, plan, row)

    def done(connection: Connection) -> None:
        graded = write_proof(connection, row, proof)
        why = printable("; ".join(graded.reasons), 1000)
        move(
            connection,
            row,
            Trigger.VERIFIED,
            at=means.clock.now(),
            why=why,
            figures={
                "grade": graded.grade.value,
                "differences": sum(proof.verdict.differences.values()),
                **compared(proof.verdict),
            },
            grade=graded.grade.value,
            approved_by=None,
            approved_at=None,
            failures=0,
        )

    await means.database.run(done)
    return None


async def _undo(means: Means, standing: Standing) -> Next | None:
    """Undoes the passes that a person asked for, the newest first, one a run."""
    row = standing.row
    undoing = await undo_pass(means, standing.plan, row)

    def done(connection: Connection) -> Next | None:
        now = means.clock.now()
        left = undoing.write(connection, now)
        why = printable("; ".join(undoing.errors), 1000)
        told: dict[str, Any] = {**undoing.figures, "left": left}
        if left:
            due = now + SHORTEST_PAUSE if undoing.errors else now
            trigger = Trigger.HINDERED if undoing.errors else Trigger.SLICED
        else:
            due = None
            trigger = Trigger.UNDONE if row.resume_state is None else Trigger.TAKEN_BACK
        after = move(
            connection, row, trigger, at=now, due=due, why=why, figures=told, **undoing.values
        )
        following = run_of(after)
        return Next(following) if following is not None and after.due_at == now else None

    return await means.database.run(done)


_WORK: dict[Phase, Work] = {
    Phase.CHECK: _check,
    Phase.ANSWER: _answer,
    Phase.COPY: passing.copy,
    Phase.DELTA: passing.delta,
    Phase.FINAL: passing.final,
    Phase.SWEEP: passing.sweep,
    Phase.VERIFY: _verify,
    Phase.RETURN: passing.bring_back,
    Phase.UNDO: _undo,
}


async def failed_by_defect(means: Means, run: Run, why: str) -> None:
    """The run ended in a way that mailhaul itself is to blame for: a person must look."""
    if run.phase is Phase.CANARY:
        await canary_defect(means, run, why)
        return
    if run.phase is Phase.ACCOUNT:
        await account_defect(means, run, why)
        return
    if run.domain:
        await domain_defect(means, run, why)
        return
    standing = await means.database.run(lambda c: _standing(c, run, means.clock.now()))
    if standing is not None:
        await failed(means, standing, why)
