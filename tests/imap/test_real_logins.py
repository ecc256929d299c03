"""Every mechanism and login name against a real Dovecot; one attempt each."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.store import Traffic
from mailhaul.core.text import Secret
from mailhaul.imap import commands
from mailhaul.imap.connect import connect
from mailhaul.imap.responses import Untagged
from mailhaul.imap.sasl import Mechanism
from mailhaul.imap.tls import fingerprint
from tests.servers.dovecot import MASTER, Dovecot
from tests.servers.process import Account

PASSWORD_MECHANISMS = [
    Mechanism.PLAIN,
    Mechanism.LOGIN,
    Mechanism.CRAM_MD5,
    Mechanism.SCRAM_SHA_256,
    Mechanism.LOGIN_COMMAND,
]
TOKEN_MECHANISMS = [Mechanism.XOAUTH2, Mechanism.OAUTHBEARER]


@pytest.fixture(scope="module")
def secure() -> Iterator[Dovecot]:
    # Without the delay that is to slow down guessing.
    with Dovecot(tls=True, oauth=True, settings="auth_failure_delay = 0") as server:
        yield server


async def folders_after_login(endpoint: Endpoint, credentials: Credentials) -> int:
    """How many folders the mailbox lists once we are in."""
    session = await connect(endpoint, credentials, writable=False, spool=Spool(), traffic=Traffic())
    try:
        pending = session.send(commands.list_all())
        await pending.done()
        return sum(isinstance(e, Untagged) and e.name == b"LIST" for e in pending.events)
    finally:
        session.abort()


def by_token(server: Dovecot, account: Account, valid_seconds: int = 3600) -> Credentials:
    async def token() -> Secret:
        return Secret(server.token_for(account, valid_seconds=valid_seconds))

    return Credentials(token=token)


def with_options(endpoint: Endpoint, **options: str) -> Endpoint:
    return replace(endpoint, options=options)


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS)
async def test_a_password_opens_the_mailbox(dovecot: Dovecot, mechanism: Mechanism) -> None:
    account = dovecot.account()
    endpoint = with_options(dovecot.endpoint(account), auth=mechanism.value.lower())
    assert await folders_after_login(endpoint, dovecot.credentials(account)) > 0


async def test_a_password_of_any_characters_opens_the_mailbox(dovecot: Dovecot) -> None:
    account = dovecot.add_user("odd user", 'pä"ss\\wörd {3}%')
    for mechanism in PASSWORD_MECHANISMS:
        endpoint = with_options(dovecot.endpoint(account), auth=mechanism.value.lower())
        assert await folders_after_login(endpoint, dovecot.credentials(account)) > 0


async def test_a_wrong_password_is_refused_by_every_mechanism(secure: Dovecot) -> None:
    account = secure.account()
    wrong = Credentials(password=Secret("wrong"))
    assert secure.certificates is not None
    options = {"ca": str(secure.certificates.authority)}
    refused = await asyncio.gather(
        *(
            folders_after_login(
                with_options(secure.endpoint_tls(account), auth=mechanism.value, **options), wrong
            )
            for mechanism in PASSWORD_MECHANISMS
        ),
        return_exceptions=True,
    )
    for error in refused:
        assert isinstance(error, Closed)
        assert error.reason is ClosedReason.CREDENTIALS
        assert "wrong" not in str(error).replace("is wrong", "")


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS)
async def test_a_token_opens_the_mailbox_and_an_old_one_does_not(
    secure: Dovecot, mechanism: Mechanism
) -> None:
    account = secure.account()
    assert secure.certificates is not None
    endpoint = with_options(
        secure.endpoint_tls(account),
        auth=mechanism.value,
        ca=str(secure.certificates.authority),
    )
    assert await folders_after_login(endpoint, by_token(secure, account)) > 0
    with pytest.raises(Closed, match="status") as caught:
        await folders_after_login(endpoint, by_token(secure, account, valid_seconds=-60))
    assert caught.value.reason is ClosedReason.CREDENTIALS


@pytest.mark.parametrize("options", [{"login": "dovecot"}, {}, {"login": "{user}*{admin}"}])
async def test_a_master_user_opens_anothers_mailbox(
    dovecot: Dovecot, options: dict[str, str]
) -> None:
    endpoint = with_options(
        dovecot.endpoint(dovecot.account()), admin=MASTER.user, auth="plain", **options
    )
    credentials = Credentials(password=Secret(MASTER.password))
    assert await folders_after_login(endpoint, credentials) > 0


async def test_a_pinned_certificate_needs_no_authority(secure: Dovecot) -> None:
    account = secure.account()
    endpoint = secure.endpoint_tls(account)
    shown = ssl.PEM_cert_to_DER_cert(
        await asyncio.to_thread(ssl.get_server_certificate, (endpoint.host, endpoint.port))
    )
    pinned = with_options(endpoint, fingerprint=fingerprint(shown))
    assert await folders_after_login(pinned, secure.credentials(account)) > 0
    other = with_options(endpoint, fingerprint=fingerprint(shown + b"x"))
    for refused in (other, endpoint):
        with pytest.raises(Closed) as caught:
            await folders_after_login(refused, secure.credentials(account))
        assert caught.value.reason is ClosedReason.TLS
