"""What the hoster refuses, what stands already, and which addresses an action is about."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from mailhaul.core.text import Secret
from mailhaul.dns.names import domain_name
from mailhaul.lab.hoster.books import Books, Box, Line, Sold
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
from mailhaul.providers.actions_text import extra_of
from mailhaul.providers.addresses import parts, same
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
from mailhaul.providers.obstacles import DOMAIN_CODES, Obstacle
from mailhaul.providers.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from mailhaul.providers.service import AccountState, Contacts, DomainStatus, Mode, Verb

SIEVE = frozenset({Verb.REDIRECTIONS, Verb.RESPONDERS, Verb.FILTERS})
"""Verbs that need a platform that acts on what they set."""
_ALL = frozenset({Verb.CREATE, Verb.LOCK, Verb.DELETE, Verb.DELEGATIONS, Verb.DOMAINS})
VERBS: Mapping[Line, frozenset[Verb]] = {
    Line.LEGACY: SIEVE | _ALL | {Verb.HAND_OVER},
    Line.NEW: SIEVE | _ALL | {Verb.CONFIGURE, Verb.RENAME, Verb.ALIASES, Verb.RELAY},
    Line.EXCHANGE: SIEVE
    | _ALL
    | {Verb.CONFIGURE, Verb.RENAME, Verb.ALIASES, Verb.GROUPS, Verb.RELAY},
}
"""As at OVHcloud: a legacy MX Plan can't rename, and hands accounts over by itself."""
_LOCAL = re.compile("[a-z0-9][a-z0-9._+-]*")


def addresses(action: Action) -> tuple[str, ...]:
    """Every address in the action. Raises `BadInput` for what can't be one."""
    match action:
        case Configure(one, two) | Release(two, one) | Rename(one, two):
            found: tuple[str, ...] = (one, two)
        case HandOver(address=one, placeholder=two):
            found = (one, two)
        case Create() | Lock() | Unlock() | Delete():
            found = (action.address,)
        case Add(extra) | Remove(extra):
            found = _addresses_of(extra)
        case Attach(domain=domain) | Detach(domain=domain) | SetMode(domain=domain):
            domain_name(domain)
            found = ()
    for each in found:
        parts(each)
    return found


def about(service: str, action: Action) -> list[tuple[str, str]]:
    """Services and addresses that are busy while the action is under way."""
    if isinstance(action, HandOver):
        return [
            (service, action.address),
            (action.service, action.placeholder),
            (action.service, action.address),
        ]
    if isinstance(action, Add | Remove):
        return [(service, action.extra.address)]
    return [(service, each) for each in addresses(action)]


def extras(books: Books, service: str) -> list[tuple[int, Extra]]:
    """What stands on the service, each with its number, by the addresses that accounts have now."""
    found = []
    for number, box, text in books.extras(service):
        extra = extra_of(text)
        found.append((number, replace(extra, address=box.address) if box else extra))
    return found


def holds(books: Books, sold: Sold, action: Action) -> bool:
    """Whether it stands already."""

    def state(address: str) -> AccountState | None:
        box = books.box(sold.name, address)
        return None if box is None else box.state

    match action:
        case Create(address=address):
            return state(address) in (AccountState.CONFIGURED, AccountState.LOCKED)
        case Configure(placeholder=old, address=new):
            return state(old) is None and state(new) is AccountState.CONFIGURED
        case Release(address=old, placeholder=new):
            return state(old) is None and state(new) is AccountState.PLACEHOLDER
        case Rename(address=old, to=new):
            return state(old) is None and state(new) is not None
        case Lock(address=address):
            return state(address) is AccountState.LOCKED
        case Unlock(address=address):
            return state(address) is AccountState.CONFIGURED
        case Delete(address=address):
            return state(address) is None
        case Add(extra):
            return any(same_extra(extra, each) for _, each in extras(books, sold.name))
        case Remove(extra):
            return not any(same_extra(extra, each) for _, each in extras(books, sold.name))
        case Attach(domain, mode, relay) | SetMode(domain, mode, relay):
            there = books.domain(sold.name, domain)
            return (
                there is not None
                and there.status is not DomainStatus.ERROR
                and (there.mode, there.relay) == (mode, relay)
            )
        case Detach(domain):
            return books.domain(sold.name, domain) is None
        case HandOver():
            return False


