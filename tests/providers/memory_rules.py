"""What the hoster in memory refuses, and what its tasks do when they end."""

from collections.abc import Iterator

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.dns.names import domain_name
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
from mailhaul.providers.addresses import folded, parts, same
from mailhaul.providers.effects import rival, same_extra
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
)
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import TaskState
from mailhaul.providers.service import AccountState, DomainStatus, Mode
from tests.providers.memory import MemoryAccount, MemoryDomain, MemoryHoster, MemoryService, Work

BUSY, LOCKED = AccountState.BUSY, AccountState.LOCKED
SHORTEST_PASSWORD, LONGEST_PASSWORD = 9, 30


def addresses(action: Action) -> tuple[str, ...]:
    """Every address in the action; raises `BadInput` for what can't be one."""
    match action:
        case Configure(placeholder=one, address=two) | Release(address=two, placeholder=one):
            found: tuple[str, ...] = (one, two)
        case Rename(address=one, to=two):
            found = (one, two)
        case Create() | Lock() | Unlock() | Delete():
            found = (action.address,)
        case HandOver(address=one, placeholder=two):
            found = (one, two)
        case Add(extra) | Remove(extra):
            found = _addresses_of(extra)
        case Attach(domain=domain) | Detach(domain=domain) | SetMode(domain=domain):
            domain_name(domain)
            found = ()
    for each in found:
        parts(each)
    return found


def _addresses_of(extra: Extra) -> tuple[str, ...]:
    match extra:
        case Alias(address, alias):
            return address, alias
        case Redirection(address, to) | Delegation(address, to):
            return address, to
        case Responder():
            return (extra.address, extra.copy_to) if extra.copy_to else (extra.address,)
        case Group(address, members):
            return address, *members
        case Filter() | Remark():
            return (extra.address,)


def touched(hoster: MemoryHoster, service: MemoryService, action: Action) -> list[MemoryAccount]:
    """The accounts that the action is about, at the other service too."""
    found = [service.found(each) for each in addresses(action)]
    if isinstance(action, HandOver) and action.service in hoster.services:
        found.append(hoster.services[action.service].found(action.placeholder))
    return [each for each in found if each is not None]


def holds(service: MemoryService, action: Action) -> bool:
    """Whether it stands already."""
    match action:
        case Create(address=address):
            found = service.found(address)
            return found is not None and found.state in (AccountState.CONFIGURED, LOCKED)
        case Configure(placeholder=placeholder, address=address):
            made = service.found(address)
            gone = service.found(placeholder) is None
            return gone and made is not None and made.state is AccountState.CONFIGURED
        case Release(address=address, placeholder=placeholder):
            back = service.found(placeholder)
            gone = service.found(address) is None
            return gone and back is not None and back.state is AccountState.PLACEHOLDER
        case Rename(address=address, to=to):
            return service.found(address) is None and service.found(to) is not None
        case Lock(address=address):
            found = service.found(address)
            return found is not None and found.state is LOCKED
        case Unlock(address=address):
            found = service.found(address)
            return found is not None and found.state is AccountState.CONFIGURED
        case Delete(address=address):
            return service.found(address) is None
        case Add(extra):
            return any(same_extra(extra, each) for each in service.extras)
        case Remove(extra):
            return not any(same_extra(extra, each) for each in service.extras)
        case Attach(domain, mode, relay) | SetMode(domain, mode, relay):
            there = service.has_domain(domain)
            sound = there is not None and there.status is not DomainStatus.ERROR
            return sound and there is not None and (there.mode, there.relay) == (mode, relay)
        case Detach(domain):
            return service.has_domain(domain) is None
        case HandOver():
            return False


def refusals(
    hoster: MemoryHoster, service: MemoryService, action: Action, retried: bool = False
) -> Iterator[Obstacle]:
    """Why it would be refused now; `retried`: what half of it left is no reason."""
    for account in touched(hoster, service, action):
        if account.state is BUSY:
            yield Obstacle("ACCOUNT_INPROGRESS", account.address)
            return
    match action:
        case Create(address=address):
            if service.unused == 0:
                yield Obstacle("NO_FREE_ACCOUNT", service.name)
            yield from _domain_refusals(service, address)
            if not retried:
                yield from _taken(service, address)
        case Configure(placeholder=placeholder, address=address):
            there = service.found(placeholder)
            half = retried and service.found(address) is not None
            if not half and (there is None or there.state is not AccountState.PLACEHOLDER):
                yield Obstacle("PLACEHOLDER_GONE", placeholder)
            yield from _domain_refusals(service, address)
            if not half:
                yield from _taken(service, address)
        case Release(address=address, placeholder=placeholder):
            if not retried:
                yield from _missing(service, address)
                yield from _taken(service, placeholder)
        case Rename(address=address, to=to):
            yield from _missing(service, address)
            yield from _domain_refusals(service, to)
            if not retried:
                yield from _taken(service, to, owner=address)
        case Lock(address=address) | Unlock(address=address):
            yield from _missing(service, address)
        case Delete(address=address, empty=empty):
            found = service.found(address)
            if empty and found is not None and found.box.total():
                yield Obstacle("ACCOUNT_NOT_EMPTY", address)
        case Add(extra):
            yield from _extra_refusals(service, extra, retried)
        case Remove():
            return
        case Attach(domain, mode):
            others = (each.has_domain(domain) for each in hoster.services.values())
            claimed = any(each and each.mode is Mode.AUTHORITATIVE for each in others)
            if service.has_domain(domain) and not retried:
                yield Obstacle("EXTRA_DIFFERS", f"{domain} is on the service otherwise")
            elif claimed and mode is Mode.AUTHORITATIVE and not retried:
                yield Obstacle("DOMAIN_CLAIMED", domain)
        case Detach(domain):
            if any(parts(each.address).domain == domain for each in service.accounts):
                yield Obstacle("DOMAIN_IN_USE", domain)
        case SetMode(domain, _, _, mode_before, relay_before):
            there_is = service.has_domain(domain)
            if there_is is None:
                yield Obstacle("DOMAIN_EMPTY", domain)
            elif not retried and (there_is.mode, there_is.relay) != (mode_before, relay_before):
                yield Obstacle("EXTRA_DIFFERS", f"{domain} is {there_is.mode.value}")
        case HandOver():
            yield from _hand_over_refusals(hoster, service, action, retried)


