"""Microsoft 365 for a test: a simulated tenant, and providers of it as a plan opens them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.providers.actions import Action
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider, Refused, TaskState
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Account, Verb
from tests.providers.graph_simulator import ROOT, TOKEN, Simulator
from tests.providers.graph_state import Domain, TenantState
from tests.providers.memory import Fault
from tests.providers.web_server import Tally, web_server

DOMAIN = "example.test"
INITIAL = "example.onmicrosoft.com"
PASSWORD = "Correct-Horse-1"


def tenant() -> TenantState:
    """A tenant with the domain that every one has, and one of its own."""
    state = TenantState()
    state.domains.append(Domain(INITIAL, True, ["Email"], initial=True))
    state.domains.append(Domain(DOMAIN, True, ["Email"], proven=True))
    return state


async def login() -> Credentials:
    """A login whose token never ends."""

    async def token() -> Secret:
        return Secret(TOKEN)

    return Credentials(token=token)


def opened(simulator: Simulator, **values: str) -> Provider:
    """The provider, as a plan has it."""
    settings = Settings("microsoft365", "example", login, simulator.origin + ROOT, values)
    return open_provider(settings)


@dataclass
class GraphHouse:
    """A `House`."""

    simulator: Simulator
    provider: Provider
    tally: Tally
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

    @property
    def state(self) -> TenantState:
        return self.simulator.state

    async def another(self, **values: str) -> Provider:
        self.opened.append(opened(self.simulator, **values))
        return self.opened[-1]

    async def account(self, local: str, messages: int = 0) -> str:
        return self.state.account(f"{local}@{DOMAIN}", PASSWORD, messages).mail

    async def placeholder(self) -> str:
        raise NotImplementedError

    async def spare_domain(self) -> str:
        return f"spare{next(self.numbers)}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        raise NotImplementedError

    async def settle(self) -> None:
        self.state.tick()

    async def messages(self, address: str) -> int:
        found = next(each for each in self.state.users if each.mail == address)
        return found.box.messages if found.box else 0

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.state.user(address)
        return found is not None and found.enabled and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        if fault is Fault.STALLS:
            self.state.stalls = True
        else:
            self.simulator.armed.append(fault)


@asynccontextmanager
async def graph_house() -> AsyncIterator[GraphHouse]:
    """A house that ends with proof that nothing was asked or answered against the schema and the
    documented limits."""
    simulator, tally = Simulator(tenant()), Tally()
    async with web_server(simulator.respond, tally) as origin:
        simulator.origin = origin
        house = GraphHouse(simulator, opened(simulator), tally)
        yield house
        for each in (house.provider, *house.opened):
            await each.close()
    assert simulator.wrong == []
    assert TOKEN not in " ".join(asked.target for asked in tally.asked)


async def ended(house: GraphHouse, action: Action, secret: Secret | None = None) -> TaskState:
    task = await house.provider.begin(action, "key", secret)
    for _ in range(5):
        await house.settle()
        task = await house.provider.task(task.id)
    return task.state


async def refused(provider: Provider, action: Action, secret: Secret | None = None) -> set[str]:
    with pytest.raises(Refused) as caught:
        await provider.begin(action, "key", secret)
    return {each.code for each in caught.value.findings}


def writes(house: GraphHouse) -> list[str]:
    return [line for line in house.simulator.asked if not line.startswith("GET")]


async def account(house: GraphHouse, address: str) -> Account:
    found = await house.provider.account(address)
    assert found is not None
    return found
