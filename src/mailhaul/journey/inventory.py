"""What stands beside a plan's accounts at the source, and what becomes of each: carried with its
account, made at the target on order, or left to a person as a list. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.plan.model import ExtrasRule, Plan
from mailhaul.providers.actions import verb_of_extra
from mailhaul.providers.addresses import folded
from mailhaul.providers.extras import Extra, Filter, Group, Remark
from mailhaul.providers.service import Service, Verb


class Course(StrEnum):
    """What becomes of it."""

    CARRIED = "carried with its account"
    ORDERED = "made by mailhaul accounts make --beside"
    BY_HAND = "to be made by hand"


@dataclass(frozen=True, slots=True)
class Entry:
    """One of them."""

    extra: Extra
    course: Course


def inventory(plan: Plan, extras: Iterable[Extra], target: Service | None) -> Iterator[Entry]:
    """All that stands beside the plan's mailboxes, and whatever else stands at a domain of theirs:
    groups, contacts, footers. `target` None: nothing is known of what it can have."""
    addresses = {folded(each.address) for each in plan.mailboxes}
    domains = {each.rpartition("@")[2] for each in addresses}
    verbs = target.verbs if target is not None else frozenset()
    for extra in extras:
        own = folded(extra.address)
        shared = isinstance(extra, Group | Remark)
        if own in addresses or (shared and own.rpartition("@")[2] in {*domains, ""}):
            yield Entry(extra, _course(plan, extra, verbs))


def _course(plan: Plan, extra: Extra, verbs: frozenset[Verb]) -> Course:
    if verb_of_extra(extra) not in verbs or (isinstance(extra, Filter) and not extra.script):
        return Course.BY_HAND
    if isinstance(extra, Group):
        return Course.ORDERED
    carries = plan.accounts is not None and plan.accounts.extras is ExtrasRule.CARRY
    return Course.CARRIED if carries else Course.BY_HAND
