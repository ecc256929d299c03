"""A look at an account before it is moved: what both providers say, by which path it goes, under
which names, in which steps, and what is in the way.

It only reads. The same look is made when a person is asked, and once more at the moment of the
switch: what was true then may be so no longer.
"""

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from mailhaul.core.errors import BadInput, Closed
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import printable
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_doors import source_opens, without_password
from mailhaul.journey.account_places import renamed, secret_for
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.account_steps import KEEP, Planned
from mailhaul.journey.control import section_of
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.plan.model import AccountPath, Accounts
from mailhaul.providers.actions import Action, Configure, Create, HandOver
from mailhaul.providers.addresses import parts
from mailhaul.providers.before import Sight, before
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import KNOWN, Obstacle, finding
from mailhaul.providers.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from mailhaul.providers.paths import Path, route
from mailhaul.providers.picking import (
    Picked,
    addresses_taken,
    is_filled,
    pick,
    temporary_address,
)
from mailhaul.providers.provider import Provider
from mailhaul.providers.saga import (
    ExtrasRule,
    Guard,
    Move,
    Needed,
    Step,
    left_behind,
    steps,
    undoing,
)
from mailhaul.providers.service import Account, AccountState, Contacts, HostedDomain, Service, Verb

_BESIDE = frozenset(
    {"ALIAS_EXIST", "FORWARD_EXIST", "FORWARD_LOCAL", "RESPONDER_EXIST", "FILTER_EXIST"}
    | {"DELEGATION_EXIST"}
)
"""What is told of extras by what the plan makes of them, whatever the provider says."""


