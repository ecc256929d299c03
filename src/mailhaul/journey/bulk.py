"""Mailboxes, aliases and groups that are made at the target before anything is copied: what a plan
or a list wants, and what is kept of it for the gate “objects”."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from mailhaul.core.text import plural, printable
from mailhaul.db import tables
from mailhaul.journey.control import service_name
from mailhaul.journey.events import Record, record
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.states import ENDED
from mailhaul.plan.model import ListedMailbox, Plan, ProviderSection
from mailhaul.plan.objects import ListedObject, ObjectKind
from mailhaul.plan.templates import filled_reference
from mailhaul.providers.actions import Action, Add, Create
from mailhaul.providers.addresses import folded
from mailhaul.providers.extras import Alias, Extra, Group
from mailhaul.providers.making import Fate, Made, address_of

NAMED = 20
"""So many of those that could not be made are named in the log."""
_NOUNS = (("mailbox", "mailboxes"), ("alias", "aliases"), ("group", "groups"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made, in this order: an alias needs its account, a group its members."""

    accounts: tuple[Action, ...]
    aliases: tuple[Action, ...] = ()
    groups: tuple[Action, ...] = ()

    @property
    def phases(self) -> tuple[tuple[Action, ...], ...]:
        return tuple(filter(None, (self.accounts, self.aliases, self.groups)))


def wanted_of_plan(plan: Plan, beside: Iterable[Extra] = ()) -> Wanted:
    """The plan's mailboxes; of what stands beside them at the source, their aliases and the groups
    with one of them as member."""
    addresses = {folded(each.address): each.address for each in plan.mailboxes}
    aliases, groups = [], []
    for each in beside:
        if isinstance(each, Alias) and folded(each.address) in addresses:
            aliases.append(Add(each))
        elif isinstance(each, Group) and any(folded(one) in addresses for one in each.members):
            groups.append(Add(each))
    accounts = tuple(Create(address) for address in addresses.values())
    return Wanted(accounts, tuple(aliases), tuple(groups))


def wanted_of_list(objects: Sequence[ListedObject]) -> Wanted:
    """What the list names."""

    def of(kind: ObjectKind) -> Iterator[ListedObject]:
        return (each for each in objects if each.kind is kind)

    return Wanted(
        tuple(Create(each.address, each.name, each.quota) for each in of(ObjectKind.MAILBOX)),
        tuple(Add(Alias(each.to[0], each.address)) for each in of(ObjectKind.ALIAS)),
        tuple(
            Add(Group(each.address, tuple(sorted(each.to)), each.name))
            for each in of(ObjectKind.GROUP)
        ),
    )


def key_of(plan: str, action: Action, attempt: int) -> str:
    """By which the provider knows it again, in every process."""
    text = "\0".join((plan, repr(action), str(attempt)))
    return f"make-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}"


def kind_of(action: Action) -> ObjectKind:
    """What it makes."""
    match action:
        case Add(extra=Alias()):
            return ObjectKind.ALIAS
        case Add(extra=Group()):
            return ObjectKind.GROUP
        case _:
            return ObjectKind.MAILBOX


def note_made(
    connection: Connection, plan: PlanRow, made: Sequence[Made], *, who: str, at: float
) -> None:
    """Keeps in the plan's log what came of it, for the gate and for good."""
    failed = [each for each in made if each.fate is Fate.FAILED]
    named = ", ".join(printable(address_of(each.action), 120) for each in failed[:NAMED])
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    figures: dict[str, int | float | str | None] = {
        fate.name.lower(): sum(each.fate is fate for each in made) for fate in Fate
    }
    for kind in ObjectKind:
        here = sum(
            kind_of(each.action) is kind and each.fate in (Fate.MADE, Fate.THERE) for each in made
        )
        figures[kind.value] = here
    why = f"not made: {named}{more}" if failed else ""
    what = Record("objects_made", printable(who, 100), why=why, figures=figures)
    record(connection, plan.id, what, at)


def gate_lines(connection: Connection, plan: PlanRow) -> list[str]:
    """What the gate “objects” says of it: the last making, and when mail is to be switched."""
    return [*_last_made(connection, plan), *_cutovers(connection, plan)]


def password_reference(plan: Plan, address: str) -> str:
    """Where the password of a new account lies: as the plan says for new accounts, else what logs
    in to the target. Empty where the plan says neither. Raises `BadInput`."""
    listed = {folded(each.address): each.target_secret for each in plan.mailboxes}
    own = plan.accounts.password if plan.accounts is not None else ""
    return filled_reference(own or listed.get(folded(address), "") or plan.target.secret, address)


def with_mailboxes(connection: Connection, plan: PlanRow) -> Plan:
    """The plan with the mailboxes that were loaded with it and are still meant."""
    table = tables.mailbox
    rows = connection.execute(
        select(table.c.address, table.c.target_secret)
        .where(table.c.plan_id == plan.id, table.c.state.not_in([each.value for each in ENDED]))
        .order_by(table.c.position, table.c.id)
    )
    listed = tuple(ListedMailbox(address=row[0], target_secret=row[1]) for row in rows)
    return plan.plan.model_copy(update={"mailboxes": listed})


def reserved_placeholders(
    connection: Connection, section: ProviderSection, besides: str = ""
) -> tuple[str, ...]:
    """Unconfigured accounts of that service that moves have chosen, of all plans but the one called
    `besides`."""
    table, move, mailbox, plan = (
        tables.placeholder,
        tables.account_move,
        tables.mailbox,
        tables.plan,
    )
    query = (
        select(table.c.name)
        .join(move, move.c.id == table.c.move_id)
        .join(mailbox, mailbox.c.id == move.c.mailbox_id)
        .join(plan, plan.c.id == mailbox.c.plan_id)
        .where(table.c.service == service_name(section), plan.c.name != besides)
    )
    return tuple(connection.execute(query).scalars())


def _last_made(connection: Connection, plan: PlanRow) -> Iterator[str]:
    table = tables.event
    row = connection.execute(
        select(table.c.at, table.c.actor, table.c.why, table.c.figures)
        .where(table.c.plan_id == plan.id, table.c.action == "objects_made")
        .order_by(table.c.number.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return
    figures = json.loads(row.figures)
    there = ", ".join(
        plural(figures.get(one, 0), one, many) for one, many in _NOUNS if figures.get(one)
    )
    yield (
        f"Made at the provider by {row.actor}, {_moment(plan.plan, row.at)}: "
        f"{there or 'nothing'} there, of which {figures.get('made', 0)} new; "
        f"{figures.get('failed', 0)} failed, {figures.get('waits', 0)} still wait."
    )
    if row.why:
        yield f"{row.why[:1].upper()}{row.why[1:]}."


def _cutovers(connection: Connection, plan: PlanRow) -> Iterator[str]:
    table = tables.mailbox
    rows = connection.execute(
        select(table.c.wave)
        .where(table.c.plan_id == plan.id)
        .group_by(table.c.wave)
        .order_by(table.c.wave)
    )
    for (wave,) in rows:
        at = plan.plan.cutover_of(wave)
        whose = f"Wave “{wave}”" if wave else "Mail"
        if at is None:
            yield f"{whose} has no date of switching yet."
        else:
            yield f"{whose} is to be switched on {_local(plan.plan, at)}."


def _moment(plan: Plan, at: float) -> str:
    return datetime.fromtimestamp(at, plan.zone).strftime("%Y-%m-%d %H:%M %Z")


def _local(plan: Plan, at: datetime) -> str:
    return at.astimezone(plan.zone).strftime("%Y-%m-%d %H:%M %Z")
