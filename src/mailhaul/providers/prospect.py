"""How a move of many accounts would go, by what both services say now: path, places, obstacles,
steps, what stays behind. Each service is asked for all at once where it can be; nothing is changed.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from mailhaul.core.finding import Finding, Severity
from mailhaul.providers.addresses import folded, parts
from mailhaul.providers.before import Sight, before, feature_gap
from mailhaul.providers.extras import Extra, Remark
from mailhaul.providers.obstacles import Obstacle, finding
from mailhaul.providers.paths import Path, Route, route
from mailhaul.providers.picking import Picked, addresses_taken, pick_all, temporary_address
from mailhaul.providers.provider import Provider
from mailhaul.providers.saga import ExtrasRule, Guard, Move, Step, guard_of, left_behind, steps
from mailhaul.providers.service import Account, Contacts, HostedDomain, Service, Verb

AT_ONCE = 4
"""Microsoft Graph allows an application four requests beside each other."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a plan says of it. `temporary` is what is added to a name, or empty; `reserved`
    are unconfigured accounts that other moves have chosen, `relay` the host of a relay
    guard, where the target's provider names none."""

    path: Path | None = None
    temporary: str = ""
    extras: ExtrasRule = ExtrasRule.REFUSE
    guard: Guard = Guard.AUTO
    reserved: Collection[str] = ()
    relay: str = ""


@dataclass(frozen=True, slots=True)
class Prospect:
    """One account's move. `account` is the source's; `remaining` unconfigured accounts are left
    beside the one picked, None where none is picked."""

    move: Move
    account: Account | None
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[Remark, ...]
    guard: Guard
    remaining: int | None = None

    @property
    def blocked(self) -> bool:
        return any(each.severity is Severity.BLOCKS for each in self.findings)


