"""What stands beside a plan's accounts at the source, and what becomes of each: carried with its
account, made at the target on order, or left to a person as a list. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.plan.model import Plan
from mailhaul.providers.addresses import folded
from mailhaul.providers.extras import Extra, Group, Remark
from mailhaul.providers.paths import Path
from mailhaul.providers.saga import ExtrasRule, Move, left_behind
from mailhaul.providers.service import Service, Verb


class Course(StrEnum):
    """What becomes of it."""

    CARRIED = "carried with its account"
    ORDERED = "made by mailhaul accounts make --beside"
    BY_HAND = "to be made by hand"


@dataclass(frozen=True, slots=True)
class Entry:
    """One of them; `why` it is left to a person."""

    extra: Extra
    course: Course
    why: str = ""


def inventory(plan: Plan, extras: Iterable[Extra], target: Service | None) -> Iterator[Entry]:
    """All that stands beside the plan's mailboxes, and whatever else stands at a domain of theirs:
    groups, contacts, footers. `target` None: nothing is known of what it can have."""
    addresses = {folded(each.address) for each in plan.mailboxes}
    domains = {each.rpartition("@")[2] for each in addresses}
    for extra in extras:
        own = folded(extra.address)
        shared = isinstance(extra, Group | Remark)
        if own in addresses or (shared and own.rpartition("@")[2] in {*domains, ""}):
            yield _entry(plan, extra, target)


def _entry(plan: Plan, extra: Extra, target: Service | None) -> Entry:
    if target is None:
        return Entry(extra, Course.BY_HAND, "the plan names no provider of the target")
    if isinstance(extra, Group) and Verb.GROUPS in target.verbs:
        return Entry(extra, Course.ORDERED)
    if plan.accounts is None:
        return Entry(extra, Course.BY_HAND, "the plan moves no accounts")
    move = Move(extra.address, extras=(extra,), rule=ExtrasRule(plan.accounts.extras.value))
    left = left_behind(Path.NEW, move, target)
    return Entry(extra, Course.BY_HAND, left[0].text) if left else Entry(extra, Course.CARRIED)
