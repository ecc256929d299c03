"""Ways that mail can take, as values: which hosts, at which addresses, and what is tried by which.

Names are resolved by whoever makes a `Route`; here addresses are connected to, each only if the
operator's `Allowance` lets it, and the address that was judged is the one connected to.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

PORT = 25


class Allowance(Protocol):
    """Which addresses may be connected to (`dns.guard`)."""

    def allowed(self, address: str) -> bool: ...


class Via(StrEnum):
    """By which way."""

    NEW = "new"
    """The new system's MX, whatever the zone says."""
    MX = "mx"
    """The MX that resolvers name."""
    OLD = "old"
    """The old system's host, whatever the zone says."""
    FILTER = "filter"
    """The third-party filter that resolvers name as MX."""

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Via.NEW: "the new MX, asked directly",
    Via.MX: "the MX that resolvers name",
    Via.OLD: "the old host, asked directly",
    Via.FILTER: "the filter in front",
}


class Act(StrEnum):
    """What is done there."""

    ASK = "ask"
    """RCPT, and nothing is sent."""
    SEND = "send"
    """A marked message, which must come out somewhere."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing that a plan tries by one way."""

    via: Via
    act: Act


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One mail host. `addresses` are IP addresses, in the order in which they are tried."""

    host: str
    addresses: tuple[str, ...]
    preference: int = 0
    port: int = PORT


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts to which mail of `domain` goes by one way."""

    via: Via
    domain: str
    exchangers: tuple[Exchanger, ...]

    @property
    def in_order(self) -> list[Exchanger]:
        """The best first (RFC 5321 section 5.1)."""
        return sorted(self.exchangers, key=lambda each: each.preference)


def errands(*, filtered: bool, switched: bool) -> tuple[Errand, ...]:
    """What is tried before and after the switch.

    Before it nothing is sent: a message would come out in the old mailbox, from which nothing can
    be removed. Behind a filter both systems may listen to the filter alone, so that it is asked and
    nobody else.
    """
    if filtered:
        return (Errand(Via.FILTER, Act.SEND if switched else Act.ASK),)
    if switched:
        return (Errand(Via.MX, Act.SEND), Errand(Via.OLD, Act.SEND))
    return (Errand(Via.NEW, Act.ASK), Errand(Via.OLD, Act.ASK))
