"""What can be asked of a provider, as values: each says what is to hold afterwards.

They are written down before they are begun and hold no secret: what needs one (a password for a
new account, the source's for a hand-over) gets it beside the action when it begins.
"""

from dataclasses import dataclass

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
from mailhaul.providers.service import Mode, Verb


@dataclass(frozen=True, slots=True)
class Create:
    """An account of that address. With a secret: its password. `quota` in octets."""

    address: str
    name: str = ""
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    """The placeholder becomes the account `address`. With a secret: its password."""

    placeholder: str
    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """The account `address` is the placeholder of that name again, with whatever is in it."""

    address: str
    placeholder: str


@dataclass(frozen=True, slots=True)
class Rename:
    """The account has the address `to`, with all that is in it; its aliases lead to it."""

    address: str
    to: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Nobody gets into the account or changes it; mail still arrives where the provider can."""

    address: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """The account is open again. With a secret: its password, where locking changed that."""

    address: str


@dataclass(frozen=True, slots=True)
class Delete:
    """There is no such account. With `empty` only one that holds no message is deleted."""

    address: str
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Add:
    """The extra stands."""

    extra: Extra


@dataclass(frozen=True, slots=True)
class Remove:
    """The extra doesn't stand."""

    extra: Extra


@dataclass(frozen=True, slots=True)
class Attach:
    """The domain is on the service. `relay` is the mail host for unknown recipients."""

    domain: str
    mode: Mode = Mode.AUTHORITATIVE
    relay: str = ""


@dataclass(frozen=True, slots=True)
class Detach:
    """The domain is no longer on the service."""

    domain: str


@dataclass(frozen=True, slots=True)
class SetMode:
    """The domain's mode and relay; what they were before is kept for the way back."""

    domain: str
    mode: Mode
    relay: str
    mode_before: Mode
    relay_before: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """The provider itself carries the account into a placeholder of the service `service`, which
    gets its address. Needs a secret: the account's password. Nothing takes this back."""

    address: str
    service: str
    placeholder: str


Action = (
    Create
    | Configure
    | Release
    | Rename
    | Lock
    | Unlock
    | Delete
    | Add
    | Remove
    | Attach
    | Detach
    | SetMode
    | HandOver
)


def verb_of(action: Action) -> Verb | None:
    """The verb that a provider needs for it; None: nobody has one (a `Remark`)."""
    match action:
        case Create():
            return Verb.CREATE
        case Configure() | Release():
            return Verb.CONFIGURE
        case Rename():
            return Verb.RENAME
        case Lock() | Unlock():
            return Verb.LOCK
        case Delete():
            return Verb.DELETE
        case Attach() | Detach():
            return Verb.DOMAINS
        case SetMode():
            return Verb.RELAY
        case HandOver():
            return Verb.HAND_OVER
        case Add(extra) | Remove(extra):
            return verb_of_extra(extra)


def verb_of_extra(extra: Extra) -> Verb | None:
    """The verb that a provider needs to add and remove it; None: it can only be listed."""
    match extra:
        case Alias():
            return Verb.ALIASES
        case Redirection():
            return Verb.REDIRECTIONS
        case Responder():
            return Verb.RESPONDERS
        case Filter():
            return Verb.FILTERS
        case Delegation():
            return Verb.DELEGATIONS
        case Group():
            return Verb.GROUPS
        case Remark():
            return None


def inverse(action: Action) -> Action | None:
    """What takes the action back, once it holds; None for what can't be taken back."""
    match action:
        case Create(address=address):
            return Delete(address, empty=True)
        case Configure(placeholder=placeholder, address=address):
            return Release(address, placeholder)
        case Release(address=address, placeholder=placeholder):
            return Configure(placeholder, address)
        case Rename(address=address, to=to):
            return Rename(to, address)
        case Lock(address=address):
            return Unlock(address)
        case Unlock(address=address):
            return Lock(address)
        case Add(extra=extra):
            return Remove(extra)
        case Remove(extra=extra):
            return Add(extra)
        case Attach(domain=domain):
            return Detach(domain)
        case SetMode(domain, mode, relay, mode_before, relay_before):
            return SetMode(domain, mode_before, relay_before, mode, relay)
        case Delete() | Detach() | HandOver():
            return None
