"""The tests' own servers are what they say: separate, with their knobs, gone at the end."""

import imaplib
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import MASTER, Dovecot
from tests.servers.process import Account, RunningServer

MAIL = b"Subject: one\r\n\r\ntwo\r\n"


def login(server: RunningServer, account: Account) -> imaplib.IMAP4:
    client = imaplib.IMAP4(server.host, server.port, timeout=20)
    client.login(f'"{account.user}"', account.password)
    return client


def count(client: imaplib.IMAP4) -> int:
    return int(client.select("INBOX", readonly=True)[1][0] or b"0")


def test_each_account_has_its_own_empty_mailbox(server: RunningServer) -> None:
    one, other = login(server, server.account()), login(server, server.account())
    assert one.append("INBOX", "", "", MAIL)[0] == "OK"
    assert (count(one), count(other)) == (1, 0)


@pytest.mark.parametrize("user", ["plain", "a@example.org", "odd one/with@all"])
def test_users_may_have_odd_names(server: RunningServer, user: str) -> None:
    if server.name == "cyrus" and user != "plain":
        pytest.skip("one domain only, by configuration")
    client = login(server, server.add_user(user, "pass word"))
    assert count(client) == 0


def test_a_wrong_password_is_refused(server: RunningServer) -> None:
    account = server.account()
    with pytest.raises(imaplib.IMAP4.error, match=r"(?i)authentication|credentials"):
        login(server, Account(account.user, "wrong"))


def test_a_stopped_server_leaves_nothing_behind() -> None:
    with Dovecot() as server:
        directory = server.directory
        login(server, server.account())
    assert not directory.exists()
    assert not _running(directory)


def test_a_server_ends_with_the_process_that_started_it() -> None:
    program = "\n".join(
        [
            "import os, signal",
            "from tests.servers.dovecot import Dovecot",
            "with Dovecot() as server:",
            "    print(server.directory, flush=True)",
            "    os.kill(os.getpid(), signal.SIGKILL)",
        ]
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], check=False, stdout=subprocess.PIPE, text=True
    )
    directory = Path(killed.stdout.strip())
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while _running(directory) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _running(directory)
    assert not directory.exists()


def test_dovecot_hides_capabilities_and_prefixes_names() -> None:
    hidden = {"UIDPLUS", "MULTIAPPEND", "LITERAL+", "CONDSTORE", "QRESYNC"}
    with Dovecot(hidden=hidden, prefix="INBOX.", separator=".") as server:
        client = login(server, server.account())
        shown = set(client.capability()[1][0].decode().split())
        assert not hidden & shown
        assert "NAMESPACE" in shown
        assert client.namespace()[1] == [b'(("INBOX." ".")) NIL NIL']
        assert (
            client.append("INBOX", "", "", MAIL)[1] == [b"Append completed (0.001 + 0.000 secs)."]
            or b"APPENDUID" in client.append("INBOX", "", "", MAIL)[1][0]
        )


def test_dovecot_lets_a_master_user_in(dovecot: Dovecot) -> None:
    account = dovecot.account()
    assert login(dovecot, account).append("INBOX", "", "", MAIL)[0] == "OK"
    client = login(dovecot, Account(f"{account.user}*{MASTER.user}", MASTER.password))
    assert count(client) == 1


def test_dovecot_limits_mailbox_and_message() -> None:
    with Dovecot(storage="mdbox", quota=10_000, largest_message=4_000) as server:
        client = login(server, server.account())
        assert client.append("INBOX", "", "", MAIL + b"x" * 5_000)[0] == "NO"
        verdicts = [client.append("INBOX", "", "", MAIL + b"x" * 3_000) for _ in range(4)]
        assert [verdict for verdict, _ in verdicts] == ["OK", "OK", "OK", "NO"]
        assert b"OVERQUOTA" in verdicts[-1][1][0]


def test_dovecot_speaks_tls_and_takes_tokens() -> None:
    with Dovecot(tls=True, oauth=True) as server:
        account = server.account()
        assert server.certificates is not None
        context = ssl.create_default_context(cafile=str(server.certificates.authority))
        client = imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=context)
        client.authenticate("XOAUTH2", lambda _: _xoauth2(account, server.token_for(account)))
        upgraded = imaplib.IMAP4(server.host, server.port)
        upgraded.starttls(context)
        upgraded.login(account.user, account.password)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imaplib.IMAP4(server.host, server.port).authenticate(
                "XOAUTH2",
                lambda _: _xoauth2(account, server.token_for(account, valid_seconds=-60)),
            )


def test_dovecots_certificate_can_be_out_of_date() -> None:
    with Dovecot(tls="expired") as server:
        assert server.certificates is not None
        context = ssl.create_default_context(cafile=str(server.certificates.authority))
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=context)


@pytest.mark.parametrize(
    ("munge", "reject", "stored"),
    [
        (True, False, b"Subject: XX\r\n"),
        (False, False, b"Subject: \xe4\xf6\r\n"),
        (False, True, None),
    ],
    ids=["munged", "kept", "refused"],
)
def test_cyrus_treats_8bit_headers_as_told(munge: bool, reject: bool, stored: bytes | None) -> None:
    with Cyrus(munge8bit=munge, reject8bit=reject) as server:
        client = login(server, server.account())
        verdict, _ = client.append("INBOX", "", "", b"Subject: \xe4\xf6\r\n\r\n.\r\n")
        assert verdict == ("OK" if stored else "NO")
        if stored:
            count(client)
            answer = client.fetch("1", "(BODY.PEEK[HEADER])")[1][0]
            assert isinstance(answer, tuple)
            assert answer[1].startswith(stored)


def test_cyrus_has_namespace_and_quota_knobs() -> None:
    with Cyrus(altnamespace=False, unixhierarchysep=False, special_use=True) as server:
        account = server.account()
        client = login(server, account)
        assert client.namespace()[1][0].startswith(b'(("INBOX." "."))')
        assert b'(\\HasNoChildren \\sent) "." INBOX.Sent' in client.list()[1]
        server.set_quota(account, 2)
        assert client.append("INBOX", "", "", MAIL + b"x" * 5_000) == ("NO", [b"Over quota"])


def _xoauth2(account: Account, token: str) -> bytes:
    return f"user={account.user}\1auth=Bearer {token}\1\1".encode()


def _running(directory: Path) -> list[Path]:
    """Processes that name `directory` in their command line."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if _names(path, directory)]


def _names(path: Path, directory: Path) -> bool:
    try:
        return os.fsencode(directory) in path.read_bytes()
    except OSError:
        return False
