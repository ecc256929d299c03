"""Why OVHcloud would refuse an action, or shouldn't be asked for it, seen by the reading verbs."""

from collections.abc import Iterable, Iterator, Sequence

from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import Secret, printable
from mailhaul.providers.actions import (
    Action,
    Add,
    Attach,
    Configure,
    Create,
    Delete,
    Detach,
    HandOver,
    Lock,
    Release,
    Remove,
    Rename,
    SetMode,
    Unlock,
)
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import Holding, holding, rival
from mailhaul.providers.extras import Alias, Extra, Group, Responder
from mailhaul.providers.obstacles import DOMAIN_CODES, Obstacle, finding, standing
from mailhaul.providers.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from mailhaul.providers.provider import Provider
from mailhaul.providers.service import AccountState

_OURS_TO_SETTLE = frozenset({"ADDRESS_TAKEN", "EXTRA_DIFFERS"})
"""What half of our own work looks like too: then OVHcloud decides."""


async def in_the_way(
    provider: Provider, address: str, action: Action | None = None, *, thorough: bool = True
) -> Sequence[Obstacle]:
    """What stands in the way of the action, or of moving the account. Of what holds already
    nothing does. `thorough`: every account is asked for its aliases where that tells more; without
    it OVHcloud's own refusal will."""
    if action is None:
        return await _of_moving(provider, address)
    if await holding(provider, action) is Holding.HOLDS:
        return ()
    found = await _of_action(provider, action)
    if thorough and isinstance(action, Create) and not found:
        found += await _alias(provider, action.address)
    return found


def refused(against: Iterable[Obstacle], *, half: bool) -> list[Finding]:
    """Those for which it isn't even tried; `half`: a part of the action stands."""
    found = (each for each in against if not (half and each.code in _OURS_TO_SETTLE))
    return [each for each in map(finding, found) if each.severity is Severity.BLOCKS]


def unfit(action: Action, secret: Secret | None) -> Iterator[Obstacle]:
    """A password that OVHcloud won't take, or that is missing where it is needed."""
    if secret is None:
        if isinstance(action, HandOver):
            yield Obstacle("PASSWORD_UNFIT", action.address)
        return
    password = secret.reveal()
    fits = SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
    if not (fits and password == password.strip() and password.isascii()):
        address = getattr(action, "address", "")
        yield Obstacle("PASSWORD_UNFIT", printable(address, 200))


async def _of_moving(provider: Provider, address: str) -> Sequence[Obstacle]:
    found = await provider.account(address)
    told = list(standing(address, await provider.extras(address)))
    if found is None and not any(each.code == "MAILINGLIST_EXIST" for each in told):
        return [Obstacle("ACCOUNT_EMPTY", printable(address, 200))]
    if found is not None and found.state is AccountState.BUSY:
        told.append(Obstacle("ACCOUNT_INPROGRESS", printable(address, 200)))
    return told


async def _of_action(provider: Provider, action: Action) -> list[Obstacle]:
    match action:
        case Create(address=address):
            return [
                *(await _domain(provider, address)),
                *(await _taken(provider, address)),
            ]
        case Configure(placeholder=placeholder, address=address):
            there = await provider.account(placeholder)
            made = await provider.account(address)
            found: list[Obstacle] = []
            # Half done, it has the address already and is a placeholder still.
            half = there is None and made is not None and made.state is AccountState.PLACEHOLDER
            if there is not None and there.state is AccountState.BUSY:
                found.append(Obstacle("ACCOUNT_INPROGRESS", placeholder))
            elif not half and (there is None or there.state is not AccountState.PLACEHOLDER):
                found.append(Obstacle("PLACEHOLDER_GONE", printable(placeholder, 200)))
            found += await _domain(provider, address)
            return found if half else found + await _taken(provider, address)
        case Release(address=address, placeholder=placeholder):
            return [
                *(await _missing(provider, address)),
                *(await _taken(provider, placeholder)),
            ]
        case Rename(address=address, to=to):
            return [
                *(await _missing(provider, address)),
                *(await _domain(provider, to)),
                *(await _taken(provider, to)),
            ]
        case Lock(address=address) | Unlock(address=address) | HandOver(address=address):
            return await _missing(provider, address)
        case Delete(address=address, empty=empty):
            account = await provider.account(address)
            if account is not None and account.state is AccountState.BUSY:
                return [Obstacle("ACCOUNT_INPROGRESS", printable(address, 200))]
            # Where messages aren't counted, octets are.
            full = account is not None and (account.messages or account.used) != 0
            return [Obstacle("ACCOUNT_NOT_EMPTY", address)] if empty and full else []
        case Add(extra):
            return await _of_extra(provider, extra)
        case Remove():
            return []
        case Attach(domain=domain):
            names = [each.name for each in await provider.domains()]
            there_is = domain.casefold() in names
            return [Obstacle("EXTRA_DIFFERS", f"{domain} is on the service")] if there_is else []
        case Detach(domain=domain):
            accounts = await provider.accounts()
            used = any(parts(each.address).domain == domain.casefold() for each in accounts)
            return [Obstacle("DOMAIN_IN_USE", printable(domain, 253))] if used else []
        case SetMode():
            return await _of_mode(provider, action)


