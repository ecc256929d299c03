"""What a run does for an account: a look, the next step forward, back, or of its old account's end.

A run does one thing at a provider. Steps are rows (`account_steps`); what came of one is written
together with the move's next step number, so that of two who do the same only one is heard.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mailhaul.core.text import printable
from mailhaul.journey.account_doors import still_shut
from mailhaul.journey.account_end import moved, retired, stopped, undone
from mailhaul.journey.account_look import Look, look
from mailhaul.journey.account_places import secret_for
from mailhaul.journey.account_rows import MoveRow, advance, move_run, write_move
from mailhaul.journey.account_safety import keep
from mailhaul.journey.account_states import MoveState, MoveTrigger
from mailhaul.journey.account_steps import (
    Part,
    StepRow,
    StepState,
    plan_steps,
    write_step,
)
from mailhaul.journey.account_taking import Came, Taken, take
from mailhaul.journey.account_undo import backwards, has_arrived, in_the_way
from mailhaul.journey.account_written import looked, others_have
from mailhaul.journey.engine import Next
from mailhaul.journey.events import Figure, Record, record
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.journey.states import ENDED
from mailhaul.plan.durations import duration_text
from mailhaul.providers import saga

AGAIN_AFTER = 30.0
"""Seconds, times the tries so far, before what ended in error is begun once more."""
BEGINNING = 60.0
"""Seconds of a clock on the wall that a provider may take to answer when something begins."""
KNOCKS, LATEST_KNOCK = 20.0, 900.0
"""Seconds between two logins to an account that stands in its new place, each twice the last."""
KNOCKING = 7200.0
"""Seconds after which it is not the servers that are late."""
SOONEST, LATEST = 2.0, 300.0
"""Seconds between two questions after a task: the longer it takes, the more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An account whose turn it is: its move, its mailbox, its plan, the steps of this round."""

    row: MoveRow
    person: MailboxRow
    plan: PlanRow
    steps: tuple[StepRow, ...]

    def of(self, part: Part) -> list[StepRow]:
        """The steps of that part."""
        return [each for each in self.steps if each.part is part]


def fail(connection: Connection, row: MoveRow, why: str, now: float) -> MoveRow:
    """A person must act; until then nothing is done about it."""
    said = printable(why, 1000)
    return advance(connection, row, MoveTrigger.ACCOUNT_FAILED, at=now, due=None, why=said)


async def look_at(means: Means, turn: Turn) -> Next | None:
    """What is told before anybody is asked."""
    row = turn.row
    others = await means.database.run(lambda c: others_have(c, turn.plan, row))
    found = await look(means, turn.plan, row, turn.person, others)
    await means.database.run(lambda c: looked(c, means, turn.plan, row, found, means.clock.now()))
    return None


async def forward(means: Means, turn: Turn) -> Next | None:
    row = turn.row
    if turn.person.state in ENDED and not _past_return(turn):
        return await _turn(means, turn, "its mailbox was cancelled")
    if turn.of(Part.MOVE):
        return await step_on(means, turn, Part.MOVE)
    # The moment of the switch: what was true when a person agreed may be so no longer.
    others = await means.database.run(lambda c: others_have(c, turn.plan, row))
    found = await look(means, turn.plan, row, turn.person, others)
    if why := _differs(row, found):
        return await _turn(means, turn, why)

    def planned(connection: Connection) -> Next:
        now = means.clock.now()
        after = write_move(connection, row, step=row.step + 1, due_at=now, failures=0, reason="")
        plan_steps(connection, after, Part.MOVE, found.steps)
        return Next(move_run(after))

    return await means.database.run(planned)


def _differs(row: MoveRow, found: Look) -> str:
    """Why what a person agreed to can't be done any more; empty where it can."""
    if found.blocking:
        return found.why_not
    agreed, now = (row.path, row.placeholder), (found.path, found.placeholder)
    if agreed != now or (row.temporary and row.temporary != found.temporary):
        return "it would be done otherwise by now than a person agreed to"
    return ""


