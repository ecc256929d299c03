"""A Dovecot with a passwd-file keeps the contract: a real one, with Pigeonhole and LMTP."""

import imaplib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.providers.extras import Extra
from mailhaul.providers.passwd_file import Row, row
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Verb
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite
from tests.servers.dovecot import Dovecot, mail_owner

DOMAIN = "own.test"


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Dovecot]:
    with Dovecot(hosting=True) as server:
        yield server


@dataclass
class DovecotHouse:
    """A `House`."""

    server: Dovecot
    settle_seconds: str = "0"
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret("old secret 1"))
    faults: frozenset[Fault] = frozenset()
    seen: int = 0

    def __post_init__(self) -> None:
        self.provider = self.open()

    @property
    def users(self) -> Path:
        return self.server.directory / "users"

    def open(self) -> Provider:
        async def login() -> Credentials:
            return Credentials()

        owner, group = mail_owner()
        values = {
            "users": "users",
            "domains": DOMAIN,
            "placeholders": "configureme.me",
            "homes": f"{self.server.directory}/mail/%d/%n",
            "maildir": "~/mail",
            "sieve": "~/sieve",
            "sieve_check": "/usr/bin/sievec {script} {output}",
            "uid": str(owner.pw_uid),
            "gid": str(group.gr_gid),
            "settle": self.settle_seconds,
        }
        return open_provider(
            Settings("dovecot", "mail.own.test", login, "", values, self.server.directory)
        )

    async def another(self) -> Provider:
        return self.open()

    async def account(self, local: str, messages: int = 0) -> str:
        address = f"{local}@{DOMAIN}"
        self._add(address, self.secret.reveal())
        maildir = self.home(address) / "mail"
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        for number in range(messages):
            (maildir / "new" / f"{number}.test").write_bytes(b"Subject: hi\n\nhi\n")
        owner, group = mail_owner()
        for path in (self.home(address), *self.home(address).rglob("*")):
            os.chown(path, owner.pw_uid, group.gr_gid)
        return address

    def home(self, address: str) -> Path:
        return self.server.directory / "mail" / address

    def row(self, address: str) -> Row | None:
        rows = map(row, self.users.read_text().splitlines())
        return next((each for each in rows if each and each.user == address), None)

    async def placeholder(self) -> str:
        address = f"p{self.server.next_account()}@configureme.me"
        self._add(address, "nobody knows")
        return address

    async def spare_domain(self) -> str:
        raise AssertionError("no such verb")

    async def destination(self) -> tuple[Provider, str, str]:
        raise AssertionError("no such verb")

    async def settle(self) -> None:
        pass

    async def messages(self, address: str) -> int:
        with self.logged_in(address, self.secret) as box:
            return int(box.select("INBOX", readonly=True)[1][0] or b"0")

    async def opens(self, address: str, secret: Secret) -> bool:
        try:
            with self.logged_in(address, secret) as box:
                return box.select("INBOX", readonly=True)[0] == "OK"
        except imaplib.IMAP4.error:
            return False

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        raise AssertionError(fault)

    def logged_in(self, address: str, secret: Secret) -> imaplib.IMAP4:
        changed = self.users.stat().st_mtime_ns
        if changed != self.seen:
            # Dovecot looks whether the file has changed at most once in each second of the clock.
            time.sleep(1.01 - time.time() % 1)
            self.seen = changed
        box = imaplib.IMAP4(self.server.host, self.server.port)
        box.login(address, secret.reveal())
        return box

    def _add(self, address: str, password: str) -> None:
        with self.users.open("a") as file:
            file.write(f"{address}:{{PLAIN}}{password}::::{self.home(address)}::\n")


class TestDovecot(ProviderSuite):
    @pytest.fixture
    async def house(self, pigeonhole: Dovecot) -> AsyncIterator[DovecotHouse]:
        yield DovecotHouse(pigeonhole)