async def _of_extra(provider: Provider, extra: Extra) -> list[Obstacle]:
    if isinstance(extra, Group):
        there = next(
            (
                each
                for each in await provider.extras()
                if isinstance(each, Group) and same(each.address, extra.address)
            ),
            None,
        )
        if there is not None and not set(there.members) <= set(extra.members):
            return [Obstacle("EXTRA_DIFFERS", f"{extra.address} has other members")]
        return [] if there is not None else await _taken(provider, extra.address)
    found = await _missing(provider, extra.address)
    if isinstance(extra, Alias):
        found += await _domain(provider, extra.alias)
        found += await _taken(provider, extra.alias)
        return found
    if isinstance(extra, Responder) and extra.subject:
        found.append(Obstacle("EXTRA_REFUSED", "OVHcloud's auto-replies have no subject"))
    if any(rival(extra, each) for each in await provider.extras(extra.address)):
        found.append(Obstacle("EXTRA_DIFFERS", printable(extra.address, 200)))
    return found


async def _of_mode(provider: Provider, action: SetMode) -> list[Obstacle]:
    there = next((e for e in await provider.domains() if e.name == action.domain.casefold()), None)
    if there is None:
        return [Obstacle("DOMAIN_EMPTY", printable(action.domain, 253))]
    # Half done, the one is as before and the other as wanted.
    known = there.mode in (action.mode, action.mode_before)
    if known and there.relay in (action.relay, action.relay_before):
        return []
    return [Obstacle("EXTRA_DIFFERS", f"{action.domain} is {there.mode.value} by now")]


async def _missing(provider: Provider, address: str) -> list[Obstacle]:
    found = await provider.account(address)
    if found is None:
        return [Obstacle("ACCOUNT_EMPTY", printable(address, 200))]
    if found.state is AccountState.BUSY:
        return [Obstacle("ACCOUNT_INPROGRESS", address)]
    if found.state is AccountState.PLACEHOLDER:
        return [Obstacle("ACCOUNT_UNCONFIGURED", address)]
    return []


async def _taken(provider: Provider, address: str) -> list[Obstacle]:
    """Whose name it is already: an account's or a group's. An alias of that name is found by
    OVHcloud, when it is asked; `_alias` asks for every account's."""
    taken = await provider.account(address) is not None
    if not taken:
        found = await provider.extras(address)
        taken = any(isinstance(each, Group) and same(each.address, address) for each in found)
    return [Obstacle("ADDRESS_TAKEN", printable(address, 200))] if taken else []


async def _alias(provider: Provider, address: str) -> list[Obstacle]:
    owners = (
        each.address
        for each in await provider.accounts()
        if any(same(alias, address) for alias in each.aliases)
    )
    return [Obstacle("ADDRESS_TAKEN", f"an alias of {owner}") for owner in owners]


async def _domain(provider: Provider, address: str) -> list[Obstacle]:
    name = parts(address).domain
    there = next((each for each in await provider.domains() if each.name == name), None)
    if there is None:
        return [Obstacle("DOMAIN_EMPTY", name)]
    code = DOMAIN_CODES.get(there.status)
    return [Obstacle(code, name)] if code else []