async def _turn(means: Means, turn: Turn, why: str) -> Next | None:
    """What was done before is taken back."""
    said = printable(why, 1000)

    def turned(connection: Connection) -> Next:
        now = means.clock.now()
        trigger = MoveTrigger.ACCOUNT_TURNED
        return Next(move_run(advance(connection, turn.row, trigger, at=now, due=now, why=said)))

    return await means.database.run(turned)


def _past_return(turn: Turn) -> bool:
    """Whether what nothing takes back has been begun, and may hold."""
    begun = (StepState.BEGUN, StepState.DONE, StepState.BROKEN)
    return any(each.last and each.state in begun for each in turn.of(Part.MOVE))


# a step, of whatever part


async def step_on(means: Means, turn: Turn, part: Part) -> Next | None:
    """The first step that is not done, as far as it goes now."""
    step = next((each for each in turn.of(part) if each.state not in _OVER), None)
    if step is None and part is Part.MOVE and (why := await _shut(means, turn)):
        await means.database.run(lambda c: _knocks_again(c, means, turn, why))
        return None
    if step is None:
        return await means.database.run(lambda c: _through(c, means, turn, part))
    if step.action is None:
        return await _keep(means, turn, step)
    assert means.providers is not None
    secret = None
    if step.needs_secret:
        secret = await secret_for(means, turn.plan, turn.row, turn.person, step.action)
    first = step.state is StepState.PLANNED
    row = turn.row
    # What comes before it may have taken a while, and mail may have come meanwhile.
    gives_up = first and part is Part.UNDO and step.kind == saga.Part.ARRIVE
    if gives_up and (why := await _left_behind(means, turn, "take them out by hand")):
        said = f"{why}; then mailhaul accounts retry"
        await means.database.run(lambda c: fail(c, row, said, means.clock.now()))
        return None
    if first:
        row, step = await _begun(means, row, step)
    stay = means.stay_seconds if step.kind in _NOWHERE else 0.0
    taken = await take(means.providers, turn.plan, step, secret, first=first, stay=stay)
    later = Turn(row, turn.person, turn.plan, turn.steps)
    return await means.database.run(lambda c: _came(c, means, later, step, taken))


async def _shut(means: Means, turn: Turn) -> str:
    """Why its mailbox can't be carried yet though all steps are done."""
    if turn.person.state in ENDED:
        return ""
    return await still_shut(means, turn.plan, turn.row, turn.person)


def _knocks_again(connection: Connection, means: Means, turn: Turn, why: str) -> None:
    """Seldom, for servers count wrong passwords; and not for ever."""
    row, now = turn.row, means.clock.now()
    ended = max((each.ended_at or 0.0 for each in turn.of(Part.MOVE)), default=now)
    if now - max(row.since_at, ended) > KNOCKING:
        fail(connection, row, f"all is done, and the account can't be logged in to: {why}", now)
        return
    said = printable(f"all is done; servers don't know of it yet: {why}", 1000)
    due = now + min(KNOCKS * 2 ** min(row.failures, 10), LATEST_KNOCK)
    failures = row.failures + 1
    write_move(connection, row, step=row.step + 1, due_at=due, reason=said, failures=failures)


_OVER = (StepState.DONE, StepState.TAKEN_BACK, StepState.LEFT)
_NOWHERE = frozenset({saga.Part.RENAME, saga.Part.GUARD, saga.Part.ARRIVE})
"""Kinds of steps by which an address comes to be nowhere, and somewhere again, on both ways."""


async def _begun(means: Means, row: MoveRow, step: StepRow) -> tuple[MoveRow, StepRow]:
    """Written down before the provider hears of it. This run goes on; should it end, another does
    in its place, but not before its time is over."""

    def written(connection: Connection) -> tuple[MoveRow, StepRow]:
        now = means.clock.now()
        lasts = BEGINNING if step.action is not None else BEGINNING + means.slice_seconds
        due = now + lasts * means.clock.speed
        after = write_move(connection, row, step=row.step + 1, due_at=due)
        begun = {"state": StepState.BEGUN.value, "begun_at": now, "tries": 1}
        return after, write_step(connection, step, **begun)

    return await means.database.run(written)


