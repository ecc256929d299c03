"""The step-by-step trial names the step that fails and gives a cure."""

from dataclasses import replace

import pytest

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import ClosedReason
from mailhaul.core.text import Secret
from mailhaul.stores.imap_probe import Step, probe
from tests.imap.scripted import Answer, folder, scripted
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port

WRONG = Credentials(Secret("wrong"))


async def steps(endpoint: Endpoint, credentials: Credentials) -> list[Step]:
    return [step async for step in probe(endpoint, credentials)]


async def test_all_is_well(dovecot: Dovecot) -> None:
    account = dovecot.account()
    found = await steps(dovecot.endpoint(account), dovecot.credentials(account))
    assert [step.name for step in found] == [
        "name",
        "connection",
        "greeting",
        "tls",
        "login",
        "mailbox",
    ]
    assert all(step.ok and step.detail and not step.cure for step in found)


@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
async def test_a_certificate_nobody_knows(scheme: str) -> None:
    with Dovecot(tls=True) as server:
        account = server.account()
        port = server.tls_port if scheme == "imaps" else server.port
        endpoint = Endpoint(scheme, "localhost", port, account.user)
        last = (await steps(endpoint, server.credentials(account)))[-1]
        assert server.certificates is not None
        trusting = replace(endpoint, options={"ca": str(server.certificates.authority)})
        good = await steps(trusting, server.credentials(account))
    assert (last.name, last.ok, last.reason) == ("tls", False, ClosedReason.TLS)
    assert "fingerprint" in last.cure
    assert all(step.ok for step in good)


async def test_a_name_that_is_none() -> None:
    last = (await steps(Endpoint("imaps", "nowhere.invalid", 993, "anna"), WRONG))[-1]
    assert (last.name, last.ok) == ("name", False)
    assert "Errno" not in last.detail
    assert last.detail.removeprefix("nowhere.invalid leads nowhere: ")
    assert last.cure


async def test_a_port_where_nobody_listens() -> None:
    last = (await steps(Endpoint("imap", "127.0.0.1", free_port(), "anna"), WRONG))[-1]
    assert (last.name, last.ok) == ("connection", False)
    assert last.cure


async def test_a_wrong_password(dovecot: Dovecot) -> None:
    account = dovecot.account()
    last = (await steps(dovecot.endpoint(account), WRONG))[-1]
    assert (last.name, last.ok, last.reason) == ("login", False, ClosedReason.CREDENTIALS)
    assert "wrong" not in last.detail.replace("is wrong", "")


async def test_a_login_without_a_mailbox() -> None:
    """A7."""
    inner = folder({})

    def answer(command: bytes) -> Answer:
        if command.startswith(b"STATUS"):
            return b"{tag} BAD User is authenticated but not connected.\r\n"
        return inner(command)

    async with scripted(answer) as server:
        last = (await steps(server.endpoint, server.credentials))[-1]
    assert (last.name, last.ok) == ("mailbox", False)
    assert last.reason is ClosedReason.FORBIDDEN
    assert "licence" in last.detail + last.cure
