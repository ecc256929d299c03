"""A Dovecot with a passwd-file keeps the contract: a real one, with Pigeonhole and LMTP."""

import asyncio
import imaplib
import os
import shutil
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret
from mailhaul.providers.actions import Add, Create, Delete, Lock, Remove, Rename, Unlock
from mailhaul.providers.extras import Extra, Filter, Redirection, Responder
from mailhaul.providers.passwd_file import Row, row
from mailhaul.providers.provider import Provider, Refused, TaskState
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import AccountState, Verb
from tests.providers.memory import Fault
from tests.providers.suite import SCRIPT, ProviderSuite, done, fresh
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.mx import MailExchange

DOMAIN = "own.test"
SEEN: dict[str, int] = {}
"""When the file was changed that a server has seen for sure."""


@pytest.fixture(scope="module")
def outside() -> Iterator[MailExchange]:
    """Whom Sieve sends to."""
    with MailExchange({}, catch_all=lambda message: None) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def pigeonhole(outside: MailExchange) -> Iterator[Dovecot]:
    with Dovecot(hosting=True, smtp=outside.port) as server:
        yield server


@dataclass
class DovecotHouse:
    """A `House`."""

    server: Dovecot
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret("old secret 1"))
    faults: frozenset[Fault] = frozenset()

    def __post_init__(self) -> None:
        self.provider = self.open()

    @property
    def users(self) -> Path:
        return self.server.directory / "users"

    def open(self, **more: str) -> Provider:
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
            "settle": "0",
            **more,
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
        for part in ("tmp", "new", "cur", ".Plans/tmp", ".Plans/new", ".Plans/cur"):
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
        self.wait_for_dovecot()
        box = imaplib.IMAP4(self.server.host, self.server.port)
        box.login(address, secret.reveal())
        return box

    def activate(self, address: str, script: str) -> None:
        """A person's client does so."""
        directory = self.home(address) / "sieve"
        directory.mkdir()
        (directory / "roundcube.sieve").write_text(script)
        (self.home(address) / ".dovecot.sieve").symlink_to("sieve/roundcube.sieve")
        owner, group = mail_owner()
        for path in (directory, directory / "roundcube.sieve"):
            os.chown(path, owner.pw_uid, group.gr_gid)

    def forget_scripts(self, address: str) -> None:
        """Nothing of earlier tests is left."""
        shutil.rmtree(self.home(address) / "sieve", ignore_errors=True)
        (self.home(address) / ".dovecot.sieve").unlink(missing_ok=True)
        # Who was answered once isn't answered again.
        (self.home(address) / ".dovecot.lda-dupes").unlink(missing_ok=True)

    def wait_for_dovecot(self) -> None:
        changed = self.users.stat().st_mtime_ns
        if changed != SEEN.get(self.server.token):
            # Dovecot looks whether the file has changed at most once in each second of the clock.
            time.sleep(1.01 - time.time() % 1)
            SEEN[self.server.token] = changed

    def _add(self, address: str, password: str) -> None:
        with self.users.open("a") as file:
            file.write(f"{address}:{{PLAIN}}{password}::::{self.home(address)}::\n")


@pytest.fixture
def house(pigeonhole: Dovecot) -> DovecotHouse:
    return DovecotHouse(pigeonhole)


class TestDovecot(ProviderSuite):
    @pytest.fixture
    def house(self, house: DovecotHouse) -> DovecotHouse:
        return house


@pytest.fixture(scope="module")
def ann(pigeonhole: Dovecot) -> str:
    """Whose mail many tests look at: Dovecot sees a new account only a second later."""
    house = DovecotHouse(pigeonhole)
    return asyncio.run(house.account(fresh("ann")))


async def delivered(house: DovecotHouse, address: str, subject: str = "hi") -> None:
    """As the hoster's mail exchange does."""

    def by_lmtp() -> None:
        with smtplib.LMTP(str(house.server.lmtp)) as client:
            message = f"From: a@else.test\r\nTo: {address}\r\nSubject: {subject}\r\n\r\nhi\r\n"
            client.sendmail("a@else.test", [address], message)

    house.wait_for_dovecot()
    await asyncio.to_thread(by_lmtp)


