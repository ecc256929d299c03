"""The states of a domain of a plan with [dns], and every way from one to another. A table, no more.

Waves go; domains are switched: one is switched with the wave after which none of its mailboxes is
left at the old system, for MX can't be switched for a part of them.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.journey.states import Phase


class DomainState(StrEnum):
    """Where a domain is. DNS is looked at in every state."""

    WATCHED = "watched"
    SWITCHING = "switching"
    SWITCHED = "switched"
    RETURNING = "returning"
    RETURNED = "returned"
    FAILED = "failed"


class DomainTrigger(StrEnum):
    """What moves a domain on."""

    DOMAIN_SENT = "the go/no-go gate was opened"
    DOMAIN_SWITCHED = "its new records stand"
    DOMAIN_RECALLED = "a person asked for its old records"
    DOMAIN_RETURNED = "its old records stand again"
    DOMAIN_FAILED = "a person must act"
    DOMAIN_RETRIED = "a person asked to try again"


LOOKED_AT = Phase.ZONE
"""The one phase of a domain: what is done in it follows from the state."""

HELD = frozenset({DomainState.SWITCHING})
"""While a domain is in one of these (or failed in one) its mailboxes wait with their final pass."""


@dataclass(frozen=True, slots=True)
class DomainTransition:
    """One way. `target` None: back to where a failure came upon it."""

    source: DomainState
    trigger: DomainTrigger
    target: DomainState | None


DOMAIN_TRANSITIONS = (
    DomainTransition(DomainState.WATCHED, DomainTrigger.DOMAIN_SENT, DomainState.SWITCHING),
    DomainTransition(DomainState.RETURNED, DomainTrigger.DOMAIN_SENT, DomainState.SWITCHING),
    DomainTransition(DomainState.SWITCHING, DomainTrigger.DOMAIN_SWITCHED, DomainState.SWITCHED),
    DomainTransition(DomainState.SWITCHING, DomainTrigger.DOMAIN_FAILED, DomainState.FAILED),
    DomainTransition(DomainState.SWITCHING, DomainTrigger.DOMAIN_RECALLED, DomainState.RETURNING),
    DomainTransition(DomainState.SWITCHED, DomainTrigger.DOMAIN_RECALLED, DomainState.RETURNING),
    DomainTransition(DomainState.FAILED, DomainTrigger.DOMAIN_RECALLED, DomainState.RETURNING),
    DomainTransition(DomainState.RETURNING, DomainTrigger.DOMAIN_RETURNED, DomainState.RETURNED),
    DomainTransition(DomainState.RETURNING, DomainTrigger.DOMAIN_FAILED, DomainState.FAILED),
    DomainTransition(DomainState.FAILED, DomainTrigger.DOMAIN_RETRIED, None),
)
_TARGETS = {(each.source, each.trigger): each.target for each in DOMAIN_TRANSITIONS}


def domain_follows(
    state: DomainState, trigger: DomainTrigger, resume: DomainState | None = None
) -> DomainState | None:
    """The state after `trigger` in `state`; None when the trigger means nothing there."""
    if (state, trigger) not in _TARGETS:
        return None
    return _TARGETS[state, trigger] or resume
