"""The protocol that all hosters' control planes are spoken to by.

Reading verbs, and three for changes: `plan` says what an action would do (a dry run), `begin` has
it done, `task` tells how far it is. A provider says yes long before a thing is done: everything
waits for its task. `actions.inverse` gives the way back; `effects.holding` looks at what stands,
whatever a task says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailhaul.core.errors import MailhaulError
from mailhaul.core.finding import Finding
from mailhaul.core.text import Secret, printable
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers.actions import Action, verb_of
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.service import Account, Contacts, HostedDomain, Service, Verb


class TaskState(StrEnum):
    """OVHcloud's words for it."""

    TODO = "todo"
    DOING = "doing"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"


OVER = frozenset({TaskState.DONE, TaskState.ERROR, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Task:
    """Work at a provider. `id` is enough to ask for it again, from another process too; `said` is
    printable. `by_person`: nobody does it but a person, to whom `said` says what; the provider
    sees when it is done."""

    id: str
    state: TaskState
    said: str = ""
    by_person: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What an action would do. `findings` that block say why it would be refused now; `lines` are
    what is sent, or what a person is told, without secrets. `holds`: it stands already."""

    holds: bool
    lines: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class Unsupported(MailhaulError):
    """The provider has no such verb; it is not among its service's `verbs`."""


def demand(verbs: frozenset[Verb], action: Action, service: str) -> None:
    """Raises `Unsupported` where these verbs of that service don't cover the action."""
    verb = verb_of(action)
    if verb is None or verb not in verbs:
        wanted = "change what can only be listed" if verb is None else f"do this: {verb.value}"
        raise Unsupported(f"{printable(service, 100)} can't {wanted}; it has to be done by hand")


class Refused(MailhaulError):
    """The provider said no, and nothing was changed. The findings say why, each with a code."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{each.evidence}: {each.remedy}" for each in findings))


class Provider(Protocol):
    """One service at one hoster. All verbs raise `RetryLater` (throttled, away), `Closed`
    (credentials of the control plane) and, where its answer makes no sense, `Closed` (protocol).
    Addresses are compared without regard to case and given back as the provider writes them."""

    async def service(self) -> Service:
        """What this service is, as it stands now."""

    async def accounts(self) -> Sequence[Account]:
        """Every account, placeholders too, by address. Sizes may be left out (None)."""

    async def account(self, address: str) -> Account | None:
        """That account with its sizes; None where there is none of that address. An alias is no
        account."""

    async def extras(self, address: str = "") -> Sequence[Extra]:
        """What stands beside the account, or the whole service; nothing of kinds that it hasn't
        got."""

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        """What stands in the way of moving that account now, or of that action of it."""

    async def domains(self) -> Sequence[HostedDomain]:
        """The domains on the service."""

    async def contacts(self) -> Contacts:
        """Who may decide about the service."""

    async def zone(self, domain: str) -> ZoneWriter:
        """Its zone, to be changed. Raises `Unsupported` where this provider doesn't hold it."""

    async def plan(self, action: Action) -> Planned:
        """What the action would do; changes nothing. Raises `Unsupported`."""

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        """Has it done. What holds already is DONE at once; the same `key` again, from whatever
        process, finds the task that it began, and begins it anew only where that ended in ERROR or
        CANCELLED. Raises `Refused` and `Unsupported`; nothing was changed then. After any other
        error it may have begun: ask again with the same key."""

    async def task(self, number: str) -> Task:
        """How far that task is. Raises `BadInput` for one that the provider doesn't know (any
        more): then `effects.holding` tells what became of it."""

    async def close(self) -> None:
        """Ends connections; never raises for a provider that is away."""
