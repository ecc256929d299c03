"""The four kinds of service at OVHcloud keep the contract, at its simulator."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.providers.ovh_house import OvhHouse, moved_in
from tests.providers.suite import ProviderSuite


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


class TestOvh(ProviderSuite):
    @pytest.fixture(
        params=[
            ("ovh-domain", ""),
            ("ovh-mxplan", ""),
            ("ovh-pro", ""),
            ("ovh-exchange", "provider"),
        ],
        ids=lambda param: "-".join(filter(None, param)),
    )
    async def house(
        self, request: pytest.FixtureRequest, stack: AsyncExitStack
    ) -> AsyncIterator[OvhHouse]:
        house = await moved_in(stack, *request.param)
        yield house
        assert house.cloud.faults == []