@dataclass(frozen=True, slots=True)
class Others:
    """What other moves have chosen: placeholders of the target, temporary addresses, folded."""

    placeholders: frozenset[str] = frozenset()
    temporaries: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found. `left` are things that won't be at the target by themselves, each with
    its reason, for a list that a person works by."""

    path: str = ""
    evidence: tuple[str, ...] = ()
    temporary: str = ""
    placeholder: str = ""
    remaining: int | None = None
    octets: int | None = None
    messages: int | None = None
    findings: tuple[Finding, ...] = ()
    steps: tuple[Planned, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    refused: str | None = None
    """The login that the source's server refuses, for `MoveRow.refused_secret`."""

    @property
    def blocking(self) -> list[Finding]:
        """What is in the way."""
        return [each for each in self.findings if each.severity is Severity.BLOCKS]

    @property
    def why_not(self) -> str:
        """The first of it in words; empty where nothing is in the way."""
        return printable("; ".join(map(_sentence, self.blocking[:3])), 1000)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the provider of one side said."""

    service: Service
    account: Account | None
    extras: tuple[Extra, ...]
    domains: tuple[HostedDomain, ...]
    contacts: Contacts
    obstacles: tuple[Obstacle, ...]


def _sentence(finding: Finding) -> str:
    known = KNOWN.get(finding.code)
    means = f": {known.means}" if known and known.means != finding.evidence else ""
    return f"{finding.evidence}{means}; {finding.remedy}"


async def look(
    means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow, others: Others
) -> Look:
    """What would be done about the account, and what is in the way. Raises what providers raise,
    and `BadInput` where the plan names none."""
    accounts = plan.plan.accounts
    assert accounts is not None
    assert means.providers is not None
    async with AsyncExitStack() as stack:
        source: Provider | None = None
        if section_of(plan, Side.SOURCE) is not None:
            source = await stack.enter_async_context(means.providers.opened(plan, Side.SOURCE))
        target = await stack.enter_async_context(means.providers.opened(plan, Side.TARGET))
        return await _asked(means, plan, row, person, others, accounts, source, target)


async def _asked(
    means: Means,
    plan: PlanRow,
    row: MoveRow,
    person: MailboxRow,
    others: Others,
    accounts: Accounts,
    source: Provider | None,
    target: Provider,
) -> Look:
    old = None if source is None else await _said(source, row.address, Side.SOURCE)
    new = await _said(target, row.address, Side.TARGET)
    wanted = None if accounts.path is AccountPath.AUTO else Path(accounts.path.value)
    service, account = (None, None) if old is None else (old.service, old.account)
    way = route(service, new.service, wanted)
    if way.path is None or way.path is Path.NONE:
        return Look(way.path or "", way.evidence, findings=way.findings)
    path = way.path
    size = None if account is None else account.used
    picked = await _picked(target, new, path, row, others, size)
    temporary = ""
    if source is not None and old is not None and path is Path.NEW:
        temporary = await _temporary(source, accounts, row, others)
    placeholder = "" if picked is None else picked.placeholder or ""
    move = Move(
        address=row.address,
        name="" if account is None else account.name,
        quota=None if account is None or placeholder else account.quota,
        temporary=temporary,
        placeholder=placeholder,
        extras=() if old is None else old.extras,
        rule=ExtrasRule(accounts.extras.value),
        guard=Guard(accounts.guard.value),
        domain=None if old is None else _domain(old.domains, row.address),
        relay=_relay(plan, new, row.address),
    )
    sight = Sight(
        source=service,
        target=new.service,
        account=account,
        taken=new.account,
        domains=new.domains,
        source_contacts=None if old is None else old.contacts,
        target_contacts=new.contacts,
        picked=picked,
    )
    told = [*way.findings, *before(path, move, sight)]
    told += _obstacles(old, told)
    refused: str | None = None
    if path is not Path.CREATE:
        shut, refused = await source_opens(means, plan, row, person)
        told += shut
    told += await _ours(means, plan, row, person, path, temporary)
    planned: tuple[Step, ...] = ()
    ready = (path is not Path.LEGACY or placeholder) and (path is not Path.NEW or temporary)
    if ready:
        planned = steps(path, move, service, new.service)
    return Look(
        path.value,
        way.evidence,
        temporary,
        placeholder,
        None if picked is None else picked.remaining,
        size,
        None if account is None else account.messages,
        tuple(dict.fromkeys(told)),
        tuple(_in_order(planned)),
        tuple((each.kind, each.text) for each in left_behind(path, move, new.service)),
        refused,
    )


async def _said(provider: Provider, address: str, side: Side) -> _Said:
    service = await provider.service()
    account = await provider.account(address)
    extras: Sequence[Extra] = ()
    obstacles: Sequence[Obstacle] = ()
    if side is Side.SOURCE:
        extras = await provider.extras(address)
        if account is not None:
            obstacles = await provider.obstacles(address)
    return _Said(
        service,
        account,
        tuple(extras),
        tuple(await provider.domains()),
        await provider.contacts(),
        tuple(obstacles),
    )


async def _picked(
    target: Provider, new: _Said, path: Path, row: MoveRow, others: Others, size: int | None
) -> Picked | None:
    """The placeholder, where the target has such; the one that was chosen before, if it is fit."""
    if path is not Path.LEGACY and Verb.CONFIGURE not in new.service.verbs:
        return None
    agreed = row.acknowledged_at is not None
    if row.placeholder and agreed:
        # The moment of the switch: lists may be some seconds old.
        found = await target.account(row.placeholder)
        return await _again(target, row, [] if found is None else [found], new, others, size, 0)
    accounts = await target.accounts()
    if row.placeholder:
        mine = [each for each in accounts if each.address == row.placeholder]
        free = pick(accounts, None, others.placeholders, new.service.quota)
        again = await _again(target, row, mine, new, others, size, free.remaining)
        if again.placeholder or row.chosen:
            return again
    picked = await _fit(target, accounts, size, others.placeholders, new.service.quota)
    creates = path is not Path.LEGACY and Verb.CREATE in new.service.verbs
    unconfigured = any(each.state is AccountState.PLACEHOLDER for each in accounts)
    return None if creates and not unconfigured else picked


async def _again(
    target: Provider,
    row: MoveRow,
    mine: Sequence[Account],
    new: _Said,
    others: Others,
    size: int | None,
    remaining: int,
) -> Picked:
    """What was picked before, if it is still there and fit."""
    again = await _fit(target, mine, size, others.placeholders, new.service.quota)
    if any(each.state is AccountState.PLACEHOLDER for each in mine):
        return Picked(again.placeholder, remaining, again.findings)
    gone = finding(Obstacle("PLACEHOLDER_GONE", printable(row.placeholder, 200)))
    return Picked(None, remaining, (gone,))


async def _fit(
    target: Provider,
    accounts: Sequence[Account],
    size: int | None,
    reserved: Collection[str],
    quota: int | None,
) -> Picked:
    """As `pick`; the one that is picked is asked what it holds, which lists leave out."""
    while True:
        picked = pick(accounts, size, reserved, quota)
        told = None if picked.placeholder is None else await target.account(picked.placeholder)
        if told is None or not is_filled(told):
            return picked
        accounts = [
            replace(each, used=told.used, messages=told.messages)
            if each.address == picked.placeholder
            else each
            for each in accounts
        ]


async def _temporary(source: Provider, accounts: Accounts, row: MoveRow, others: Others) -> str:
    if row.temporary and row.acknowledged_at is not None:
        return row.temporary if await source.account(row.temporary) is None else ""
    taken = addresses_taken(await source.accounts(), await source.extras())
    if row.temporary and row.temporary.casefold() not in taken:
        return row.temporary
    return temporary_address(row.address, taken | others.temporaries, accounts.temporary) or ""


def _domain(domains: Sequence[HostedDomain], address: str) -> HostedDomain | None:
    name = parts(address).domain
    return next((each for each in domains if each.name.casefold() == name), None)


def _relay(plan: PlanRow, new: _Said, address: str) -> str:
    """The host that a relay guard sends to: the target's, as its provider or the plan says."""
    there = _domain(new.domains, address)
    if there is not None and there.expected is not None and there.expected.mx:
        return there.expected.mx[0].host
    hosts = () if plan.plan.dns is None else plan.plan.dns.mx
    return hosts[0].split()[-1] if hosts else ""