def refusals(
    books: Books, sold: Sold, action: Action, *, used: int = 0, retried: bool = False
) -> Iterator[Obstacle]:
    """Why it would be refused now. `used`: octets (a hand-over) or messages in the account;
    `retried`: what half of it left is no reason."""
    for service, address in about(sold.name, action):
        if books.busy(service, address):
            yield Obstacle("ACCOUNT_INPROGRESS", address)
            return
    match action:
        case Create(address=address):
            yield from _domain_refusals(books, sold, address)
            if not retried:
                yield from _taken(books, sold, address)
        case Configure(placeholder=placeholder, address=address):
            box = books.box(sold.name, placeholder)
            half = retried and books.box(sold.name, address) is not None
            if not half and (box is None or box.state is not AccountState.PLACEHOLDER):
                yield Obstacle("PLACEHOLDER_GONE", placeholder)
            yield from _domain_refusals(books, sold, address)
            if not half:
                yield from _taken(books, sold, address)
        case Release(address=address, placeholder=placeholder):
            if not retried:
                yield from _missing(books, sold, address)
                yield from _taken(books, sold, placeholder)
        case Rename(address=address, to=to):
            yield from _missing(books, sold, address)
            yield from _domain_refusals(books, sold, to)
            if not retried:
                yield from _taken(books, sold, to, owner=address)
        case Lock(address=address) | Unlock(address=address):
            yield from _missing(books, sold, address)
        case Delete(address=address, empty=empty):
            if empty and used:
                yield Obstacle("ACCOUNT_NOT_EMPTY", address)
        case Add(extra):
            yield from _extra_refusals(books, sold, extra, retried)
        case Remove():
            return
        case Attach(domain, mode):
            claimed = any(
                each.mode is Mode.AUTHORITATIVE for each in books.elsewhere(sold.name, domain)
            )
            if books.domain(sold.name, domain) and not retried:
                yield Obstacle("EXTRA_DIFFERS", f"{domain} is on the service otherwise")
            elif claimed and mode is Mode.AUTHORITATIVE and not retried:
                yield Obstacle("DOMAIN_CLAIMED", domain)
        case Detach(domain):
            if any(parts(box.address).domain == domain for box in books.boxes(sold.name)):
                yield Obstacle("DOMAIN_IN_USE", domain)
        case SetMode(domain, _, _, mode_before, relay_before):
            there = books.domain(sold.name, domain)
            if there is None:
                yield Obstacle("DOMAIN_EMPTY", domain)
            elif not retried and (there.mode, there.relay) != (mode_before, relay_before):
                yield Obstacle("EXTRA_DIFFERS", f"{domain} is {there.mode.value}")
        case HandOver():
            yield from _hand_over_refusals(books, sold, action, used, retried)


def secret_refusals(
    books: Books, sold: Sold, action: Action, secret: Secret | None
) -> Iterator[Obstacle]:
    """Why the secret that begins it is none."""
    if isinstance(action, HandOver):
        box = books.box(sold.name, action.address)
        if secret is None or (box and secret.reveal() != box.password):
            yield Obstacle("PASSWORD_WRONG", action.address)
    elif isinstance(action, Create | Configure) and secret is not None and not _fit(secret):
        yield Obstacle("PASSWORD_UNFIT", action.address)


def _fit(secret: Secret) -> bool:
    return SHORTEST_PASSWORD <= len(secret.reveal()) <= LONGEST_PASSWORD


