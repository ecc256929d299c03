"""How Microsoft 365 is logged in to, and with which permissions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers.actions import (
    Add,
    Attach,
    Rename,
)
from mailhaul.providers.extras import (
    Redirection,
)
from mailhaul.providers.registry import Settings, open_provider
from tests.providers.graph_house import (
    DOMAIN,
    GraphHouse,
    account,
    graph_house,
    login,
)
from tests.providers.graph_simulator import GRANTED, ROOT, TOKEN
from tests.providers.graph_state import DirectoryGroup
from tests.providers.memory import Fault

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "microsoft365.md"


@pytest.fixture
async def house() -> AsyncIterator[GraphHouse]:
    async with graph_house() as made:
        yield made


async def test_a_token_that_is_refused_is_replaced_once(house: GraphHouse) -> None:
    asked = []

    async def another() -> bool:
        asked.append("another")
        return True

    async def token() -> Secret:
        return Secret(TOKEN if asked else "expired")

    async def aged() -> Credentials:
        return Credentials(token=token, another=another)

    settings = Settings("microsoft365", "x", aged, house.simulator.origin + ROOT)
    provider = open_provider(settings)
    await asyncio.gather(*(provider.accounts() for _ in range(3)))
    await provider.close()
    assert asked == ["another"]


@pytest.mark.parametrize(
    "credentials", [Credentials(), Credentials(password=Secret("secret-word"))]
)
async def test_a_password_is_no_login(credentials: Credentials, house: GraphHouse) -> None:
    async def given() -> Credentials:
        return credentials

    provider = open_provider(Settings("microsoft365", "x", given, house.simulator.origin + ROOT))
    with pytest.raises(BadInput, match="oauth:NAME") as caught:
        await provider.accounts()
    assert "secret-word" not in str(caught.value)
    assert house.tally.asked == []


@pytest.mark.parametrize("right", sorted(GRANTED))
async def test_every_permission_is_needed_and_named(right: str, house: GraphHouse) -> None:
    address = await house.account("ann")
    house.state.groups.append(DirectoryGroup(f"all@{DOMAIN}", "All", [address]))
    house.simulator.granted = GRANTED - {right}
    with pytest.raises(Closed) as caught:
        await house.provider.service()
        await house.provider.domains()
        await house.provider.account(address)
        await house.provider.extras()
        await house.provider.begin(Attach("new.test"), "one")
        await house.provider.begin(Rename(address, f"new@{DOMAIN}"), "two")
        await house.provider.begin(Add(Redirection(address, "b@x.org")), "three")
    assert caught.value.reason is ClosedReason.FORBIDDEN
    assert right.partition(".")[0] in str(caught.value)
    assert f"`{right}`" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"sku": "E3"}, "is no value"),
        ({"licence": "E3", "password": "x"}, "is no value"),
        ({"change_password": "maybe"}, "neither yes nor no"),
    ],
)
def test_values_that_nobody_knows(values: dict[str, str], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        open_provider(Settings("microsoft365", "x", login, values=values))


async def test_after_a_pause_all_goes_on(house: GraphHouse) -> None:
    address = await house.account("ann")
    house.arm(Fault.THROTTLED)
    with pytest.raises(RetryLater) as caught:
        await house.provider.account(address)
    assert (caught.value.throttled, caught.value.after) == (True, 11)
    assert (await account(house, address)).address == address