def _hand_over_refusals(
    hoster: MemoryHoster, service: MemoryService, action: HandOver, retried: bool
) -> Iterator[Obstacle]:
    yield from _missing(service, action.address)
    source = service.found(action.address)
    other = hoster.services.get(action.service)
    if other is None or action.service not in service.hand_over_to:
        yield Obstacle("SERVICE_UNKNOWN", action.service)
        return
    target = other.found(action.placeholder)
    if target is None or target.state is not AccountState.PLACEHOLDER:
        yield Obstacle("PLACEHOLDER_GONE", action.placeholder)
    elif source and target.quota is not None and source.used > target.quota:
        yield Obstacle("QUOTA_TOO_SMALL", action.placeholder)
    yield from _domain_refusals(other, action.address)
    if not retried:
        yield from _taken(other, action.address)
    for each in service.extras:
        if isinstance(each, Redirection) and same(each.address, action.address):
            yield Obstacle("FORWARD_LOCAL" if each.copy else "FORWARD_EXIST", each.to)
        elif isinstance(each, Responder) and same(each.address, action.address):
            yield Obstacle("RESPONDER_EXIST", each.address)


def secret_refusals(
    service: MemoryService, action: Action, secret: Secret | None
) -> Iterator[Obstacle]:
    """Why the secret that begins it is none."""
    if isinstance(action, HandOver):
        source = service.found(action.address)
        if secret is None or (source and secret.reveal() != source.password):
            yield Obstacle("PASSWORD_WRONG", action.address)
    elif isinstance(action, Create | Configure) and secret is not None and not _fit(secret):
        yield Obstacle("PASSWORD_UNFIT", action.address)


def _fit(secret: Secret) -> bool:
    return SHORTEST_PASSWORD <= len(secret.reveal()) <= LONGEST_PASSWORD


def _missing(service: MemoryService, address: str) -> Iterator[Obstacle]:
    found = service.found(address)
    if found is None:
        yield Obstacle("ACCOUNT_EMPTY", address)
    elif found.state is AccountState.PLACEHOLDER:
        yield Obstacle("ACCOUNT_UNCONFIGURED", address)


def _taken(service: MemoryService, address: str, owner: str = "") -> Iterator[Obstacle]:
    """An account may take its own alias as its name."""
    alias_of = service.alias_of(address)
    if service.found(address) or service.group(address) or (alias_of and alias_of != owner):
        yield Obstacle("ADDRESS_TAKEN", address)


def _domain_refusals(service: MemoryService, address: str) -> Iterator[Obstacle]:
    codes = {
        DomainStatus.CREATING: "DOMAIN_CREATING",
        DomainStatus.UNPROVEN: "DOMAIN_UNPROVEN",
        DomainStatus.DELETING: "DOMAIN_FAILED",
        DomainStatus.ERROR: "DOMAIN_FAILED",
    }
    domain = service.has_domain(parts(address).domain)
    if domain is None:
        yield Obstacle("DOMAIN_EMPTY", parts(address).domain)
    elif code := codes.get(domain.status):
        yield Obstacle(code, domain.name)


def _extra_refusals(service: MemoryService, extra: Extra, retried: bool) -> Iterator[Obstacle]:
    if isinstance(extra, Group):
        there = service.group(extra.address)
        if there is None:
            yield from _taken(service, extra.address)
        elif not retried:
            yield Obstacle("EXTRA_DIFFERS", extra.address)
        return
    yield from _missing(service, extra.address)
    if isinstance(extra, Alias):
        yield from _domain_refusals(service, extra.alias)
        yield from _taken(service, extra.alias)
    if any(rival(extra, each) for each in service.extras if not isinstance(each, Alias)):
        yield Obstacle("EXTRA_DIFFERS", extra.address)


