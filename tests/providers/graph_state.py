"""A tenant of Microsoft 365 in memory: what its directory and mailboxes hold, and what time does.

Nothing here knows HTTP. `tick` lets time pass: mailboxes of licensed people appear, Exchange takes
over changed names and keeps the old ones as aliases, written records are seen.
"""

import uuid
from dataclasses import dataclass, field
from itertools import count

Json = dict[str, object]

SKU = "f245ecc8-75af-4f8e-b61f-27d8114de5f3"
"""O365_BUSINESS_PREMIUM (Microsoft's list of product names and service plan identifiers)."""
MAIL_PLAN = "9aaf7827-d63c-4b61-89c3-182f06f82e5c"
"""EXCHANGE_S_STANDARD."""
FREE_SKU = "a403ebcc-fae0-4ca2-8c8c-7a907fd6c235"
FOUNDATION = "113feb6c-3fe4-4440-bddc-54d774bf0318"
"""EXCHANGE_S_FOUNDATION, which gives nobody a mailbox."""


@dataclass(slots=True)
class Box:
    """A mailbox."""

    messages: int = 0
    rules: list[Json] = field(default_factory=list)
    replies: Json = field(
        default_factory=lambda: {
            "status": "disabled",
            "externalAudience": "none",
            "internalReplyMessage": "",
            "externalReplyMessage": "",
        }
    )
    purpose: str = "user"


@dataclass(slots=True)
class User:
    """One user. `box` None: no mailbox yet."""

    login: str
    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    mail: str = ""
    password: str = ""
    enabled: bool = True
    guest: bool = False
    location: str = ""
    aliases: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    box: Box | None = None
    waits: int = 0
    trouble: str = ""
    seen: bool = True
    """Whether questions show the user, and licences, yet."""
    revoked: int = 0

    @property
    def proxies(self) -> list[str]:
        primary = [f"SMTP:{self.mail}"] if self.mail else []
        return [*primary, *(f"smtp:{alias}" for alias in self.aliases)]

    @property
    def names(self) -> set[str]:
        return {each.casefold() for each in (self.login, self.mail, *self.aliases) if each}


@dataclass(slots=True)
class Domain:
    """One domain. `proven`: its record stands in the zone."""

    name: str
    verified: bool = False
    services: list[str] = field(default_factory=list)
    initial: bool = False
    proven: bool = False
    state: Json | None = None

    @property
    def proof(self) -> str:
        return f"MS=ms{sum(self.name.encode()) * 7919 % 10**8:08}"


@dataclass(slots=True)
class DirectoryGroup:
    mail: str
    name: str
    members: list[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class TenantState:
    """Everything. `ticks`: how long a mailbox takes to appear; `bought`: seats of `SKU`."""

    name: str = "Example"
    users: list[User] = field(default_factory=list)
    domains: list[Domain] = field(default_factory=list)
    groups: list[DirectoryGroup] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    """Domains that other tenants have."""
    country: str = "FR"
    bought: int = 1000
    ticks: int = 2
    stalls: bool = False
    late: bool = False
    """What is made is shown after a tick."""
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def user(self, key: str) -> User | None:
        """By id or name for signing in."""
        wanted = key.casefold()
        found = (each for each in self.users if wanted in (each.id, each.login.casefold()))
        return next(found, None)

    def domain(self, name: str) -> Domain | None:
        return next((each for each in self.domains if each.name == name.casefold()), None)

    def holder(self, address: str) -> User | DirectoryGroup | None:
        """Whoever has the address, be it as an alias."""
        wanted = address.casefold()
        people: list[User | DirectoryGroup] = [e for e in self.users if wanted in e.names]
        groups = [each for each in self.groups if each.mail.casefold() == wanted]
        return next(iter((*people, *groups)), None)

    @property
    def used(self) -> int:
        return sum(SKU in each.licences for each in self.users)

    def account(self, address: str, password: str, messages: int = 0) -> User:
        """Somebody with a mailbox."""
        user = User(address, address.partition("@")[0], mail=address, password=password)
        user.licences, user.location, user.box = [SKU], self.country, Box(messages)
        self.users.append(user)
        return user

    def tick(self) -> None:
        """A moment passes."""
        for domain in self.domains:
            domain.proven = True
        for user in self.users:
            user.seen = True
        if self.stalls:
            return
        for user in self.users:
            if user.box is None and SKU in user.licences and not user.trouble:
                user.waits -= 1
                if user.waits <= 0:
                    user.mail, user.box = user.login, Box()
            elif user.mail and user.mail != user.login and not user.guest:
                user.aliases = [each for each in user.aliases if each != user.login]
                user.aliases.append(user.mail)
                user.mail = user.login
