"""STARTTLS and what somebody in the middle may try (NO-STARTTLS; security.md 4): no credential is
said before TLS, no state is kept, no text is shown."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput, Closed, ClosedReason, Disconnected, MailhaulError
from mailhaul.core.store import Traffic
from mailhaul.core.text import Secret
from mailhaul.imap.connect import connect
from tests.imap.scripted import Answer, scripted
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account

CREDENTIALS = Credentials(Secret("a password"))


@asynccontextmanager
async def man_in_the_middle(
    greeting: bytes, after_starttls: bytes, capability: bytes
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A plaintext server that says what the table says, and never does TLS."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while text := await reader.readline():
            heard.append(text)
            tag, _, command = text.strip().partition(b" ")
            said = after_starttls if command == b"STARTTLS" else capability + b"{tag} OK\r\n"
            writer.write(said.replace(b"{tag}", tag))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1], heard


OFFERED = b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n"
ATTACKS: dict[str, tuple[bytes, bytes, bytes]] = {
    "PREAUTH": (b"* PREAUTH welcome\r\n", b"", b""),
    "no": (OFFERED, b"{tag} NO sorry\r\n", b""),
    "bad": (OFFERED, b"{tag} BAD what\r\n", b""),
    "a continuation": (OFFERED, b"+ go\r\n{tag} BAD x\r\n", b""),
    "hidden, and refused": (
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN]\r\n",
        b"{tag} BAD unknown\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    ),
    "an answer injected": (
        OFFERED,
        b"{tag} OK go\r\nM2 OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] in\r\n",
        b"",
    ),
    "half an answer injected": (OFFERED, b"{tag} OK go\r\n* CAPABILITY IMAP4", b""),
    "an alert injected": (OFFERED, b"{tag} OK go\r\n* OK [ALERT] call 555-1234\r\n", b""),
    "BYE": (OFFERED, b"{tag} OK go\r\n* BYE\r\n", b""),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_is_said_before_tls(name: str) -> None:
    traffic = Traffic()
    async with man_in_the_middle(*ATTACKS[name]) as (port, heard):
        endpoint = Endpoint("imap+starttls", "127.0.0.1", port, "someone")
        with pytest.raises(Closed) as caught:
            await connected(endpoint, CREDENTIALS, traffic)
    assert caught.value.reason is ClosedReason.TLS
    assert not any(b"LOGIN" in text or b"AUTHENTICATE" in text for text in heard)
    assert "555" not in str(caught.value)
    assert not any("555" in notice for notice in traffic.notices)


async def test_an_alert_before_tls_is_not_shown() -> None:
    traffic = Traffic()
    greeting = b"* OK [ALERT] call 555-1234\r\n"
    async with man_in_the_middle(greeting, b"{tag} NO\r\n", b"") as (port, _):
        with pytest.raises(Closed):
            await connected(
                Endpoint("imap+starttls", "127.0.0.1", port, "someone"), CREDENTIALS, traffic
            )
    assert traffic.notices == []


async def test_plaintext_is_for_loopback_alone() -> None:
    with pytest.raises(BadInput, match="plaintext=yes"):
        await connected(Endpoint("imap", "mail.example.org", 143, "someone"), CREDENTIALS)


async def test_a_refused_connection_is_unreachable() -> None:
    with pytest.raises(Closed) as caught:
        await connected(Endpoint("imap", "127.0.0.1", 1, "someone"), CREDENTIALS)
    assert caught.value.reason is ClosedReason.UNREACHABLE


FOREIGN = {
    b"220 mx.example ESMTP Postfix\r\n": "speaks SMTP, not IMAP",
    b"554 no\r\n": "speaks SMTP, not IMAP",
    b"220-FTP server\r\n": "speaks FTP, not IMAP",
    b"SSH-2.0-OpenSSH_9.2p1\r\n": "speaks SSH, not IMAP",
    b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n": "speaks HTTP, not IMAP",
    b"<html>\r\n": "speaks HTTP, not IMAP",
    b"+OK POP3 ready <1@x>\r\n": "speaks POP3, not IMAP",
    b'"IMPLEMENTATION" "Dovecot"\r\n': "speaks ManageSieve, not IMAP",
    b"hello 555-1234\r\n": "greets with “hello 555-1234”, which is no IMAP",
}


@pytest.mark.parametrize("scheme", ["imap", "imap+starttls"])
@pytest.mark.parametrize("greeting", FOREIGN)
async def test_what_does_not_speak_imap_is_told_at_once(scheme: str, greeting: bytes) -> None:
    async with man_in_the_middle(greeting, b"", b"") as (port, heard):
        endpoint = Endpoint(scheme, "127.0.0.1", port, "someone")
        with pytest.raises(Closed) as caught:
            async with asyncio.timeout(5):
                await connected(endpoint, CREDENTIALS)
        with pytest.raises(Disconnected):  # it did speak IMAP before: that may pass
            await connected(endpoint, CREDENTIALS, Traffic(connections=1))
    assert caught.value.reason is ClosedReason.PROTOCOL
    assert heard == []
    said = FOREIGN[greeting]
    if scheme == "imap+starttls":
        assert "555" not in str(caught.value)
        said = said.replace("“hello 555-1234”, which", "what")
    assert f"127.0.0.1 port {port} {said}; check" in str(caught.value)


async def test_login_disabled_is_kept_to() -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\r\n"
    async with man_in_the_middle(greeting, b"", b"") as (port, heard):
        with pytest.raises(Closed) as caught:
            await connected(Endpoint("imap", "127.0.0.1", port, "someone"), CREDENTIALS)
    assert caught.value.reason is ClosedReason.CREDENTIALS
    assert heard == []


@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
async def test_tls_works_with_the_right_authority_or_pin(scheme: str) -> None:
    with Dovecot(tls=True) as server:
        assert server.certificates is not None
        account = server.account()
        endpoint = secured(server, account, scheme)
        good = (
            {"ca": str(server.certificates.authority)},
            {"fingerprint": server.certificates.fingerprint},
        )
        for options in good:
            traffic = Traffic()
            await connected(
                replace(endpoint, options=options), server.credentials(account), traffic
            )
            assert traffic.connections == 1
        wrong = replace(endpoint, options={"fingerprint": "ab" * 32})
        for bad in (endpoint, wrong):
            with pytest.raises(Closed) as caught:
                await connected(bad, server.credentials(account))
            assert caught.value.reason is ClosedReason.TLS


async def test_tls_on_a_plaintext_port_is_told(dovecot: Dovecot) -> None:
    account = dovecot.account()
    endpoint = Endpoint("imaps", "127.0.0.1", dovecot.port, account.user)
    with pytest.raises(Closed, match="does not speak TLS on this port") as caught:
        await connected(endpoint, dovecot.credentials(account))
    assert caught.value.reason is ClosedReason.TLS


@pytest.mark.parametrize("auth", ["plain", "login", "cram-md5", "scram-sha-256", "login-command"])
async def test_every_way_to_log_in(dovecot: Dovecot, auth: str) -> None:
    account = dovecot.account()
    endpoint = replace(dovecot.endpoint(account), options={"auth": auth})
    await connected(endpoint, dovecot.credentials(account))
    with pytest.raises(MailhaulError) as caught:
        await connected(endpoint, Credentials(Secret("not it")))
    assert isinstance(caught.value, Closed)
    assert caught.value.reason is ClosedReason.CREDENTIALS


async def connected(
    endpoint: Endpoint, credentials: Credentials, traffic: Traffic | None = None
) -> None:
    """Connects and leaves."""
    session = await connect(
        endpoint, credentials, writable=False, spool=Spool(), traffic=traffic or Traffic()
    )
    assert session.capabilities
    await session.close()


def secured(server: Dovecot, account: Account, scheme: str) -> Endpoint:
    port = server.tls_port if scheme == "imaps" else server.port
    return Endpoint(scheme, "localhost", port, account.user)


@pytest.mark.parametrize("granted", [True, False])
async def test_an_administrator_goes_on_as_the_user(granted: bool) -> None:
    """F7, Sun: a login as the one, then PROXYAUTH; the capabilities are the user's."""

    def script(command: bytes) -> Answer:
        if command.startswith(b"PROXYAUTH"):
            return b"{tag} OK\r\n" if granted else b"{tag} NO not for you\r\n"
        if command == b"CAPABILITY":
            return b"* CAPABILITY IMAP4rev1 OFTHEUSER\r\n{tag} OK\r\n"
        return b""

    async with scripted(script) as server:
        endpoint = replace(server.endpoint, options={"admin": "root", "login": "sun"})
        asked = connect(
            endpoint, server.credentials, writable=False, spool=Spool(), traffic=Traffic()
        )
        if granted:
            session = await asked
            assert session.capabilities == frozenset({"IMAP4REV1", "OFTHEUSER"})
            await session.close()
        else:
            with pytest.raises(Closed, match="root go on as someone") as caught:
                await asked
            assert caught.value.reason is ClosedReason.CREDENTIALS
    assert server.told(b"PROXYAUTH") == [b'PROXYAUTH "someone"']
    [login] = server.told(b"AUTHENTICATE")
    assert b64decode(login.split()[-1]) == b"\0root\0a password"