def _hand_over_refusals(
    books: Books, sold: Sold, action: HandOver, used: int, retried: bool
) -> Iterator[Obstacle]:
    other = books.service(action.service)
    if other is None or other.line is not Line.EXCHANGE:
        yield Obstacle("SERVICE_UNKNOWN", action.service)
        return
    for side, contacts in (("SOURCE", sold.contacts), ("TARGET", other.contacts)):
        yield from _role_refusals(side, contacts)
    yield from _missing(books, sold, action.address)
    target = books.box(other.name, action.placeholder)
    if target is None or target.state is not AccountState.PLACEHOLDER:
        if not retried:
            yield Obstacle("PLACEHOLDER_GONE", action.placeholder)
    elif target.quota is not None and used > target.quota:
        yield Obstacle("QUOTA_TOO_SMALL", action.placeholder)
    yield from _domain_refusals(books, other, action.address)
    if not retried:
        yield from _taken(books, other, action.address)
    for _, extra in extras(books, sold.name):
        if same(extra.address, action.address):
            if isinstance(extra, Redirection):
                yield Obstacle("FORWARD_LOCAL" if extra.copy else "FORWARD_EXIST", extra.to)
            elif isinstance(extra, Responder):
                yield Obstacle("RESPONDER_EXIST", extra.address)


def _role_refusals(side: str, contacts: Contacts) -> Iterator[Obstacle]:
    if contacts.administrator != contacts.me:
        yield Obstacle(f"{side}_ADMINISTRATOR", f"it is {contacts.administrator}")
    if contacts.technical != contacts.me:
        yield Obstacle(f"{side}_TECHNICAL", f"it is {contacts.technical}")


def _extra_refusals(books: Books, sold: Sold, extra: Extra, retried: bool) -> Iterator[Obstacle]:
    standing = [each for _, each in extras(books, sold.name)]
    if isinstance(extra, Group):
        there = [e for e in standing if isinstance(e, Group) and same(e.address, extra.address)]
        if not there:
            yield from _domain_refusals(books, sold, extra.address)
            yield from _taken(books, sold, extra.address)
        elif not retried:
            yield Obstacle("EXTRA_DIFFERS", extra.address)
        return
    yield from _missing(books, sold, extra.address)
    if isinstance(extra, Alias):
        yield from _domain_refusals(books, sold, extra.alias)
        yield from _taken(books, sold, extra.alias)
    if any(rival(extra, each) for each in standing if not isinstance(each, Alias)):
        yield Obstacle("EXTRA_DIFFERS", extra.address)


def _domain_refusals(books: Books, sold: Sold, address: str) -> Iterator[Obstacle]:
    found = parts(address)
    if not _LOCAL.fullmatch(found.local.casefold()):
        yield Obstacle("ADDRESS_REFUSED", address)
    domain = books.domain(sold.name, found.domain)
    if domain is None:
        yield Obstacle("DOMAIN_EMPTY", found.domain)
    elif code := DOMAIN_CODES.get(domain.status):
        yield Obstacle(code, domain.name)


def _missing(books: Books, sold: Sold, address: str) -> Iterator[Obstacle]:
    box = books.box(sold.name, address)
    if box is None:
        yield Obstacle("ACCOUNT_EMPTY", address)
    elif box.state is AccountState.PLACEHOLDER:
        yield Obstacle("ACCOUNT_UNCONFIGURED", address)


def _taken(books: Books, sold: Sold, address: str, owner: str = "") -> Iterator[Obstacle]:
    """An account may take its own alias as its name."""
    mine = any(
        isinstance(each, Alias) and same(each.alias, address) and same(each.address, owner)
        for _, each in extras(books, sold.name)
    )
    if books.taken(sold.name, address) and not mine:
        yield Obstacle("ADDRESS_TAKEN", address)


def _addresses_of(extra: Extra) -> tuple[str, ...]:
    match extra:
        case Alias(address, alias):
            return address, alias
        case Redirection(address, to) | Delegation(address, to):
            return address, to
        case Responder(address=address, copy_to=copy_to):
            return (address, copy_to) if copy_to else (address,)
        case Group(address, members):
            return address, *members
        case Filter(address) | Remark(address):
            return (address,)


def incoming(extra: Extra) -> str:
    """The address at which mail comes in by it."""
    match extra:
        case Alias(alias=alias):
            return alias
        case Group(address=address):
            return address
        case _:
            return ""


def box_of(books: Books, service: str, extra: Extra) -> Box | None:
    """The account beside which it stands; a group stands alone."""
    return None if isinstance(extra, Group) else books.box(service, extra.address)
