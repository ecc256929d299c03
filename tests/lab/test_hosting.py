"""The lab's hoster needs neither root nor other programs, and keeps the contract nonetheless."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest

from mailhaul.core.text import Secret
from mailhaul.lab.hoster.books import Line
from mailhaul.lab.hoster.exchange import stamp
from mailhaul.lab.hosting import Hosting, hosting
from mailhaul.lab.people import digest
from mailhaul.lab.wire import PlainConnection, Refusal
from mailhaul.providers.actions import Rename
from mailhaul.providers.extras import Extra, Redirection, Responder
from mailhaul.providers.provider import Provider, TaskState
from mailhaul.providers.service import Mode, Verb
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite, fresh
from tests.providers.test_lab import FAULTS, PAUSE

PASSWORD = "correct horse 9"
OUTSIDE = "friend@outside.example"
HERE = "somewhere.example"
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosting]:
    with hosting(tmp_path_factory.mktemp("hosting") / "hoster") as found:
        yield found


@dataclass
class MemoryHouse:
    """A `House` of the suite."""

    lab: Hosting
    line: Line
    name: str
    domain: str
    provider: Provider
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset(FAULTS)
    others: list[Provider] = field(default_factory=list)
    exchange: str = ""

    async def another(self) -> Provider:
        self.others.append(self.lab.provider(self.name))
        return self.others[-1]

    async def account(self, local: str, messages: int = 0) -> str:
        address = f"{local}@{self.domain}"
        self.lab.accounts(self.name, PASSWORD, address)
        if messages:
            with self._opened(address, PASSWORD) as line:
                for number in range(messages):
                    line.command(b"APPEND INBOX {6+}\r\nA: %d\r\n" % number)
        return address

    async def placeholder(self) -> str:
        return self.lab.placeholders(self.name, [fresh("p")])[0]

    async def spare_domain(self) -> str:
        return f"{fresh('spare')}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        if not self.exchange:
            self.exchange = fresh("exchange")
            mode = Mode.NON_AUTHORITATIVE
            self.lab.sell(self.exchange, Line.EXCHANGE, self.domain, mode=mode)
        (placeholder,) = self.lab.placeholders(self.exchange, [fresh("p")])
        self.others.append(self.lab.provider(self.exchange))
        return self.others[-1], self.exchange, placeholder

    async def settle(self) -> None:
        await asyncio.sleep(PAUSE)

    async def messages(self, address: str) -> int:
        with self._opened(address, PASSWORD) as line:
            return line.select(("INBOX",))

    async def opens(self, address: str, secret: Secret) -> bool:
        try:
            with self._opened(address, secret.reveal()):
                return True
        except Refusal:
            return False

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        self.lab.order("arm", service=self.name, faults=[FAULTS[fault]])

    @contextmanager
    def _opened(self, address: str, password: str) -> Iterator[PlainConnection]:
        """On whichever of the hoster's servers lets the account in."""
        try:
            line = self.lab.connect(self.line, address, password)
        except Refusal:
            line = self.lab.connect(Line.EXCHANGE, address, password)
        with line:
            yield line


class TestHosting(ProviderSuite):
    @pytest.fixture(params=list(Line), ids=lambda line: line.value)
    async def house(
        self, request: pytest.FixtureRequest, lab: Hosting
    ) -> AsyncIterator[MemoryHouse]:
        line: Line = request.param
        name, domain = fresh(line.value), f"{fresh('house')}.test"
        lab.sell(name, line, domain)
        house = MemoryHouse(lab, line, name, domain, lab.provider(name))
        yield house
        for each in (house.provider, *house.others):
            await each.close()


def sold(lab: Hosting, line: Line, *names: str) -> tuple[str, list[str]]:
    """A service of its own with these accounts."""
    service, domain = fresh(line.value), f"{fresh('sold')}.test"
    lab.sell(service, line, domain)
    addresses = [f"{name}@{domain}" for name in names]
    lab.accounts(service, PASSWORD, *addresses)
    return service, addresses


def message(name: str) -> bytes:
    return f"From: <{OUTSIDE}>\r\nSubject: {name}\r\n\r\nNews.\r\n".encode()


def outside(lab: Hosting, address: str, wanted: int) -> list[str]:
    """What went to that address elsewhere, once there is so much of it."""
    deadline = time.monotonic() + 10
    while True:
        found = [e["content"] for e in lab.seen(address) if e["event"] == "outside"]
        if len(found) >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_mail_comes_in_octet_for_octet_below_its_stamp(lab: Hosting) -> None:
    _, (ann,) = sold(lab, Line.NEW, "ann")
    text = b"Subject: odd\r\n\r\n.dot\r\n..dots\r\n\x00\xff\r\n"
    assert lab.post(HERE, OUTSIDE, ann, text)
    assert not lab.post(HERE, OUTSIDE, f"nobody.{ann}", text)
    with lab.connect(Line.NEW, ann, PASSWORD) as line:
        ((found, flags),) = line.content(("INBOX",)).messages
    assert found == digest(stamp(HERE) + text)
    assert flags == frozenset()


@pytest.mark.parametrize("copy", [True, False])
def test_a_redirection_sends_on_and_keeps_what_it_is_to_keep(copy: bool, lab: Hosting) -> None:
    service, (ann,) = sold(lab, Line.EXCHANGE, "ann")
    to = f"{fresh('books')}@elsewhere.example"
    lab.put_up(service, Redirection(ann, to, copy=copy))
    lab.post(HERE, OUTSIDE, ann, message("bill"))
    assert len(outside(lab, to, 1)) == 1
    with lab.connect(Line.EXCHANGE, ann, PASSWORD) as line:
        assert line.select(("INBOX",)) == copy


def test_an_auto_reply_answers_once_a_day_and_never_another(lab: Hosting) -> None:
    service, (ann, ben) = sold(lab, Line.NEW, "ann", "ben")
    for address in (ann, ben):
        lab.put_up(service, Responder(address, "Fort bis Montag – grüße.", "Weg"))
    friend = f"{fresh('friend')}@elsewhere.example"
    for number in range(3):
        lab.post(HERE, friend, ann, message(f"{number}"))
    lab.post(HERE, ben, ann, message("from one who answers too"))
    with lab.connect(Line.NEW, ben, PASSWORD) as line:
        deadline = time.monotonic() + 10
        while not line.select(("INBOX",)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert line.select(("INBOX",)) == 1
    assert len(outside(lab, friend, 1)) == 1
    with lab.connect(Line.NEW, ann, PASSWORD) as line:
        assert line.select(("INBOX",)) == 4


def test_whoever_is_in_is_in_no_longer_once_the_account_has_another_name(lab: Hosting) -> None:
    service, (ann,) = sold(lab, Line.NEW, "ann")
    with PlainConnection("127.0.0.1", lab.up.imap[Line.NEW], ann, PASSWORD) as line:
        line.command(b"NOOP")
        asyncio.run(_renamed(lab.provider(service), ann))
        with pytest.raises((Refusal, ConnectionError)):
            line.command(b"NOOP")


async def _renamed(provider: Provider, address: str) -> None:
    try:
        task = await provider.begin(Rename(address, f"old.{address}"), fresh("key"))
        for _ in range(100):
            if (await provider.task(task.id)).state is TaskState.DONE:
                return
            await asyncio.sleep(PAUSE)
        raise AssertionError("it is renamed by now")
    finally:
        await provider.close()
