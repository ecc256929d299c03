"""The states of a mailbox's journey, and every way from one to another. A table, and no more.

A trigger that stands in no row for the present state changes nothing: whoever comes late with news
of an earlier state is ignored. docs/journey.md draws its picture from this table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a mailbox is."""

    PLANNED = "planned"
    BLOCKED = "blocked"
    CHECKED = "checked"
    WAITING = "waiting"
    READY = "ready"
    COPYING = "copying"
    SYNCED = "synced"
    FINAL = "final"
    SWEEPING = "sweeping"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    RETURNING = "returning"
    COMPLETED = "completed"
    PAUSED = "paused"
    FAILED = "failed"
    UNDOING = "undoing"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"


class Phase(StrEnum):
    """What is done for a mailbox in a state; each run of one is a short durable workflow."""

    CHECK = "check"
    ANSWER = "answer"
    COPY = "copy"
    DELTA = "delta"
    FINAL = "final"
    SWEEP = "sweep"
    VERIFY = "verify"
    RETURN = "return"
    UNDO = "undo"
    ZONE = "zone"
    """Of a domain, not of a mailbox (`journey.domain_states`)."""
    CANARY = "canary"
    """Of a probe or a marked message (`journey.canaries`)."""
    ACCOUNT = "account"
    """Of an account that is moved at its providers (`journey.account_states`)."""


PHASES = {
    State.PLANNED: Phase.CHECK,
    State.WAITING: Phase.ANSWER,
    State.READY: Phase.COPY,
    State.COPYING: Phase.COPY,
    State.SYNCED: Phase.DELTA,
    State.FINAL: Phase.FINAL,
    State.SWEEPING: Phase.SWEEP,
    State.VERIFYING: Phase.VERIFY,
    State.RETURNING: Phase.RETURN,
    State.UNDOING: Phase.UNDO,
}
"""What runs in which state, once it is due. In all other states nothing runs by itself."""


class Trigger(StrEnum):
    """What moves a mailbox on."""

    CHECKED = "the check found nothing that blocks"
    BLOCKED = "the check found what blocks"
    ADMITTED = "the plan has been started and its objects are verified"
    BEGUN = "the first slice begins"
    SLICED = "more is to be done"
    CARRIED = "everything is there"
    TOUCHED_UP = "what was new has been carried"
    WENT = "the go/no-go gate was opened"
    SWEPT = "a sweep has ended"
    QUIET = "the sweeps' time is over and the last ones were empty"
    VERIFIED = "both sides have been compared"
    SIGNED = "signed off"
    TURNED_BACK = "a person asked for the way back"
    BROUGHT_BACK = "a pass back has ended"
    BACK = "nothing comes to the new system any more, and the last passes back were empty"
    AGAIN = "a person asked for another pass"
    REFUSED = "credentials were refused, or there are none"
    ANSWERED = "the credentials have changed"
    FAILED = "a person must act"
    CHANGED = "the plan says other endpoints for it"
    RETRIED = "a person asked to try again"
    PAUSED = "a person paused it"
    RESUMED = "a person let it go on"
    CANCELLED = "a person cancelled it and kept what was carried"
    UNDO = "a person asked for passes to be undone"
    RECALLED = "a person cancelled it and asked for everything to be undone"
    HINDERED = "undoing could not go on"
    TAKEN_BACK = "the passes asked for have been undone"
    UNDONE = "everything has been undone"


ACTIVE = frozenset(
    {
        State.PLANNED,
        State.CHECKED,
        State.READY,
        State.COPYING,
        State.SYNCED,
        State.FINAL,
        State.SWEEPING,
        State.VERIFYING,
        State.RETURNING,
    }
)
"""States from which the journey goes on by itself, or with a gate."""

SWITCHED = frozenset({State.FINAL, State.SWEEPING, State.VERIFYING, State.VERIFIED})
"""States after the switch, from which there is a way back."""

UNBEGUN = frozenset(
    {State.PLANNED, State.BLOCKED, State.CHECKED, State.READY, State.WAITING, State.FAILED}
)
"""States in which nothing may have been carried yet."""

UNDER_WAY = ACTIVE | {State.WAITING, State.BLOCKED, State.VERIFIED, State.FAILED, State.PAUSED}
"""Neither ended nor being undone."""

