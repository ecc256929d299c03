"""A list and a person keep the contract: the person does what the tasks tell, at another hoster."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.providers.actions_text import action_of
from mailhaul.providers.extras import Extra
from mailhaul.providers.journal import Journal
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import AccountState, Verb
from mailhaul.providers.static import USUAL, StaticProvider
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider
from tests.providers.suite import ProviderSuite
from tests.servers.process import fast

DOMAIN = "own.test"
ALL = USUAL | {Verb.CONFIGURE}
FEW = frozenset({Verb.RENAME, Verb.DELETE})


def opened(directory: Path, **values: str) -> StaticProvider:
    async def login() -> Credentials:
        return Credentials()

    given = {"domains": DOMAIN, **values}
    provider = open_provider(Settings("static", "Old Hoster", login, "", given, directory))
    assert isinstance(provider, StaticProvider)
    return provider


@dataclass
class StaticHouse:
    """A `House`. The hoster is one in memory, whose control plane only a person can use."""

    directory: Path
    verbs: frozenset[Verb]
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset({Fault.CANCELLED, Fault.STALLS})
    hoster: MemoryService = field(default_factory=lambda: MemoryService("mx", ticks=0))
    numbers: "count[int]" = field(default_factory=count)
    armed: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hoster.domain(DOMAIN)
        self.list.write_text("address,state,name,messages,telephone\n")
        self.person = MemoryProvider(MemoryHoster(self.hoster), "mx")
        self.provider = self.open()

    @property
    def list(self) -> Path:
        return self.directory / "accounts.csv"

    def open(self) -> StaticProvider:
        return opened(self.directory, verbs=", ".join(self.verbs), placeholders="configureme.me")

    async def another(self) -> Provider:
        return self.open()

    async def account(self, local: str, messages: int = 0) -> str:
        mail = [b"Subject: %d\r\n\r\n" % number for number in range(messages)]
        address = self.hoster.account(f"{local}@{DOMAIN}", *mail).address
        self._listed(f"{address},,,{messages}")
        return address

    async def placeholder(self) -> str:
        address = self.hoster.placeholder(f"p{next(self.numbers)}@configureme.me").address
        self._listed(f"{address},placeholder,,0")
        return address

    def _listed(self, line: str) -> None:
        """A person adds a line, by the columns that there are."""
        with self.list.open("a") as file:
            file.write(line + "\n")

    async def spare_domain(self) -> str:
        raise AssertionError("no such verb")

    async def destination(self) -> tuple[Provider, str, str]:
        raise AssertionError("no such verb")

    async def settle(self) -> None:
        """A person looks at the tasks, does them and says so."""
        for entry in Journal(self.directory / "accounts.csv.mailhaul").open():
            fault = self.armed[0] if self.armed else None
            if fault is Fault.STALLS:
                continue
            if fault is Fault.CANCELLED:
                self.armed.pop()
                await self.open().told(entry.number, "Ann", done=False, said="not today")
                continue
            await self.person.begin(action_of(entry.action), entry.key, self.secret)
            await self.open().told(entry.number, "Ann")

    async def messages(self, address: str) -> int:
        found = self.hoster.found(address)
        return found.box.total() if found else 0

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.hoster.found(address)
        assert found is not None
        return found.state is AccountState.CONFIGURED and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        self.armed.append(fault)


class TestStatic(ProviderSuite):
    @pytest.fixture(params=[ALL, FEW], ids=["all", "few"])
    async def house(self, request: pytest.FixtureRequest) -> AsyncIterator[StaticHouse]:
        with TemporaryDirectory(dir=fast()) as directory:
            yield StaticHouse(Path(directory), request.param)
