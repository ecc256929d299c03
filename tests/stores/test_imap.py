"""The IMAP store keeps the contract on Dovecot, on Cyrus and on pymap.

What each server does to mail was found out with a client of other making (Python's imaplib) before
this store existed; it is measured again with every run.
"""

import imaplib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from mailhaul.core.folder import Folder
from mailhaul.core.store import Remembers, Source
from mailhaul.stores.registry import open_source, open_target
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account, RunningServer
from tests.servers.pymap import Pymap
from tests.stores.conformance import Expectations, Opened, StoreSuite


def _with_crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _munged(data: bytes) -> bytes:
    head, separator, body = data.partition(b"\r\n\r\n")
    return bytes(ord("X") if octet > 0x7F else octet for octet in head) + separator + body


DOVECOT = Expectations(
    refuses=frozenset({"nothing at all"}),
    alters={
        "a body with NUL": lambda data: data.replace(b"\0", b"\x80"),
        "a header with NUL": lambda data: data.replace(b"\0", b"\x80"),
        "a bare LF": _with_crlf,
        "nothing but LF": _with_crlf,
        "CR CR LF": lambda data: data.replace(b"\r\r\n", b"\r\n"),
        "a CR at the end": lambda data: data.removesuffix(b"\r"),
    },
    refuses_names=frozenset(
        {
            "a dot",
            "a leading dot",
            "a slash",
            "two dots",
            "two dots and a way out",
            "one dot",
            "a tilde",
            "a control character",
            "a line end",
            "a name of Thunderbird",
            "a longer name",
        }
    ),
    keeps_roles=False,
)
"""Maildir storage, separator `/`: the storage's own separator, a dot, can't stand in a name."""

# Cyrus takes NUL in a body that comes as a literal8 (RFC 3516), and keeps it.
CYRUS = Expectations(
    refuses=frozenset(
        {
            "a header with NUL",
            "a bare LF",
            "nothing but LF",
            "text that is no header",
            "a header line without a colon",
            "a header cut short",
            "one octet",
            "nothing at all",
            "a quoted From line first",
        }
    ),
    alters={"8-bit octets in the header": _munged, "8-bit octets in the subject": _munged},
    refuses_names=frozenset(
        {
            "a slash",
            "a backslash",
            "a quote",
            "a percent sign",
            "a percent code as text",
            "a caret and braces",
            "a control character",
            "a line end",
        }
    ),
)

PYMAP = Expectations(
    refuses=frozenset({"nothing at all"}),
    alters={
        "text that is no header": lambda data: data.removesuffix(b"\n"),
        "a header and no separator": lambda data: data.removesuffix(b"\n"),
    },
    misread=frozenset({"a header cut short"}),
    keywords_later=False,
    refuses_names=frozenset({"a slash", "a line end"}),
    keeps_roles=False,
)


@pytest.fixture(scope="module")
def tls_dovecot() -> Iterator[Dovecot]:
    with Dovecot(tls=True) as server:
        yield server


class TestDovecot(StoreSuite):
    @pytest.fixture
    async def mailbox(self, dovecot: Dovecot) -> AsyncIterator[Opened]:
        async for both in opened(dovecot, DOVECOT):
            yield both


class TestDovecotRemembered(StoreSuite):
    """Inside TLS, and logged in before it has greeted."""

    @pytest.fixture
    async def mailbox(self, tls_dovecot: Dovecot) -> AsyncIterator[Opened]:
        async for both in opened(tls_dovecot, DOVECOT, remembered=True):
            yield both


class TestCyrus(StoreSuite):
    @pytest.fixture
    async def mailbox(self, cyrus: Cyrus) -> AsyncIterator[Opened]:
        async for both in opened(cyrus, CYRUS):
            yield both


class TestPymap(StoreSuite):
    @pytest.fixture
    async def mailbox(self, pymap_server: Pymap) -> AsyncIterator[Opened]:
        async for both in opened(pymap_server, PYMAP):
            yield both


async def opened(
    server: RunningServer, expectations: Expectations, *, remembered: bool = False
) -> AsyncIterator[Opened]:
    account = server.account()
    endpoint, credentials = server.endpoint(account), server.credentials(account)
    memory = ""
    if remembered:
        assert isinstance(server, Dovecot)
        assert server.certificates is not None
        ca = {"ca": str(server.certificates.authority)}
        endpoint = replace(server.endpoint_tls(account), options=ca)
        before = open_source(endpoint, credentials)
        await before.open()
        await before.close()
        assert isinstance(before, Remembers)
        memory = before.memory
    target = open_target(endpoint, credentials)
    source = open_source(endpoint, credentials)
    for store in (target, source):
        assert isinstance(store, Remembers)
        store.memory = memory
        await store.open()
        assert store.traffic.round_trips == 1 or not remembered
    # The first listing was learnt while opening; what the tests write comes later.
    await target.folders()
    await source.folders()

    async def reopen() -> Source:
        again = open_source(endpoint, credentials)
        await again.open()
        return again

    async def renumber(folder: Folder) -> None:
        make_anew(server, account, folder.native)

    yield Opened(source, target, reopen, renumber, expectations)
    await source.close()
    await target.close()


def make_anew(server: RunningServer, account: Account, native: str) -> None:
    """Moves the folder away, makes one of the same name and copies its messages back."""
    client = imaplib.IMAP4(server.host, server.port)
    client.login(account.user, account.password)
    client.rename(f'"{native}"', f'"{native}-old"')
    client.create(f'"{native}"')
    client.select(f'"{native}-old"')
    assert client.uid("COPY", "1:*", f'"{native}"')[0] == "OK"
    client.select('"INBOX"')
    client.delete(f'"{native}-old"')
    client.logout()