ENDED = frozenset({State.COMPLETED, State.CANCELLED, State.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Transition:
    """One way. `target` None: back to where it came from (`resume_state`)."""

    source: State
    trigger: Trigger
    target: State | None


def _all() -> Iterator[Transition]:
    yield Transition(State.PLANNED, Trigger.CHECKED, State.CHECKED)
    yield Transition(State.PLANNED, Trigger.BLOCKED, State.BLOCKED)
    yield Transition(State.CHECKED, Trigger.ADMITTED, State.READY)
    yield Transition(State.READY, Trigger.BEGUN, State.COPYING)
    yield Transition(State.COPYING, Trigger.SLICED, State.COPYING)
    yield Transition(State.COPYING, Trigger.CARRIED, State.SYNCED)
    yield Transition(State.SYNCED, Trigger.TOUCHED_UP, State.SYNCED)
    yield Transition(State.SYNCED, Trigger.AGAIN, State.SYNCED)
    yield Transition(State.SYNCED, Trigger.WENT, State.FINAL)
    yield Transition(State.FINAL, Trigger.SLICED, State.FINAL)
    yield Transition(State.FINAL, Trigger.CARRIED, State.SWEEPING)
    yield Transition(State.SWEEPING, Trigger.SWEPT, State.SWEEPING)
    yield Transition(State.SWEEPING, Trigger.AGAIN, State.SWEEPING)
    yield Transition(State.SWEEPING, Trigger.QUIET, State.VERIFYING)
    yield Transition(State.VERIFYING, Trigger.VERIFIED, State.VERIFIED)
    yield Transition(State.VERIFIED, Trigger.SIGNED, State.COMPLETED)
    yield Transition(State.VERIFIED, Trigger.AGAIN, State.SWEEPING)
    yield Transition(State.BLOCKED, Trigger.RETRIED, State.PLANNED)
    # Back: what has come upon it meanwhile counts no more, `turning_back` sees where it was.
    for state in sorted(SWITCHED | {State.SYNCED, State.PAUSED, State.FAILED}):
        yield Transition(state, Trigger.TURNED_BACK, State.RETURNING)
    yield Transition(State.RETURNING, Trigger.BROUGHT_BACK, State.RETURNING)
    yield Transition(State.RETURNING, Trigger.AGAIN, State.RETURNING)
    yield Transition(State.RETURNING, Trigger.BACK, State.SYNCED)
    # What was refused is offered again by the next pass; what was compared before counts no more.
    for state in (State.COPYING, State.SYNCED, State.FINAL, State.SWEEPING, State.RETURNING):
        yield Transition(state, Trigger.RETRIED, state)
    for state in (State.VERIFYING, State.VERIFIED):
        yield Transition(state, Trigger.RETRIED, State.SWEEPING)
    # Only while nothing has been carried; `loading` sees to that.
    for state in sorted(UNBEGUN):
        yield Transition(state, Trigger.CHANGED, State.PLANNED)
    yield Transition(State.FAILED, Trigger.RETRIED, None)
    yield Transition(State.WAITING, Trigger.RETRIED, None)
    yield Transition(State.WAITING, Trigger.ANSWERED, None)
    yield Transition(State.PAUSED, Trigger.RESUMED, None)
    # Credentials that were refused before the pause are refused after it.
    yield Transition(State.PAUSED, Trigger.REFUSED, State.WAITING)
    for state in sorted(ACTIVE):
        yield Transition(state, Trigger.REFUSED, State.WAITING)
        yield Transition(state, Trigger.FAILED, State.FAILED)
    # Only where something would go on by itself is there something to pause.
    for state in sorted(ACTIVE | {State.WAITING}):
        yield Transition(state, Trigger.PAUSED, State.PAUSED)
    for state in sorted(UNDER_WAY):
        yield Transition(state, Trigger.CANCELLED, State.CANCELLED)
        yield Transition(state, Trigger.RECALLED, State.UNDOING)
        yield Transition(state, Trigger.UNDO, State.UNDOING)
    yield Transition(State.CANCELLED, Trigger.RECALLED, State.UNDOING)
    # Whatever hinders undoing, it goes on with undoing: its place to go back to is taken already.
    yield Transition(State.UNDOING, Trigger.SLICED, State.UNDOING)
    yield Transition(State.UNDOING, Trigger.HINDERED, State.UNDOING)
    yield Transition(State.UNDOING, Trigger.RETRIED, State.UNDOING)
    yield Transition(State.UNDOING, Trigger.UNDO, State.UNDOING)
    yield Transition(State.UNDOING, Trigger.RECALLED, State.UNDOING)
    yield Transition(State.UNDOING, Trigger.CANCELLED, State.CANCELLED)
    yield Transition(State.UNDOING, Trigger.TAKEN_BACK, State.PAUSED)
    yield Transition(State.UNDOING, Trigger.UNDONE, State.ROLLED_BACK)


TRANSITIONS = tuple(_all())
_TARGETS = {(each.source, each.trigger): each.target for each in TRANSITIONS}


def follows(state: State, trigger: Trigger, resume: State | None = None) -> State | None:
    """The state after `trigger` in `state`; None when the trigger means nothing there.

    `resume` is where pause, failure or waiting came upon the mailbox; it is needed for the ways
    that lead back there.
    """
    if (state, trigger) not in _TARGETS:
        return None
    return _TARGETS[state, trigger] or resume