async def _keep(means: Means, turn: Turn, step: StepRow) -> Next | None:
    """A slice of the safety copy."""
    row = turn.row
    if step.state is StepState.PLANNED:
        row, step = await _begun(means, row, step)
    said = await keep(means, turn.plan, row, turn.person)
    taken = Taken(Came.DONE if said.whole else Came.WAITS, said.words)
    later = Turn(row, turn.person, turn.plan, turn.steps)
    return await means.database.run(lambda c: _came(c, means, later, step, taken))


def _came(
    connection: Connection, means: Means, turn: Turn, step: StepRow, taken: Taken
) -> Next | None:
    """Writes down how far the step is, and what is to follow."""
    row, now = turn.row, means.clock.now()
    values: dict[str, Any] = {"said": taken.said, "by_person": taken.by_person}
    match taken.came:
        case Came.DONE:
            after = write_move(
                connection, row, step=row.step + 1, due_at=now, failures=0, reason=""
            )
            ended = {"state": StepState.DONE.value, "task": taken.task, "ended_at": now}
            write_step(connection, step, **values, **ended)
            _tell(connection, row, step, now)
            return Next(move_run(after))
        case Came.WAITS:
            if why := _impatient(turn, step, now):
                failed = fail(connection, row, f"{why}{taken.said and f': {taken.said}'}", now)
                write_step(connection, step, **values, task=taken.task)
                return None if failed.due_at is None else Next(move_run(failed))
            due = now + min(max(SOONEST, (now - _since(row, step)) / 10), LATEST)
            reason = printable(f"{step.words}: {taken.said or 'the provider is at it'}", 1000)
            write_move(connection, row, step=row.step + 1, due_at=due, failures=0, reason=reason)
            write_step(connection, step, **values, task=taken.task)
        case Came.AGAIN:
            pause = AGAIN_AFTER * step.tries
            reason = printable(f"{step.words}: {taken.said}; it is begun again", 1000)
            write_move(connection, row, step=row.step + 1, due_at=now + pause, reason=reason)
            write_step(connection, step, **values, task="", tries=step.tries + 1)
        case Came.REFUSED | Came.BROKEN:
            return _stopped(connection, means, turn, step, taken, values)
    return None


def _stopped(
    connection: Connection,
    means: Means,
    turn: Turn,
    step: StepRow,
    taken: Taken,
    values: dict[str, Any],
) -> Next | None:
    """The step won't be done. Forward: what was done before it is taken back, where that can be;
    else a person must act. What stands beside an account that has arrived is left to a person, and
    the move goes on: some refuse a right for a colleague who hasn't moved yet."""
    now = means.clock.now()
    broken = taken.came is Came.BROKEN
    if step.part is Part.MOVE and step.kind == saga.Part.FOLLOW and not broken:
        row = turn.row
        after = write_move(connection, row, step=row.step + 1, due_at=now, failures=0, reason="")
        write_step(connection, step, **values, state=StepState.LEFT.value, ended_at=now)
        return Next(move_run(after))
    why = printable(f"{step.words}: {taken.said}", 1000)
    earlier = [each for each in turn.of(Part.MOVE) if each.id != step.id]
    final = any(each.last and each.state is StepState.DONE for each in earlier)
    if step.part is not Part.MOVE or final or (broken and step.last):
        fail(connection, turn.row, why, now)
        following = None
    else:
        trigger = MoveTrigger.ACCOUNT_TURNED
        after = advance(connection, turn.row, trigger, at=now, due=now, why=why)
        following = Next(move_run(after))
    state = StepState.BROKEN if broken else StepState.REFUSED
    write_step(connection, step, **values, state=state.value, ended_at=now)
    return following


def _through(connection: Connection, means: Means, turn: Turn, part: Part) -> Next | None:
    """All its steps are done."""
    now = means.clock.now()
    match part:
        case Part.MOVE:
            moved(connection, means, turn.plan, turn.row, turn.of(Part.MOVE), now)
        case Part.UNDO:
            undone(connection, turn.row, turn.of(Part.MOVE), now)
        case Part.RETIRE:
            retired(connection, turn.row, now)
    return None