def _obstacles(old: _Said | None, told: Sequence[Finding]) -> list[Finding]:
    """What the source's provider says besides."""
    if old is None:
        return []
    known = {each.code for each in told}
    return [
        finding(each)
        for each in old.obstacles
        if each.code not in _BESIDE and each.code not in known
    ]


async def _ours(
    means: Means,
    plan: PlanRow,
    row: MoveRow,
    person: MailboxRow,
    path: Path,
    temporary: str,
) -> list[Finding]:
    """What is in the way on our side: endpoints and passwords that don't fit."""
    found: list[Finding] = []
    if path is Path.NEW and temporary:
        try:
            renamed(person.source, row.address, temporary)
        except BadInput as error:
            fact, _, cure = str(error).partition("; ")
            found.append(Finding("ENDPOINT_FIXED", Severity.BLOCKS, fact, cure))
    address = row.address
    if path is not Path.LEGACY and without_password(plan, person):
        found.append(
            _unfit(
                f"{printable(address, 200)}: nobody says which password the new account gets; "
                "write a secret under [target], or password under [accounts]"
            )
        )
    wanted: dict[Path, Action] = {
        Path.LEGACY: HandOver(address, "", ""),
        Path.NEW: Configure("", address),
        Path.CREATE: Create(address),
    }
    try:
        secret = await secret_for(means, plan, row, person, wanted[path])
    except Closed as error:
        found.append(_unfit(str(error)))
        return found
    if path is Path.LEGACY:
        length = 0 if secret is None else len(secret.reveal())
        if not SHORTEST_PASSWORD <= length <= LONGEST_PASSWORD:
            found.append(
                _unfit(
                    f"{printable(address, 200)}: the account is handed over by its own password of "
                    f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
                )
            )
    return found


def _unfit(evidence: str) -> Finding:
    return finding(Obstacle("PASSWORD_UNFIT", evidence))


def _in_order(planned: Sequence[Step]) -> list[Planned]:
    """As rows have them. Before what nothing takes back, everything is copied to files."""
    found = []
    for each in planned:
        if isinstance(each.action, HandOver):
            words = "copy everything to files, at the source"
            found.append(Planned(Side.SOURCE, KEEP, words))
        back = undoing(each)
        found.append(
            Planned(
                Side(each.on.value),
                each.part.value,
                each.words,
                each.action,
                None if back is None else back.action,
                each.needed is not Needed.NOTHING,
            )
        )
    return found
