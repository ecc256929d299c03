"""The lab's hoster keeps the contract on real servers, of every kind of service that it sells."""

import asyncio
import imaplib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.lab.hoster.books import Line
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Mode, Verb
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite, fresh
from tests.servers.hoster import PASSWORD, Hoster
from tests.servers.knot import Knot

PAUSE = 0.03

FAULTS = {
    Fault.FAILS: "fails",
    Fault.HALF: "half",
    Fault.STALLS: "stalls",
    Fault.CANCELLED: "cancelled",
    Fault.REFUSED: "refused",
    Fault.ANSWER_LOST: "answer lost",
    Fault.REQUEST_LOST: "request lost",
    Fault.AWAY: "away",
    Fault.THROTTLED: "throttled",
    Fault.EXPIRED: "expired",
}


@dataclass
class LabHouse:
    """A `House`."""

    hoster: Hoster
    name: str
    domain: str
    provider: Provider
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset(FAULTS)
    others: list[Provider] = field(default_factory=list)
    exchange: str = ""

    async def another(self) -> Provider:
        self.others.append(self.hoster.provider(self.name))
        return self.others[-1]

    async def account(self, local: str, messages: int = 0) -> str:
        address = f"{local}@{self.domain}"
        self.hoster.accounts(self.name, address)
        if messages:
            with self._line(address) as line:
                for number in range(messages):
                    text = f"Subject: {number}\r\n\r\n{number}\r\n".encode()
                    assert line.append("INBOX", "", "", text)[0] == "OK"
        return address

    async def placeholder(self) -> str:
        return self.hoster.placeholders(self.name, 1)[0]

    async def spare_domain(self) -> str:
        return f"{fresh('spare')}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        """A placeholder of its own each time: one that was taken is taken for good."""
        if not self.exchange:
            mode = Mode.NON_AUTHORITATIVE
            self.exchange = self.hoster.sell(Line.EXCHANGE, self.domain, mode=mode)
        (placeholder,) = self.hoster.placeholders(self.exchange, 1)
        self.others.append(self.hoster.provider(self.exchange))
        return self.others[-1], self.exchange, placeholder

    async def settle(self) -> None:
        await asyncio.sleep(PAUSE)

    async def messages(self, address: str) -> int:
        with self._line(address) as line:
            return int(line.select("INBOX", readonly=True)[1][0] or b"0")

    async def opens(self, address: str, secret: Secret) -> bool:
        try:
            with self._line(address, secret.reveal()):
                return True
        except imaplib.IMAP4.error:
            return False

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        self.hoster.arm(self.name, FAULTS[fault])

    @contextmanager
    def _line(self, address: str, password: str = PASSWORD) -> Iterator[imaplib.IMAP4]:
        """To whichever of the hoster's servers lets the account in."""
        servers = (self.hoster.server(self.name), self.hoster.cyrus)
        for server in servers:
            line = imaplib.IMAP4(server.host, server.port)
            try:
                line.login(f'"{address}"', password)
            except imaplib.IMAP4.error:
                line.shutdown()
                if server is servers[-1]:
                    raise
                continue
            try:
                yield line
            finally:
                line.logout()
            return


@pytest.fixture(scope="session")
def zone(knot: Knot) -> str:
    """A domain that the hoster holds the zone of."""
    domain = knot.fresh("house")
    knot.zone(domain, "@ 5 MX 10 mx.test.")
    return domain


class TestLab(ProviderSuite):
    @pytest.fixture(params=list(Line), ids=lambda line: line.value)
    async def house(
        self, request: pytest.FixtureRequest, hoster: Hoster, zone: str
    ) -> AsyncIterator[LabHouse]:
        name = hoster.sell(request.param, zone)
        house = LabHouse(hoster, name, zone, hoster.provider(name))
        yield house
        for each in (house.provider, *house.others):
            await each.close()


@pytest.mark.parametrize("url", ["", "https://far.example", "http://far.example", "no address"])
def test_the_hoster_is_on_this_machine(url: str) -> None:
    async def login() -> Credentials:
        return Credentials()

    with pytest.raises(BadInput):
        open_provider(Settings("lab", "old", login, url))
