"""The provider in memory keeps the contract, of every kind of service that it can play."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest

from mailhaul.core.text import Secret
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider
from mailhaul.providers.service import AccountState, Generation, Mode, Verb
from tests.dns.memory_zone import MemoryZone
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider
from tests.providers.suite import ProviderSuite

DOMAIN = "example.test"
EXTRAS = {
    *(Verb.ALIASES, Verb.REDIRECTIONS, Verb.RESPONDERS),
    *(Verb.FILTERS, Verb.DELEGATIONS, Verb.GROUPS),
}


def legacy() -> MemoryService:
    """An MX Plan whose accounts are handed over by the provider."""
    verbs = frozenset({Verb.CREATE, Verb.DELETE, Verb.LOCK, Verb.HAND_OVER, *EXTRAS})
    made = MemoryService("mx", "MX Plan 5", verbs=verbs, generation=Generation.LEGACY, ticks=3)
    made.hand_over_to, made.evidence = frozenset({"ex"}), ("offer: MX Plan 5",)
    return made


def new() -> MemoryService:
    """An MX Plan whose accounts can be renamed."""
    verbs = frozenset({Verb.CONFIGURE, Verb.RENAME, Verb.RELAY, Verb.DOMAINS, *EXTRAS})
    made = MemoryService("mx", "MX Plan", verbs=verbs, generation=Generation.NEW)
    made.evidence = ("server model: mxplan-1",)
    return made


def everything() -> MemoryService:
    return MemoryService("mx", verbs=frozenset(Verb) - {Verb.HAND_OVER}, ticks=0)


def poor() -> MemoryService:
    return MemoryService("mx", verbs=frozenset({Verb.CREATE}), ticks=1)


def exchange() -> MemoryService:
    """Where accounts are handed over to."""
    made = MemoryService("ex", "Hosted Exchange", quota=50_000_000_000)
    made.domain(DOMAIN, mode=Mode.NON_AUTHORITATIVE)
    return made


@dataclass
class MemoryHouse:
    """A `House`."""

    hoster: MemoryHoster
    provider: Provider
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset(Fault)
    numbers: "count[int]" = field(default_factory=count)

    @property
    def state(self) -> MemoryService:
        return self.hoster.service("mx")

    async def another(self) -> Provider:
        return MemoryProvider(self.hoster, "mx")

    async def account(self, local: str, messages: int = 0) -> str:
        mail = [b"Subject: %d\r\n\r\n" % number for number in range(messages)]
        return self.state.account(f"{local}@{DOMAIN}", *mail).address

    async def placeholder(self) -> str:
        return self.state.placeholder(f"p{next(self.numbers)}@configureme.me").address

    async def spare_domain(self) -> str:
        return f"spare{next(self.numbers)}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        target = self.hoster.service("ex")
        free = [e.address for e in target.accounts if e.state is not AccountState.CONFIGURED]
        placeholder = free[0] if free else target.placeholder("first@configureme.me").address
        return MemoryProvider(self.hoster, "ex"), "ex", placeholder

    async def settle(self) -> None:
        self.hoster.tick()

    async def messages(self, address: str) -> int:
        return sum(
            found.box.total()
            for service in self.hoster.services.values()
            if (found := service.found(address))
        )

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.state.found(address) or self.hoster.service("ex").found(address)
        assert found is not None
        return found.state is AccountState.CONFIGURED and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        self.state.arm(fault)


class TestMemory(ProviderSuite):
    @pytest.fixture(params=[legacy, new, everything, poor], ids=lambda make: make.__name__)
    async def house(self, request: pytest.FixtureRequest) -> AsyncIterator[MemoryHouse]:
        service: MemoryService = request.param()
        service.domain(DOMAIN)
        if Verb.ZONES in service.verbs:
            service.zones[DOMAIN] = MemoryZone(DOMAIN)
        hoster = MemoryHoster(service, exchange())
        yield MemoryHouse(hoster, MemoryProvider(hoster, "mx"))
