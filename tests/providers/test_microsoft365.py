"""Microsoft 365 keeps the contract, asks nothing that the published schema forbids, and needs no
permission but those that its page names."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Verb
from tests.providers.graph_simulator import ROOT, TOKEN, Simulator
from tests.providers.graph_state import Domain, TenantState
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite
from tests.providers.web_server import web_server

DOMAIN = "example.test"
PASSWORD = "Correct-Horse-1"


def tenant() -> TenantState:
    """A tenant with a domain of its own, and one that mail isn't sent to."""
    state = TenantState()
    state.domains.append(Domain("example.onmicrosoft.com", True, ["Email"], initial=True))
    state.domains.append(Domain(DOMAIN, True, ["Email"], proven=True))
    return state


async def login() -> Credentials:
    async def token() -> Secret:
        return Secret(TOKEN)

    return Credentials(token=token)


def opened(simulator: Simulator, **values: str) -> Provider:
    """The provider, as a plan has it."""
    return open_provider(
        Settings("microsoft365", "example", login, url=simulator.origin + ROOT, values=values)
    )


@dataclass
class GraphHouse:
    """A `House`."""

    simulator: Simulator
    provider: Provider
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset(
        {
            *(Fault.STALLS, Fault.ANSWER_LOST, Fault.REQUEST_LOST),
            *(Fault.AWAY, Fault.THROTTLED, Fault.EXPIRED),
        }
    )
    opened: list[Provider] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    async def another(self) -> Provider:
        self.opened.append(opened(self.simulator))
        return self.opened[-1]

    async def account(self, local: str, messages: int = 0) -> str:
        return self.simulator.state.account(f"{local}@{DOMAIN}", PASSWORD, messages).mail

    async def placeholder(self) -> str:
        raise NotImplementedError

    async def spare_domain(self) -> str:
        return f"spare{next(self.numbers)}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        raise NotImplementedError

    async def settle(self) -> None:
        self.simulator.state.tick()

    async def messages(self, address: str) -> int:
        found = next(e for e in self.simulator.state.users if e.mail == address)
        return found.box.messages if found.box else 0

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.simulator.state.user(address)
        return found is not None and found.enabled and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        if fault is Fault.STALLS:
            self.simulator.state.stalls = True
        else:
            self.simulator.armed.append(fault)


@pytest.fixture
async def house() -> AsyncIterator[GraphHouse]:
    simulator = Simulator(tenant())
    async with web_server(simulator.respond) as origin:
        simulator.origin = origin
        made = GraphHouse(simulator, opened(simulator))
        yield made
        for each in (made.provider, *made.opened):
            await each.close()
    assert simulator.wrong == []


class TestMicrosoft365(ProviderSuite):
    keeps_old_names = True

    @pytest.fixture
    async def house(self, house: GraphHouse) -> GraphHouse:
        return house