def _impatient(turn: Turn, step: StepRow, now: float) -> str:
    """Why a person is asked what to make of a task that doesn't end; empty while it is waited for.
    What only a person does, or is a copy of ours, takes its time."""
    accounts = turn.plan.plan.accounts
    if accounts is None or step.action is None or step.by_person:
        return ""
    if now - _since(turn.row, step) < accounts.patience.total_seconds():
        return ""
    waited = duration_text(accounts.patience)
    return f"{step.words}: it has not ended within {waited}; mailhaul accounts status tells of it"


def _since(row: MoveRow, step: StepRow) -> float:
    """Since when it is waited for: a person may have let it go on."""
    return max(row.since_at, step.begun_at or row.since_at)


def _tell(connection: Connection, row: MoveRow, step: StepRow, now: float) -> None:
    seconds = round(now - (step.begun_at or now), 3)
    figures: dict[str, Figure] = {"part": step.part.value, "kind": step.kind, "seconds": seconds}
    what = Record("account_step", mailbox=row.mailbox, why=step.words, figures=figures)
    record(connection, row.plan, what, now)


# back


async def back(means: Means, turn: Turn) -> Next | None:
    """Back to where it was: first it is looked whether nobody's mail would be left behind."""
    assert means.providers is not None
    if turn.of(Part.UNDO):
        return await step_on(means, turn, Part.UNDO)
    row = turn.row
    if why := await _left_behind(means, turn):
        await means.database.run(lambda c: _kept(c, row, why, means.clock.now()))
        return None
    found = await backwards(means.providers, turn.plan, turn.of(Part.MOVE))
    if found is None:
        if why := _undo_late(turn, means.clock.now()):
            await means.database.run(lambda c: fail(c, row, why, means.clock.now()))
            return None
        due = means.clock.now() + SOONEST * 5
        why = "the provider is at work on it; it is taken back once that has ended"
        await means.database.run(
            lambda c: write_move(c, row, step=row.step + 1, due_at=due, reason=why)
        )
        return None

    def planned(connection: Connection) -> Next | None:
        now = means.clock.now()
        stopped(connection, row, now)
        if not found:
            undone(connection, row, turn.of(Part.MOVE), now)
            return None
        after = write_move(connection, row, step=row.step + 1, due_at=now, failures=0)
        plan_steps(connection, after, Part.UNDO, found)
        return Next(move_run(after))

    return await means.database.run(planned)


async def _left_behind(means: Means, turn: Turn, cure: str = "") -> str:
    """Whose mail would be left behind, and the cure; empty where nobody's would be."""
    assert means.providers is not None
    if turn.row.moved_at is not None:
        cure = cure or "mailhaul return brings them back first"
        return await in_the_way(means, turn.plan, turn.row, turn.person, cure)
    steps = turn.of(Part.MOVE)
    if not await has_arrived(means.providers, turn.plan, turn.row.address, steps):
        return ""
    cure = cure or (
        "let the move go on (mailhaul accounts retry), or take them out by hand and undo it"
    )
    return await in_the_way(means, turn.plan, turn.row, turn.person, cure)


def _kept(connection: Connection, row: MoveRow, why: str, now: float) -> None:
    """It stays at the target. A move that was not through yet waits there for a person, who may
    have it go on."""
    if row.moved_at is not None:
        said = printable(why, 1000)
        advance(connection, row, MoveTrigger.ACCOUNT_KEPT, at=now, due=None, why=said)
        return
    failed = fail(connection, row, f"{row.cause}, and it can't be taken back: {why}", now)
    write_move(connection, failed, resume_state=MoveState.MOVING.value)


def _undo_late(turn: Turn, now: float) -> str:
    accounts = turn.plan.plan.accounts
    if accounts is None or now - turn.row.since_at < accounts.patience.total_seconds():
        return ""
    return (
        f"the provider has been at work on it for {duration_text(accounts.patience)}: "
        "it can't be taken back before that ends"
    )
