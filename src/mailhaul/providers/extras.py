"""What stands beside an account's mail: aliases, redirections, auto-replies, filters, delegations,
groups, and what can only be listed. Plain values, equal when they mean the same; whatever number a
provider has for one is looked up by its content."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Alias:
    """Mail to `alias` arrives in the account `address`."""

    address: str
    alias: str


@dataclass(frozen=True, slots=True)
class Redirection:
    """Mail to `address` goes on to `to`; with `copy` it arrives in the account as well."""

    address: str
    to: str
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Responder:
    """An auto-reply. `begins` and `ends` are seconds since 1970, None: at once, for good. `copy_to`
    gets what is answered, or nobody does."""

    address: str
    text: str
    subject: str = ""
    begins: int | None = None
    ends: int | None = None
    copy_to: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule. `script` is Sieve (RFC 5228) where the provider's rule can be said in it, else empty,
    and `words` say it for a person."""

    address: str
    name: str
    script: str = ""
    words: str = ""


class Right(StrEnum):
    FULL = "full access"
    SEND_AS = "send as"
    SEND_ON_BEHALF = "send on behalf"


@dataclass(frozen=True, slots=True)
class Delegation:
    """`to` has that right on the account `address`."""

    address: str
    to: str
    right: Right


@dataclass(frozen=True, slots=True)
class Group:
    """Mail to `address` goes to all members, sorted."""

    address: str
    members: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What can't be carried and is handed over as a list: an external contact, a footer, a resource
    account. `kind` names it for people, `text` says what it holds."""

    address: str
    kind: str
    text: str


Extra = Alias | Redirection | Responder | Filter | Delegation | Group | Remark
