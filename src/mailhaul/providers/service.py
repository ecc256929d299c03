"""What a provider says of itself, of its accounts and of its domains: plain values."""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.dns.expected import Expected
from mailhaul.dns.records import RecordSet


class Generation(StrEnum):
    """Of an MX Plan: by which of OVHcloud's two paths its accounts go to an Exchange."""

    LEGACY = "legacy"
    NEW = "new"


class Content(StrEnum):
    """What an account can hold."""

    MAIL = "mail"
    CALENDAR = "calendar"
    CONTACTS = "contacts"
    TASKS = "tasks"
    RULES = "rules"
    SHARING = "sharing"


class Verb(StrEnum):
    """What the control plane can do. Whatever it can't is refused with `Unsupported`."""

    CREATE = "create accounts"
    CONFIGURE = "configure placeholders"
    RENAME = "rename accounts"
    LOCK = "lock accounts"
    DELETE = "delete accounts"
    HAND_OVER = "migrate accounts by itself"
    ALIASES = "aliases"
    REDIRECTIONS = "redirections"
    RESPONDERS = "auto-replies"
    FILTERS = "filters"
    DELEGATIONS = "delegations"
    GROUPS = "groups"
    DOMAINS = "attach domains"
    RELAY = "relay for unknown recipients"
    ZONES = "write zones"


@dataclass(frozen=True, slots=True)
class Service:
    """One service at a provider. `product` and `evidence` are printable and what the service says
    of itself; `free` how many accounts can still be made or configured, None where that is not
    counted; `fresh`: nothing has been set up on it yet; `quota` in octets, of each account."""

    kind: str
    name: str
    product: str
    verbs: frozenset[Verb]
    contents: frozenset[Content] = frozenset({Content.MAIL})
    generation: Generation | None = None
    evidence: tuple[str, ...] = ()
    free: int | None = None
    fresh: bool = False
    quota: int | None = None


class AccountState(StrEnum):
    """Where an account is. BUSY: a task of it is under way, whatever it was before."""

    CONFIGURED = "configured"
    PLACEHOLDER = "placeholder"
    LOCKED = "locked"
    BUSY = "busy"


class Access(StrEnum):
    """Ways into an account that a provider switches on and off."""

    IMAP = "IMAP"
    POP = "POP"
    SMTP = "SMTP"
    WEBMAIL = "webmail"
    ACTIVESYNC = "ActiveSync"


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `quota` and `used` are octets, `messages` a count; None: the provider doesn't
    say. `access` None: it doesn't say which ways are open."""

    address: str
    state: AccountState
    name: str = ""
    quota: int | None = None
    used: int | None = None
    messages: int | None = None
    aliases: tuple[str, ...] = ()
    access: frozenset[Access] | None = None


class Mode(StrEnum):
    """Whose the domain is. Mail for recipients that a non-authoritative service doesn't know goes
    on to its relay; an authoritative one refuses it."""

    AUTHORITATIVE = "authoritative"
    NON_AUTHORITATIVE = "non-authoritative"


class DomainStatus(StrEnum):
    OK = "ok"
    CREATING = "creating"
    UNPROVEN = "ownership not proven"
    DELETING = "deleting"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class HostedDomain:
    """A domain on a service. `proof` is the record that shows whose it is, while the provider asks
    for it; `expected` what its zone is to say, None where the provider doesn't tell."""

    name: str
    status: DomainStatus
    mode: Mode = Mode.AUTHORITATIVE
    relay: str = ""
    proof: RecordSet | None = None
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class Contacts:
    """Whose the service is, by the provider's names for people; `me` is who asks. Empty: the
    provider doesn't tell."""

    me: str
    administrator: str = ""
    technical: str = ""
    billing: str = ""