def files(house: DovecotHouse, address: str, folder: str = "") -> int:
    """Messages in the folder, whoever may read it."""
    found = house.row(address)
    assert found is not None
    return len(list((Path(found.home) / "mail" / folder).glob("[nc][eu][wr]/*")))


EXTRAS: list[tuple[str, list[Extra], str, int, int, list[str]]] = [
    ("a redirection", [Redirection("", "x@y.test")], "", 0, 0, ["x@y.test"]),
    ("with a copy", [Redirection("", "x@y.test", True)], "", 1, 0, ["x@y.test"]),
    (
        "two, one with a copy",
        [Redirection("", "x@y.test"), Redirection("", "z@y.test", True)],
        *("", 1, 0, ["x@y.test", "z@y.test"]),
    ),
    ("an auto-reply", [Responder("", 'away "now"', "out; of office")], "", 1, 0, ["a@else.test"]),
    ("one of last year", [Responder("", "away", ends=1_500_000_000)], "", 1, 0, []),
    ("one of next century", [Responder("", "away", begins=4_200_000_000)], "", 1, 0, []),
    (
        "one of these years, with a copy",
        [Responder("", "away", "", 1_500_000_000, 4_200_000_000, "boss@y.test")],
        *("", 1, 0, ["a@else.test", "boss@y.test"]),
    ),
    ("a filter", [Filter("", "plans", SCRIPT)], "", 0, 1, []),
    ("the script of before", [Redirection("", "x@y.test", True)], SCRIPT, 0, 1, ["x@y.test"]),
    ("and it is passed by", [Redirection("", "x@y.test")], SCRIPT, 0, 0, ["x@y.test"]),
    (
        "all of it",
        [
            Redirection("", "x@y.test", True),
            Responder("", "away"),
            Filter("", "plans", SCRIPT),
        ],
        *("", 0, 1, ["a@else.test", "x@y.test"]),
    ),
]


@pytest.mark.parametrize(
    ("name", "extras", "before", "inbox", "plans", "sent"),
    EXTRAS,
    ids=[each[0] for each in EXTRAS],
)
async def test_what_is_added_acts_on_mail(
    name: str,
    extras: list[Extra],
    before: str,
    inbox: int,
    plans: int,
    sent: list[str],
    ann: str,
    house: DovecotHouse,
    outside: MailExchange,
) -> None:
    if before:
        house.activate(ann, before)
    for extra in extras:
        await done(house, Add(replace(extra, address=ann)))
    outside.taken.clear()
    had = files(house, ann), files(house, ann, ".Plans")
    await delivered(house, ann, "the plan")
    assert files(house, ann) - had[0] == inbox
    assert files(house, ann, ".Plans") - had[1] == plans
    assert sorted(to for to, _ in outside.taken) == sent
    replies = [message for to, message in outside.taken if to == "a@else.test"]
    assert all(b"away" in each for each in replies)
    for extra in extras:
        await done(house, Remove(replace(extra, address=ann)))
    outside.taken.clear()
    await delivered(house, ann, "the plan")
    assert files_in(house.home(ann)) == sum(had) + inbox + plans + 1
    assert outside.taken == []
    house.forget_scripts(ann)


async def test_scripts_go_with_an_account_that_is_renamed(
    house: DovecotHouse, outside: MailExchange
) -> None:
    address, to = await house.account(fresh("ann"), messages=2), f"{fresh('bob')}@{DOMAIN}"
    await done(house, Add(Redirection(address, "x@y.test", True)))
    home = house.home(address)
    await done(house, Rename(address, to))
    outside.taken.clear()
    await delivered(house, to)
    assert [each for each, _ in outside.taken] == ["x@y.test"]
    assert await house.messages(to) == 3
    assert Path(getattr(house.row(to), "home", "")) == home
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await delivered(house, address)
    assert await house.provider.extras(to) == [Redirection(to, "x@y.test", True)]
    await done(house, Remove(Redirection(to, "x@y.test", True)))
    assert not (home / ".dovecot.sieve").is_symlink()


