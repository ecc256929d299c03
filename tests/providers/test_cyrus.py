"""Cyrus as a control plane keeps the contract: a real one, as a hoster runs it."""

import imaplib
import smtplib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, Disconnected
from mailhaul.core.text import Secret
from mailhaul.providers.actions import Action, Create, Delete, Lock, Rename, Unlock
from mailhaul.providers.cyrus import CyrusProvider, Naming
from mailhaul.providers.effects import Holding, holding
from mailhaul.providers.extras import Delegation, Extra, Remark, Right
from mailhaul.providers.programs import Program, run
from mailhaul.providers.provider import Planned, Provider, Refused, TaskState
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import AccountState, Verb
from tests.providers.memory import Fault
from tests.providers.suite import ProviderSuite, done, fresh
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


async def made(house: CyrusHouse, *actions: Action) -> None:
    for action in actions:
        await done(house, action)


def delivered(server: Cyrus, address: str, subject: str) -> None:
    with smtplib.LMTP(str(server.lmtp)) as client:
        client.sendmail("a@else.test", [address], f"Subject: {subject}\r\n\r\nhi\r\n")


@pytest.fixture
async def house(hosting: Cyrus) -> AsyncIterator[CyrusHouse]:
    with TemporaryDirectory(dir=fast()) as directory:
        house = CyrusHouse(hosting, Path(directory))
        yield house
        for each in house.opened:
            await each.close()


async def test_a_locked_account_is_shut_for_its_owner_and_open_for_mail(house: CyrusHouse) -> None:
    address = await house.account(fresh("ann"), messages=1)
    with house._logged_in(address, house.secret) as before:
        before.create("Plans")
    await done(house, Lock(address))
    delivered(house.server, address, "arrives")
    with house._logged_in(address, house.secret) as box:
        for name, *arguments in (
            ("select", "INBOX"),
            ("select", "Plans"),
            ("append", "INBOX", "", "", b"Subject: x\r\n\r\n"),
            ("delete", "Plans"),
            ("rename", "Plans", "Mine"),
            ("setacl", "INBOX", address, "lrswipkxtecdan"),
            ("deleteacl", "INBOX", "-anyone"),
            ("setacl", "INBOX", "-anyone", "l"),
        ):
            assert getattr(box, name)(*arguments)[0] == "NO", name
    await done(house, Unlock(address))
    assert await house.messages(address) == 2
    with house._logged_in(address, house.secret) as box:
        assert box.select("Plans")[0] == "OK"


async def test_a_locked_account_moves_and_is_deleted_all_the_same(house: CyrusHouse) -> None:
    address = await house.account(fresh("ann"))
    to = f"{fresh('bob')}@{DOMAIN}"
    await made(house, Lock(address), Rename(address, to))
    found = await house.provider.account(to)
    assert found is not None
    assert found.state is AccountState.LOCKED
    await done(house, Delete(to, empty=True))
    assert await house.provider.account(to) is None


async def test_rights_of_others_are_told_and_small_ones_remarked_on(house: CyrusHouse) -> None:
    ann, bob, eve = [await house.account(fresh(name)) for name in ("ann", "bob", "eve")]
    house.server.administer(
        [f'SETACL "user/{ann}" {bob} lrswipkxte', f'SETACL "user/{ann}" {eve} lrs']
    )
    assert await house.provider.extras(ann) == [
        Delegation(ann, bob, Right.FULL),
        Remark(ann, "access", f"{eve} has lrs on the inbox"),
    ]
    assert [each.code for each in await house.provider.obstacles(ann)] == ["DELEGATION_EXIST"]


async def test_a_quota_and_a_size_are_told_in_octets(house: CyrusHouse) -> None:
    address = f"{fresh('ann')}@{DOMAIN}"
    await done(house, Create(address, quota=10_000_000), secret=house.secret)
    with house._logged_in(address, house.secret) as box:
        box.append("INBOX", "", "", b"Subject: x\r\n\r\n" + b"x" * 50)
        box.create("Sent")
        box.append("Sent", "", "", b"Subject: x\r\n\r\n" + b"x" * 50)
    found = await house.provider.account(address)
    assert found is not None
    assert found.quota == 9766 * 1024
    assert found.used == 128
    assert found.messages is None


async def test_mail_that_comes_before_a_deletion_saves_the_account(house: CyrusHouse) -> None:
    address = await house.account(fresh("ann"))
    provider = house.open()
    assert isinstance(provider, CyrusProvider)
    plan = provider.plan

    async def planned(action: Action) -> Planned:
        found = await plan(action)
        delivered(house.server, address, "just in time")
        return found

    provider.plan = planned  # type: ignore[method-assign]
    with pytest.raises(Refused, match=r"holds mail|mail has come"):
        await provider.begin(Delete(address, empty=True), fresh("key"))
    assert await house.messages(address) == 1


