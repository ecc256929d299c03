"""The states of an account that is moved at its providers, and every way from one to another. A
table, and no more.

The mailbox of an account that is not moved yet waits where it is planned: its source and its target
are what the move makes of them.
"""

from dataclasses import dataclass
from enum import StrEnum


class MoveState(StrEnum):
    """Where an account is."""

    WAITING = "waiting"
    """It is looked at; nothing is done before a named person has agreed."""
    MOVING = "moving"
    MOVED = "moved"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"
    RETIRING = "retiring"
    RETIRED = "retired"


class MoveTrigger(StrEnum):
    """What moves an account on."""

    ACCOUNT_AGREED = "a named person agreed to its move"
    ACCOUNT_MOVED = "it stands at the target"
    ACCOUNT_TURNED = "a step was refused, and what was done before it is taken back"
    ACCOUNT_RECALLED = "a person asked for it to be undone"
    ACCOUNT_KEPT = "it can't be undone now, and stays where it is"
    ACCOUNT_UNDONE = "it is at the source as it was"
    ACCOUNT_FAILED = "a person must act"
    ACCOUNT_RETRIED = "a person asked to try again"
    ACCOUNT_RELEASED = "a named person agreed to the end of the old account"
    ACCOUNT_RETIRED = "the old account is disabled"


OPEN = frozenset({MoveState.WAITING, MoveState.MOVING, MoveState.UNDOING, MoveState.UNDONE})
"""While a move is in one of these (or failed in one) nothing is carried for its mailbox."""

WORKING = frozenset({MoveState.MOVING, MoveState.UNDOING, MoveState.RETIRING})
"""Something is being done at a provider."""


@dataclass(frozen=True, slots=True)
class MoveTransition:
    """One way. `target` None: back to where a failure came upon it."""

    source: MoveState
    trigger: MoveTrigger
    target: MoveState | None


MOVE_TRANSITIONS = (
    MoveTransition(MoveState.WAITING, MoveTrigger.ACCOUNT_AGREED, MoveState.MOVING),
    # There was nothing to be done.
    MoveTransition(MoveState.WAITING, MoveTrigger.ACCOUNT_MOVED, MoveState.MOVED),
    MoveTransition(MoveState.MOVING, MoveTrigger.ACCOUNT_MOVED, MoveState.MOVED),
    MoveTransition(MoveState.MOVING, MoveTrigger.ACCOUNT_TURNED, MoveState.UNDOING),
    MoveTransition(MoveState.MOVING, MoveTrigger.ACCOUNT_RECALLED, MoveState.UNDOING),
    MoveTransition(MoveState.MOVING, MoveTrigger.ACCOUNT_FAILED, MoveState.FAILED),
    MoveTransition(MoveState.MOVED, MoveTrigger.ACCOUNT_RECALLED, MoveState.UNDOING),
    MoveTransition(MoveState.MOVED, MoveTrigger.ACCOUNT_RELEASED, MoveState.RETIRING),
    MoveTransition(MoveState.UNDOING, MoveTrigger.ACCOUNT_KEPT, MoveState.MOVED),
    MoveTransition(MoveState.UNDOING, MoveTrigger.ACCOUNT_UNDONE, MoveState.UNDONE),
    MoveTransition(MoveState.UNDOING, MoveTrigger.ACCOUNT_FAILED, MoveState.FAILED),
    MoveTransition(MoveState.UNDONE, MoveTrigger.ACCOUNT_RETRIED, MoveState.WAITING),
    MoveTransition(MoveState.FAILED, MoveTrigger.ACCOUNT_RETRIED, None),
    MoveTransition(MoveState.FAILED, MoveTrigger.ACCOUNT_RECALLED, MoveState.UNDOING),
    MoveTransition(MoveState.RETIRING, MoveTrigger.ACCOUNT_RETIRED, MoveState.RETIRED),
    MoveTransition(MoveState.RETIRING, MoveTrigger.ACCOUNT_FAILED, MoveState.FAILED),
)
_TARGETS = {(each.source, each.trigger): each.target for each in MOVE_TRANSITIONS}


def move_follows(
    state: MoveState, trigger: MoveTrigger, resume: MoveState | None = None
) -> MoveState | None:
    """The state after `trigger` in `state`; None when the trigger means nothing there."""
    if (state, trigger) not in _TARGETS:
        return None
    return _TARGETS[state, trigger] or resume
