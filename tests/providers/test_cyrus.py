"""Cyrus as a control plane keeps the contract: a real one, as a hoster runs it."""

import imaplib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import Disconnected
from mailhaul.core.text import Secret
from mailhaul.providers.cyrus import CyrusProvider
from mailhaul.providers.extras import Extra
from mailhaul.providers.programs import Program, run
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Verb
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite
from tests.servers.cyrus import ADMIN, Cyrus
from tests.servers.process import fast

DOMAIN = "own.test"
PASSWORDS = """#!/bin/sh -e
verb=$1 book=$2 new=$3 old=$4
chosen() {
    saslpasswd2 -p -c -f "$book/sasldb2" -u "${new#*@}" "${new%@*}" < "$book/passwords/$new"
}
forgotten() {
    rm -f "$book/passwords/$old"
    saslpasswd2 -d -f "$book/sasldb2" -u "${old#*@}" "${old%@*}" || true
}
case $verb in
    set) cat > "$book/passwords/$new"; chosen ;;
    rename) [ ! -e "$book/passwords/$old" ] || {
        mv "$book/passwords/$old" "$book/passwords/$new"; chosen; forgotten; } ;;
    remove) forgotten ;;
esac
"""
"""What an operator would have beside a sasldb, which can't rename and shows no password."""


@pytest.fixture(scope="module")
def hosting() -> Iterator[Cyrus]:
    with Cyrus(hosting=True) as server:
        (server.directory / "passwords").mkdir()
        script = server.directory / "passwords.sh"
        script.write_text(PASSWORDS)
        script.chmod(0o755)
        yield server


@dataclass
class CyrusHouse:
    """A `House`."""

    server: Cyrus
    directory: Path
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret("old secret 1"))
    faults: frozenset[Fault] = frozenset({Fault.EXPIRED, Fault.ANSWER_LOST, Fault.REQUEST_LOST})
    opened: list[Provider] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)
    expired: bool = False

    def __post_init__(self) -> None:
        self.provider = self.open()

    def settings(self) -> Settings:
        script = f"{self.server.directory}/passwords.sh"
        book = self.server.directory

        async def login() -> Credentials:
            password = "expired" if self.expired else self.server.password
            return Credentials(password=Secret(password))

        return Settings(
            "cyrus",
            "mail.own.test",
            login,
            f"imap://{ADMIN}@{self.server.host}:{self.server.port}",
            {
                "domains": DOMAIN,
                "placeholders": "configureme.me",
                "password_command": f"{script} set {book} {{address}}",
                "rename_command": f"{script} rename {book} {{to}} {{address}}",
                "remove_command": f"{script} remove {book} '' {{address}}",
            },
            self.directory,
        )

    def open(self) -> Provider:
        provider = open_provider(self.settings())
        self.opened.append(provider)
        return provider

    async def another(self) -> Provider:
        return self.open()

    async def account(self, local: str, messages: int = 0) -> str:
        address = f"{local}@{DOMAIN}"
        self.server.administer([f'CREATE "user/{address}"'])
        await self._password(address)
        for number in range(messages):
            with self._logged_in(address, self.secret) as box:
                box.append("INBOX", "", "", b"Subject: %d\r\n\r\n" % number)
        return address

    async def placeholder(self) -> str:
        address = f"p{next(self.numbers)}-{self.server.next_account()}@configureme.me"
        self.server.administer([f'CREATE "user/{address}"'])
        return address

    async def spare_domain(self) -> str:
        raise AssertionError("no such verb")

    async def destination(self) -> tuple[Provider, str, str]:
        raise AssertionError("no such verb")

    async def settle(self) -> None:
        pass

    async def messages(self, address: str) -> int:
        with self._logged_in(address, self.secret) as box:
            return int(box.select("INBOX", readonly=True)[1][0] or b"0")

    async def opens(self, address: str, secret: Secret) -> bool:
        try:
            with self._logged_in(address, secret) as box:
                return box.select("INBOX", readonly=True)[0] == "OK"
        except imaplib.IMAP4.error:
            return False

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        assert isinstance(self.provider, CyrusProvider)
        administrator = self.provider._administrator
        if fault is Fault.EXPIRED:
            self.expired = True
            if administrator._session is not None:
                administrator._session.abort()
            return
        rename = administrator.rename

        async def lost(name: str, to: str) -> None:
            if fault is Fault.ANSWER_LOST:
                await rename(name, to)
            raise Disconnected("the connection is gone")

        administrator.rename = lost  # type: ignore[method-assign]

    async def _password(self, address: str) -> None:
        await run(
            Program((f"{self.server.directory}/passwords.sh", "set", "{book}", "{address}")),
            {"book": str(self.server.directory), "address": address},
            self.secret,
        )

    def _logged_in(self, address: str, secret: Secret) -> imaplib.IMAP4:
        box = imaplib.IMAP4(self.server.host, self.server.port)
        box.login(f'"{address}"', secret.reveal())
        return box


class TestCyrus(ProviderSuite):
    @pytest.fixture
    async def house(self, hosting: Cyrus) -> AsyncIterator[CyrusHouse]:
        with TemporaryDirectory(dir=fast()) as directory:
            house = CyrusHouse(hosting, Path(directory))
            yield house
            for each in house.opened:
                await each.close()