async def test_who_is_no_administrator_is_told_so(house: CyrusHouse) -> None:
    address = await house.account(fresh("ann"))
    settings = house.settings()

    async def login() -> Credentials:
        return Credentials(password=house.secret)

    local = address.replace("@", "%40")
    url = f"imap://{local}@{house.server.host}:{house.server.port}"
    provider = open_provider(replace(settings, url=url, login=login))
    house.opened.append(provider)
    with pytest.raises(Closed, match="admins") as raised:
        await provider.begin(Create(f"{fresh('bob')}@{DOMAIN}"), fresh("key"))
    with house._logged_in(address, house.secret) as box:
        assert len(box.list()[1]) == 1
    assert raised.value.reason is ClosedReason.FORBIDDEN


async def test_without_a_program_no_password_is_dropped_in_silence(house: CyrusHouse) -> None:
    settings = house.settings()
    values = {name: each for name, each in settings.values.items() if "command" not in name}
    provider = open_provider(replace(settings, values=values))
    house.opened.append(provider)
    address = f"{fresh('ann')}@{DOMAIN}"
    with pytest.raises(Refused, match="password_command"):
        await provider.begin(Create(address), fresh("key"), house.secret)
    assert await provider.account(address) is None
    assert (await provider.begin(Create(address), fresh("key"))).state is TaskState.DONE


@pytest.mark.parametrize(
    ("whole", "usual", "delimiter", "address", "mailbox"),
    [
        (True, "", "/", "Ann.Bo@Own.test", "user/ann.bo@own.test"),
        (True, "own.test", "/", "ann@own.test", "user/ann"),
        (True, "own.test", "/", "ann@else.test", "user/ann@else.test"),
        (False, "own.test", "/", "ann@own.test", "user/ann"),
        (False, "own.test", ".", "ann@own.test", "user.ann"),
    ],
)
def test_accounts_have_a_mailbox(
    whole: bool, usual: str, delimiter: str, address: str, mailbox: str
) -> None:
    naming = Naming(whole, usual)
    assert naming.mailbox(address, delimiter) == mailbox
    assert naming.address(mailbox, delimiter) == address.lower()
    assert naming.address(naming.mailbox(address, delimiter, "*"), delimiter) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": ""}, "needs a url"),
        ({"url": "maildir:/x"}, "is an IMAP server"),
        ({"url": "imap://admin:secret@h"}, "holds a password"),
        ({"values": {"logins": "local"}}, "needs one domain"),
        ({"values": {"logins": "email"}}, "write one of"),
        ({"values": {"password": "x"}}, "no setting"),
        ({"values": {"password_command": "saslpasswd2"}}, "whole path"),
        ({"values": {"contents": "mail, fax"}}, "contents are of"),
        (
            {"values": {"logins": "local", "domains": "a.test", "placeholders": "b.test"}},
            "domain of their own",
        ),
    ],
)
def test_settings_that_can_not_be_are_bad_input(change: dict[str, Any], said: str) -> None:
    async def login() -> Credentials:
        return Credentials()

    settings = Settings("cyrus", "x", login, "imaps://admin@mail.test")
    with pytest.raises(BadInput, match=said) as raised:
        open_provider(replace(settings, **change))
    assert "secret" not in str(raised.value)


async def test_accounts_called_by_local_part_with_dots_between_folders(tmp_path: Path) -> None:
    with Cyrus(unixhierarchysep=False, settings="allowusermoves: yes") as server:

        async def login() -> Credentials:
            return Credentials(password=Secret(server.password))

        url = f"imap://{ADMIN}@{server.host}:{server.port}"
        values = {"domains": DOMAIN, "logins": "local"}
        provider = open_provider(Settings("cyrus", "x", login, url, values, tmp_path))
        ann, bob = f"ann@{DOMAIN}", f"bob@{DOMAIN}"
        actions: list[Action] = [Create(ann), Lock(ann), Rename(ann, bob)]
        for number, action in enumerate(actions):
            task = await provider.begin(action, f"key {number}")
            assert task.state is TaskState.DONE
            assert await holding(provider, action) is Holding.HOLDS
        (found,) = await provider.accounts()
        assert (found.address, found.state) == (bob, AccountState.LOCKED)
        assert server.administer(['LIST "" "user.%"']) == ['* LIST (\\HasNoChildren) "." user.bob']
        with pytest.raises(Refused, match="unixhierarchysep"):
            await provider.begin(Create(f"j.smith@{DOMAIN}"), "another key")
        await provider.close()


class TestCyrus(ProviderSuite):
    @pytest.fixture
    def house(self, house: CyrusHouse) -> CyrusHouse:
        return house
