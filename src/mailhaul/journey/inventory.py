"""What stands beside a plan's accounts at the source, and what becomes of each: carried with its
account, made at the target on order, or left to a person as a list. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import Part, StepRow, StepState
from mailhaul.plan.model import Plan
from mailhaul.providers.actions import Add, Remove
from mailhaul.providers.addresses import folded, same
from mailhaul.providers.extras import Alias, Extra, Group, Remark
from mailhaul.providers.paths import Path
from mailhaul.providers.saga import ExtrasRule, Move, left_behind
from mailhaul.providers.service import Service, Verb

GONE = "taken away at the source by the move, and not put up at the target"


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


def inventory(
    plan: Plan,
    extras: Iterable[Extra],
    target: Service | None,
    moves: Sequence[tuple[MoveRow, Sequence[StepRow]]] = (),
) -> Iterator[Entry]:
    """All that stands beside the plan's mailboxes, whatever else stands at a domain of theirs
    (groups, contacts, footers), and what `moves` have taken away without putting it up again.
    `target` None: nothing is known of what it can have."""
    renamed = {folded(row.temporary): row for row, _ in moves if row.temporary}
    by_hand = {each: GONE for each in taken_away(moves)} | dict(_left(moves))
    for each, why in by_hand.items():
        yield Entry(each, Course.BY_HAND, why)
    extras = [
        as_before(each, renamed[folded(each.address)]) if folded(each.address) in renamed else each
        for each in extras
    ]
    addresses = {folded(each.address) for each in plan.mailboxes}
    domains = {each.rpartition("@")[2] for each in addresses}
    for extra in extras:
        if extra in by_hand:
            continue
        own = folded(extra.address)
        shared = isinstance(extra, Group | Remark)
        if own in addresses or (shared and own.rpartition("@")[2] in {*domains, ""}):
            yield _entry(plan, extra, target)


def taken_away(moves: Iterable[tuple[MoveRow, Sequence[StepRow]]]) -> Iterator[Extra]:
    """What moves have removed at the source and not put up at the target: it stands nowhere any
    more, and is told by the address that it was for."""
    for row, steps in moves:
        put_up = [
            step.action.extra
            for step in steps
            if isinstance(step.action, Add) and step.side is Side.TARGET and step.state in _STANDS
        ]
        for step in steps:
            if isinstance(step.action, Remove) and step.side is Side.SOURCE:
                extra = as_before(step.action.extra, row)
                guard = isinstance(extra, Alias) and same(extra.alias, row.address)
                if step.part is Part.MOVE and step.state is StepState.DONE and not guard:
                    yield from () if extra in put_up else (extra,)


def _left(moves: Iterable[tuple[MoveRow, Sequence[StepRow]]]) -> Iterator[tuple[Extra, str]]:
    """What was to be put up at the target, and is left to a person; and why."""
    for row, steps in moves:
        if row.state is MoveState.UNDONE:
            continue
        for step in steps:
            left = step.part is Part.MOVE and step.state is StepState.LEFT
            if left and isinstance(step.action, Add) and step.side is Side.TARGET:
                yield step.action.extra, f"the target would not have it: {step.said}"


def as_before(extra: Extra, row: MoveRow) -> Extra:
    """The extra by the address that its account had before it was moved."""
    if not row.temporary or not same(extra.address, row.temporary):
        return extra
    return replace(extra, address=row.address)


_STANDS = frozenset({StepState.PLANNED, StepState.BEGUN, StepState.DONE})


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
