"""What stands in the way at a provider: its own codes, and who tells of them.

A provider's control plane knows what IMAP doesn't: a redirection on the address, an auto-reply, a
list of that name. Whoever can ask it implements `Obstacles`; a check hands its answers on. The
codes are those of OVHcloud's API (checkMigrate), and ours where it has none (`obstacle_codes`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailhaul.core.finding import Finding
from mailhaul.core.text import printable
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Responder,
)
from mailhaul.providers.obstacle_codes import OURS, OVHCLOUD, UNHEARD_OF, Known
from mailhaul.providers.service import DomainStatus


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One answer. `evidence` is printable: which redirection, which task."""

    code: str
    evidence: str = ""


class Obstacles(Protocol):
    """Something that knows of obstacles for one mailbox pair; looks only."""

    async def obstacles(self) -> Sequence[Obstacle]:
        """Everything in the way now. Raises `RetryLater` and `Closed` like a store."""


KNOWN: Mapping[str, Known] = {**OVHCLOUD, **OURS}
"""Every code that mailhaul knows."""


DOMAIN_CODES: Mapping[DomainStatus, str] = {
    DomainStatus.CREATING: "DOMAIN_CREATING",
    DomainStatus.UNPROVEN: "DOMAIN_UNPROVEN",
    DomainStatus.DELETING: "DOMAIN_FAILED",
    DomainStatus.ERROR: "DOMAIN_FAILED",
}
"""Why nothing can be made in a domain of that status; with a status that isn't here, it can."""


def finding(obstacle: Obstacle) -> Finding:
    """The obstacle for people; one of a code that nobody knows warns."""
    known = KNOWN.get(obstacle.code, UNHEARD_OF)
    evidence = printable(obstacle.evidence or known.means, 500)
    return Finding(printable(obstacle.code, 40), known.severity, evidence, known.remedy)


def standing(address: str, extras: Iterable[Extra]) -> Iterator[Obstacle]:
    """What of these is in the way of moving the account, in OVHcloud's words: for providers that
    have no check of their own."""
    for extra in extras:
        if same(extra.address, address) and (code := _CODES.get(type(extra))):
            local = isinstance(extra, Redirection) and extra.copy
            yield Obstacle("FORWARD_LOCAL" if local else code, _shown(extra))


_CODES: Mapping[type[Extra], str] = {
    Alias: "ALIAS_EXIST",
    Redirection: "FORWARD_EXIST",
    Responder: "RESPONDER_EXIST",
    Filter: "FILTER_EXIST",
    Delegation: "DELEGATION_EXIST",
    Group: "MAILINGLIST_EXIST",
}


def _shown(extra: Extra) -> str:
    match extra:
        case Alias(address, alias):
            said = f"{alias} is an alias of {address}"
        case Redirection(address, to):
            said = f"mail to {address} goes on to {to}"
        case Responder(address):
            said = f"{address} answers by itself"
        case Filter(address, name):
            said = f"{address} has the filter “{name}”"
        case Delegation(address, to, right):
            said = f"{to} has the right “{right.value}” on {address}"
        case Group(address, members):
            said = f"{address} is a group of {len(members)}"
        case _:
            said = f"{extra.address}: {extra.kind}"
    return printable(said, 300)
