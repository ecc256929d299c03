"""Tokens of an issuer against Dovecot's own OAuth 2 login (JWT, local keys): taken, refused,
replaced, and renewed at a reconnect in the middle of a copy."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.store import Traffic
from mailhaul.core.text import Secret
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Options
from mailhaul.engine.passes import run_pass
from mailhaul.imap.connect import connect
from mailhaul.stores.registry import open_source, open_target
from mailhaul.vault.oauth import Flow, keep_grant
from mailhaul.vault.oauth_tokens import AGAIN, Tokens
from mailhaul.vault.references import resolve
from tests.faults.cutting_proxy import Action, Cut, CuttingProxy
from tests.faults.framing import Moment, Place
from tests.faults.plain import Plain
from tests.servers.dovecot import Dovecot
from tests.servers.issuer import Issuer, error
from tests.servers.process import Account
from tests.vault.granting import NAME, Clock, grant_at, vault_in

HOUR = 3600


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(oauth=True) as running:
        yield running


@dataclass
class Stage:
    """An account of the server, and an issuer of tokens for it. `valid` is for how many seconds the
    next tokens are good, whatever is told; `garbled`: they aren't signed by the right key."""

    server: Dovecot
    issuer: Issuer
    directory: Path
    clock: Clock = field(default_factory=lambda: Clock(time.time()))
    valid: list[int] = field(default_factory=list)
    garbled: bool = False

    def __post_init__(self) -> None:
        self.account = self.server.account()
        self.issuer.mint = self._mint
        self.vault = vault_in(self.directory)
        keep_grant(self.vault, NAME, grant_at(self.issuer))
        self.tokens = Tokens(self.vault, now=self.clock)

    def _mint(self, account: str) -> str:
        seconds = self.valid.pop(0) if self.valid else HOUR
        # Each is another one, though made in the same second.
        seconds += len(self.issuer.given)
        token = self.server.token_for(self.account, valid_seconds=seconds)
        if self.garbled:
            head, _, signature = token.rpartition(".")
            octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
            octets[0] ^= 1
            token = f"{head}.{base64.urlsafe_b64encode(octets).rstrip(b'=').decode()}"
        return token

    async def login(self) -> Credentials:
        return await resolve(f"oauth:{NAME}", self.directory, {}, self.vault, tokens=self.tokens)

    async def enter(self, auth: str = "") -> Traffic:
        """Connects and logs in, once."""
        traffic = Traffic()
        endpoint = self.server.endpoint(self.account)
        if auth:
            endpoint = replace(endpoint, options={"auth": auth})
        login = await self.login()
        session = await connect(endpoint, login, writable=False, spool=Spool(), traffic=traffic)
        session.abort()
        return traffic


@pytest.fixture
def stage(server: Dovecot, tmp_path: Path) -> Iterator[Stage]:
    with Issuer() as issuer:
        yield Stage(server, issuer, tmp_path)
        assert issuer.protests == []


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
async def test_a_token_of_the_issuer_lets_in(stage: Stage, auth: str) -> None:
    for _ in range(3):
        assert (await stage.enter(auth)).connections == 1
    assert stage.issuer.asked["/token"] == 1


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
async def test_a_token_that_ended_early_is_replaced_and_the_login_tried_again(
    stage: Stage, auth: str
) -> None:
    stage.valid = [-60, HOUR]
    assert (await stage.enter(auth)).connections == 2
    assert stage.issuer.asked["/token"] == 2
    assert (await stage.enter(auth)).connections == 1


@pytest.mark.parametrize("garbled", [False, True], ids=["expired", "garbage"])
async def test_tokens_that_are_never_taken_are_not_tried_for_ever(
    stage: Stage, garbled: bool
) -> None:
    stage.garbled = garbled
    stage.valid = [-60, -120, -180, -240]
    for logins in (2, 2, 2):
        with pytest.raises(Closed, match="status") as caught:
            await stage.enter()
        assert caught.value.reason is ClosedReason.CREDENTIALS
        assert stage.issuer.asked["/token"] == logins
    stage.clock.now += AGAIN
    with pytest.raises(Closed):
        await stage.enter()
    assert stage.issuer.asked["/token"] == 3


async def test_where_the_issuer_says_no_that_is_what_is_said(stage: Stage) -> None:
    stage.valid = [-60]
    await stage.tokens.token(NAME)
    stage.issuer.replies.append(error("invalid_grant"))
    with pytest.raises(Closed, match="mailhaul oauth login anna again"):
        await stage.enter()


async def test_a_password_is_tried_once_alone(server: Dovecot) -> None:
    account, traffic = server.account(), Traffic()
    wrong = Credentials(password=Secret("wrong"))
    with pytest.raises(Closed):
        await connect(
            server.endpoint(account), wrong, writable=False, spool=Spool(), traffic=traffic
        )
    assert traffic.connections == 1


async def test_who_has_logged_in_nowhere_connects_nowhere(stage: Stage) -> None:
    stage.vault.remove(f"oauth:{NAME}")
    with pytest.raises(Closed, match="mailhaul oauth login anna") as caught:
        await stage.login()
    assert caught.value.reason is ClosedReason.CREDENTIALS


async def test_a_new_login_has_another_mark(stage: Stage) -> None:
    marks = []
    for mark in ("first", "second"):
        keep_grant(stage.vault, NAME, replace(grant_at(stage.issuer, Flow.DEVICE), mark=mark))
        marks.append((await stage.login()).mark)
        await stage.tokens.token(NAME)
        marks.append((await stage.login()).mark)
    assert marks == ["first", "first", "second", "second"]


async def test_a_token_is_renewed_at_a_reconnect_in_the_middle_of_a_copy(
    stage: Stage, dovecot: Dovecot
) -> None:
    """The connection breaks after the first token's hour: a new one logs in, and all arrives."""
    fill(stage.server, stage.account, 60)
    cut = Cut(Moment(Place.BODY, "FETCH"), 20, Action.RST)
    target = dovecot.account()
    with CuttingProxy(stage.server.host, stage.server.port, cut=cut) as proxy:
        endpoint = replace(stage.server.endpoint(stage.account), port=proxy.port)
        source = open_source(endpoint, await stage.login())
        written = open_target(dovecot.endpoint(target), dovecot.credentials(target))
        try:
            with Ledger.open(stage.directory, "a pair under test") as ledger:
                async for _ in run_pass(source, written, ledger, Options()):
                    if proxy.connections == 1 and stage.issuer.asked["/token"] == 1:
                        stage.clock.now += HOUR  # nobody's session is cut for it
        finally:
            await source.close()
            await written.close()
        assert proxy.fired and proxy.connections >= 2
    assert stage.issuer.asked["/token"] == 2
    with Plain(dovecot.host, dovecot.port, target.user, target.password) as plain:
        assert b"MESSAGES 60" in b"".join(
            each.text for each in plain.answers(b"STATUS INBOX (MESSAGES)")
        )


def fill(server: Dovecot, account: Account, number: int) -> None:
    with Plain(server.host, server.port, account.user, account.password) as plain:
        for each in range(number):
            text = f"Message-ID: <{each}@x>\r\nSubject: {each}\r\n\r\n{'x' * 20_000}\r\n"
            plain.append(b"INBOX", text.encode())