def finish(hoster: MemoryHoster, service: MemoryService, work: Work) -> None:
    """The task ends: what it says holds, or half of it, or nothing."""
    for account, before in work.busy:
        account.state = before
    if work.half:
        _half(service, work.action)
    elif work.ends is TaskState.DONE:
        _carry_out(hoster, service, work)
    work.state = work.ends


def _carry_out(hoster: MemoryHoster, service: MemoryService, work: Work) -> None:
    action, password = work.action, work.secret and work.secret.reveal()
    match action:
        case Create(address=address, name=name, quota=quota):
            made = service.found(address) or service.account(address, quota=quota)
            made.state, made.name = AccountState.CONFIGURED, name
            made.password = password or made.password
            service.unused = service.unused and service.unused - 1
        case Configure(placeholder=placeholder, address=address, name=name):
            made = service.found(placeholder) or _existing(service, address)
            made.address, made.name = address, name
            made.state, made.password = AccountState.CONFIGURED, password or made.password
        case Release(address=address, placeholder=placeholder):
            made = service.found(address) or _existing(service, placeholder)
            made.address, made.state, made.name = placeholder, AccountState.PLACEHOLDER, ""
        case Rename(address=address, to=to):
            _rename(service, address, to)
        case Lock(address=address):
            _existing(service, address).state = LOCKED
        case Unlock(address=address):
            found = _existing(service, address)
            found.state, found.password = AccountState.CONFIGURED, password or found.password
        case Delete(address=address):
            service.accounts = [e for e in service.accounts if not same(e.address, address)]
            service.extras = [e for e in service.extras if not same(e.address, address)]
            service.unused = None if service.unused is None else service.unused + 1
        case Add(extra):
            service.extras = [each for each in service.extras if not rival(extra, each)]
            service.extras.append(extra)
        case Remove(extra):
            service.extras = [each for each in service.extras if not same_extra(extra, each)]
        case Attach(domain, mode, relay):
            service.domains = [each for each in service.domains if each.name != domain]
            status = DomainStatus.UNPROVEN if service.proves else DomainStatus.OK
            service.domains.append(MemoryDomain(domain_name(domain), status, mode, relay))
        case Detach(domain):
            service.domains = [each for each in service.domains if each.name != domain]
        case SetMode(domain, mode, relay):
            there = service.has_domain(domain)
            assert there is not None
            there.mode, there.relay = mode, relay
        case HandOver(address, to, placeholder):
            source = _existing(service, address)
            target = _existing(hoster.service(to), placeholder)
            target.address, target.name, target.password = address, source.name, source.password
            target.state, target.box = AccountState.CONFIGURED, source.box.clone()
            hoster.service(to).loses(target.box)
            service.accounts.remove(source)
            service.extras = [e for e in service.extras if not same(e.address, address)]


def _rename(service: MemoryService, address: str, to: str) -> None:
    account, other = _existing(service, address), service.found(to)
    if other is not None:
        service.accounts.remove(other)
    account.address = to
    service.extras = [
        _readdressed(each, address, to)
        for each in service.extras
        if not (isinstance(each, Alias) and folded(each.alias) == folded(to))
    ]


def _readdressed(extra: Extra, address: str, to: str) -> Extra:
    """What stood beside the account goes with it; groups know it by its new address."""
    if isinstance(extra, Group):
        members = sorted(to if same(each, address) else each for each in extra.members)
        return Group(extra.address, tuple(members), extra.name)
    if not same(extra.address, address):
        return extra
    match extra:
        case Alias(_, alias):
            return Alias(to, alias)
        case Redirection(_, onward, copy):
            return Redirection(to, onward, copy)
        case Responder(_, text, subject, begins, ends, copy_to):
            return Responder(to, text, subject, begins, ends, copy_to)
        case Filter(_, name, script, words):
            return Filter(to, name, script, words)
        case Delegation(_, delegate, right):
            return Delegation(to, delegate, right)
        case Remark(_, kind, text):
            return Remark(to, kind, text)


def _half(service: MemoryService, action: Action) -> None:
    """What is left of an action that broke off in the middle."""
    match action:
        case Create(address=address):
            service.account(address).state = AccountState.PLACEHOLDER
        case Configure(placeholder=placeholder, address=address):
            _existing(service, placeholder).address = address
        case Release(address=address, placeholder=placeholder):
            _existing(service, address).address = placeholder
        case Rename(address=address, to=to):
            service.account(to, password=_existing(service, address).password)
        case Delete(address=address):
            _existing(service, address).state = LOCKED
        case Add(Group(address, members, name)):
            service.extras.append(Group(address, members[: len(members) // 2], name))
        case Attach(domain, mode, relay):
            made = MemoryDomain(domain_name(domain), DomainStatus.ERROR, mode, relay)
            service.domains.append(made)
        case SetMode(domain, mode):
            there = service.has_domain(domain)
            assert there is not None
            there.mode = mode
        case HandOver(address=address):
            _existing(service, address).state = LOCKED
        case Lock() | Unlock() | Add() | Remove() | Detach():
            pass


def _existing(service: MemoryService, address: str) -> MemoryAccount:
    found = service.found(address)
    if found is None:
        raise BadInput(f"there is no account {address}")
    return found