@dataclass(frozen=True, slots=True)
class Outlook:
    """All of them. `gap` is what accounts of the source can hold and the target's can't."""

    route: Route
    source: Service | None
    target: Service | None
    gap: tuple[Finding, ...]
    prospects: tuple[Prospect, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """What one side has said."""

    service: Service
    accounts: Sequence[Account]
    extras: Sequence[Extra]
    domains: Sequence[HostedDomain]
    contacts: Contacts

    def account(self, address: str) -> Account | None:
        wanted = folded(address)
        return next((each for each in self.accounts if folded(each.address) == wanted), None)


async def outlook(
    source: Provider | None, target: Provider | None, addresses: Sequence[str], rules: Rules
) -> Outlook:
    """How these accounts would move now. Raises what the providers' reading verbs do."""
    here, there = await asyncio.gather(_asked(source), _asked(target))
    own = here.service if here else None
    other = there.service if there else None
    way = route(own, other, rules.path)
    gap = feature_gap(own, other) if own and other else ()
    if way.path is None or way.path is Path.NONE or there is None:
        return Outlook(way, own, other, gap, ())
    accounts = await _measured(source, here, addresses) if source and here else {}
    moves = _moves(way.path, addresses, accounts, here, there, rules)
    told = await _obstacles(source, addresses) if source else {}
    return Outlook(
        way,
        own,
        other,
        gap,
        tuple(
            _prospect(way.path, move, picked, accounts.get(move.address), here, there, told)
            for move, picked in moves
        ),
    )


async def _asked(provider: Provider | None) -> _Side | None:
    if provider is None:
        return None
    service, accounts, extras, domains, contacts = await asyncio.gather(
        provider.service(),
        provider.accounts(),
        provider.extras(),
        provider.domains(),
        provider.contacts(),
    )
    return _Side(service, accounts, extras, domains, contacts)


async def _measured(
    provider: Provider, side: _Side, addresses: Iterable[str]
) -> dict[str, Account | None]:
    """The accounts with their sizes, which some providers tell only of one at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> tuple[str, Account | None]:
        found = side.account(address)
        if found is not None and found.used is None:
            async with free:
                found = await provider.account(address)
        return address, found

    return dict(await asyncio.gather(*map(one, addresses)))


async def _obstacles(provider: Provider, addresses: Iterable[str]) -> dict[str, Sequence[Obstacle]]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> tuple[str, Sequence[Obstacle]]:
        async with free:
            return address, await provider.obstacles(address)

    return dict(await asyncio.gather(*map(one, addresses)))


def _moves(
    path: Path,
    addresses: Sequence[str],
    accounts: dict[str, Account | None],
    here: _Side | None,
    there: _Side,
    rules: Rules,
) -> list[tuple[Move, Picked | None]]:
    sizes = {each: account.used if (account := accounts.get(each)) else None for each in addresses}
    picks = path is Path.LEGACY or Verb.CONFIGURE in there.service.verbs
    picked = pick_all(there.accounts, sizes, rules.reserved, there.service.quota) if picks else {}
    taken = set(addresses_taken(here.accounts, here.extras)) if here else set()
    found = []
    for address in addresses:
        temporary = ""
        if path is Path.NEW:
            temporary = temporary_address(address, taken, rules.temporary) or ""
            taken.add(folded(temporary))
        move = Move(
            address,
            name=account.name if (account := accounts.get(address)) else "",
            temporary=temporary,
            extras=_beside(here, address),
            rule=rules.extras,
            guard=rules.guard,
            domain=_domain(here, address),
            relay=_relay(there, address) or rules.relay,
        )
        choice = picked.get(address)
        if choice is not None and choice.placeholder:
            move = replace(move, placeholder=choice.placeholder)
        found.append((move, choice))
    return found


def _prospect(
    path: Path,
    move: Move,
    picked: Picked | None,
    account: Account | None,
    here: _Side | None,
    there: _Side,
    told: dict[str, Sequence[Obstacle]],
) -> Prospect:
    source = here.service if here and path is not Path.CREATE else None
    sight = Sight(
        source,
        there.service,
        account,
        there.account(move.address),
        there.domains,
        here.contacts if here else None,
        there.contacts,
        picked,
    )
    found = [each for each in before(path, move, sight) if not _follows(each, move)]
    if path is Path.NEW and not move.temporary:
        found.append(finding(Obstacle("NO_NAME_LEFT", move.address)))
    if path is not Path.CREATE:
        found += _further(move, told.get(move.address, ()), found)
    able = (path is not Path.NEW or move.temporary) and (
        path is not Path.LEGACY or move.placeholder
    )
    return Prospect(
        move,
        account,
        steps(path, move, source, there.service) if able else (),
        tuple(found),
        left_behind(path, move, there.service),
        guard_of(move, source) if source and path is Path.NEW else Guard.NONE,
        picked.remaining if picked is not None and picked.placeholder else None,
    )


def _follows(each: Finding, move: Move) -> bool:
    """Whether it only says that something stands beside the account: what becomes of that is told
    by the steps and the remarks."""
    return move.rule is not ExtrasRule.REFUSE and each.code in _BESIDE


_BESIDE = frozenset({"ALIAS_EXIST", "FILTER_EXIST", "DELEGATION_EXIST"})


def _further(move: Move, told: Iterable[Obstacle], known: Sequence[Finding]) -> Iterable[Finding]:
    """What the provider itself says stands in the way, and neither is told already nor taken out of
    the way by the steps."""
    codes = {each.code for each in known}
    cleared = _CLEARED if move.rule is not ExtrasRule.REFUSE else frozenset()
    return [finding(each) for each in told if each.code not in codes | cleared]


_CLEARED = frozenset({"FORWARD_EXIST", "FORWARD_LOCAL", "RESPONDER_EXIST"}) | _BESIDE


def _beside(side: _Side | None, address: str) -> tuple[Extra, ...]:
    if side is None:
        return ()
    return tuple(each for each in side.extras if folded(each.address) == folded(address))


def _relay(side: _Side, address: str) -> str:
    """The mail host of the target, as its provider says."""
    found = _domain(side, address)
    if found is None or found.expected is None or not found.expected.mx:
        return ""
    return found.expected.mx[0].host


def _domain(side: _Side | None, address: str) -> HostedDomain | None:
    name = parts(address).domain
    domains = side.domains if side is not None else ()
    return next((each for each in domains if each.name.casefold() == name), None)