async def test_a_locked_account_is_shut_at_once_and_takes_mail(house: DovecotHouse) -> None:
    address = await house.account(fresh("ann"), messages=1)
    inside = house.logged_in(address, house.secret)
    kicking = f"/usr/bin/doveadm -c {house.server.directory}/dovecot.conf kick {{user}}"
    house.provider = house.open(kick_command=kicking)
    await done(house, Lock(address))
    with pytest.raises((imaplib.IMAP4.error, OSError)):
        for _ in range(50):
            inside.noop()
            await asyncio.sleep(0.02)
    assert not await house.opens(address, house.secret)
    await delivered(house, address)
    assert files(house, address) == 2
    await done(house, Unlock(address))
    assert await house.messages(address) == 2


async def test_a_change_is_done_when_dovecot_has_seen_it(house: DovecotHouse) -> None:
    house.provider = house.open(settle="1.1")
    address = f"{fresh('ann')}@{DOMAIN}"
    begun, key = time.monotonic(), fresh("key")
    task = await house.provider.begin(Create(address), key, house.secret)
    while task.state is TaskState.DOING:
        await asyncio.sleep(0.05)
        task = await house.provider.task(task.id)
    assert task.state is TaskState.DONE
    assert 1.0 < time.monotonic() - begun < 5
    SEEN[house.server.token] = house.users.stat().st_mtime_ns
    assert await house.opens(address, house.secret)


async def test_who_gets_a_name_never_gets_the_mail_of_who_had_it(house: DovecotHouse) -> None:
    address = await house.account(fresh("ann"), messages=2)
    to = f"{fresh('ann')}@{DOMAIN}"
    await done(house, Rename(address, to))
    await done(house, Create(address), secret=house.secret)
    assert await house.messages(address) == 0
    over = await done(house, Delete(to))
    assert str(house.home(address)) in over.said
    assert files_in(house.home(address)) == 2
    await done(house, Create(to), secret=house.secret)
    assert await house.messages(to) == 0


async def test_an_account_without_a_password_opens_with_none(house: DovecotHouse) -> None:
    address = f"{fresh('ann')}@{DOMAIN}"
    await done(house, Create(address, "Ann: Example\n"))
    for guess in ("", "{PLAIN}"):
        assert not await house.opens(address, Secret(guess))
    found = await house.provider.account(address)
    assert found is not None
    assert (found.name, found.state) == ("Ann  Example", AccountState.CONFIGURED)


async def test_a_filter_that_does_not_compile_is_refused(house: DovecotHouse) -> None:
    address = await house.account(fresh("ann"))
    with pytest.raises(Refused, match="doesn't compile"):
        await house.provider.begin(Add(Filter(address, "x", "fileinto {")), fresh("key"))
    assert await house.provider.extras(address) == []


async def test_what_the_disk_refuses_is_for_a_person_to_mend(house: DovecotHouse) -> None:
    address = await house.account(fresh("ann"))
    house.activate(address, SCRIPT)
    script = house.home(address) / "sieve" / "roundcube.sieve"
    script.rename(script.with_name("elsewhere"))
    script.symlink_to("elsewhere")
    with pytest.raises(Closed, match="can't be read or written") as raised:
        await house.provider.extras(address)
    assert raised.value.reason is ClosedReason.FORBIDDEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"users": ""}, "needs users"),
        ({"users": "nowhere"}, "no passwd-file"),
        ({"homes": ""}, "needs homes"),
        ({"domains": ""}, "needs domains"),
        ({"scheme": "PLAIN"}, "write one of SHA512-CRYPT"),
        ({"uid": "vmail"}, "is a number"),
        ({"settle": "soon"}, "number of seconds"),
        ({"logins": "local", "domains": "a.test, b.test"}, "one domain"),
        ({"kick_command": "doveadm kick"}, "whole path"),
        ({"password": "x"}, "no setting"),
    ],
)
def test_settings_that_can_not_be_are_bad_input(
    change: dict[str, str], said: str, tmp_path: Path
) -> None:
    async def login() -> Credentials:
        return Credentials()

    (tmp_path / "users").touch()
    usual = {"users": "users", "homes": "/h/%u", "domains": "a.test"}
    settings = Settings("dovecot", "x", login, "", {**usual, **change}, tmp_path)
    with pytest.raises(BadInput, match=said):
        open_provider(settings)


def files_in(home: Path) -> int:
    return len(list(home.glob("mail/**/[nc][eu][wr]/*")))
