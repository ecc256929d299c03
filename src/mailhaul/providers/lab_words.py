"""What the lab's hoster and its provider say to each other: the protocol's own values as JSON.

Both sides take the words from here, so that they can't drift apart; what comes is checked against
the types, whoever sent it.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

from mailhaul.core.finding import Finding
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import Planned, Task
from mailhaul.providers.service import Account, Contacts, HostedDomain, Service


@dataclass(frozen=True, slots=True)
class HeldZone:
    """The server that a zone is changed at, and the key for it."""

    server: str
    port: int
    key: str
    algorithm: str
    secret: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is answered in place of what was asked for; `findings` where the hoster says no."""

    text: str
    findings: tuple[Finding, ...] = ()


SERVICE = TypeAdapter(Service)
ACCOUNT = TypeAdapter(Account | None)
ACCOUNTS = TypeAdapter(tuple[Account, ...])
OBSTACLES = TypeAdapter(tuple[Obstacle, ...])
DOMAINS = TypeAdapter(tuple[HostedDomain, ...])
CONTACTS = TypeAdapter(Contacts)
ZONE = TypeAdapter(HeldZone)
PLANNED = TypeAdapter(Planned)
TASK = TypeAdapter(Task)
TEXTS = TypeAdapter(tuple[str, ...])
"""Extras, as `actions_text` writes them: their kinds can't be told from their fields."""
TROUBLE = TypeAdapter(Trouble)
