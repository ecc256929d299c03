"""A real mail exchange on loopback: aiosmtpd, with STARTTLS, that delivers into Dovecot's Maildirs.

    with MailExchange({"ann@example.org": into_maildir(dovecot, account)}) as exchange: ...

It knows the recipients that it delivers for, and `catch_all` takes all others. What it delivers has
the fields that a mail system adds (Return-Path, Received).
"""

import os
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers.certificates import Certificates
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.process import HOST, Account, free_port, is_root

Deliver = Callable[[bytes], None]
HEARD = 250


class MailExchange:
    """`mailboxes`: what to do with mail for each address. `greylists` are seconds for which a
    recipient is put off after it was first asked for. `alters` is what a filter does to a message
    on its way. `host`, `port`: where it listens, else on a free port."""

    def __init__(
        self,
        mailboxes: Mapping[str, Deliver],
        *,
        name: str = "localhost",
        catch_all: Deliver | None = None,
        certificates: Certificates | None = None,
        greylists: float = 0.0,
        alters: Callable[[bytes], bytes] = lambda message: message,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        self.mailboxes = dict(mailboxes)
        self.name = name
        self.host = host
        self.port = port
        self.named: list[str] = []
        """Every recipient it was asked about."""
        self.taken: list[tuple[str, bytes]] = []
        self.encrypted: list[bool] = []
        """Of each message that it took, whether it came by TLS."""
        self._catch_all = catch_all
        self._certificates = certificates
        self._greylists = greylists
        self._alters = alters
        self._first_seen: dict[str, float] = {}
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        self.port = self.port or free_port()
        context = None
        if self._certificates is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificates.certificate, self._certificates.key)
        self._controller = Controller(
            self,
            hostname=self.host,
            port=self.port,
            server_hostname=self.name,
            tls_context=context,
            enable_SMTPUTF8=True,
        )
        self._controller.start()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._controller is not None
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.named.append(address)
        if address not in self.mailboxes and self._catch_all is None:
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        first = self._first_seen.setdefault(address, time.monotonic())
        if time.monotonic() - first < self._greylists:
            return f"450 4.2.0 <{address}>: Recipient address rejected: Greylisted"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        stamp = (
            f"Return-Path: <{envelope.mail_from}>\r\nReceived: from {session.host_name}"
            f" ([127.0.0.1])\r\n\tby {self.name} (mailhaul's tests) with ESMTP;"
            "\r\n\tSat, 21 Nov 2026 21:00:00 +0000\r\n"
        )
        delivered = self._alters(stamp.encode() + content)
        for address in envelope.rcpt_tos:
            self.taken.append((address, content))
            self.encrypted.append(session.ssl is not None)
            deliver = self.mailboxes.get(address, self._catch_all)
            assert deliver is not None
            deliver(delivered)
        return "250 2.0.0 Ok: queued"


def into_maildir(server: Dovecot, account: Account, folder: str = "") -> Deliver:
    """Delivers as any local delivery agent does: into tmp, then renamed into new. `folder`: one
    that exists, else the inbox."""

    def deliver(message: bytes) -> None:
        maildir = server.home(account) / "mail" / (f".{folder}" if folder else "")
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}.{os.getpid()}.canary"
        fresh = maildir / "tmp" / name
        fresh.write_bytes(message.replace(b"\r\n", b"\n"))
        if is_root():
            _give_away(server.home(account), fresh)
        fresh.rename(maildir / "new" / name)

    return deliver


def through(next_host: "MailExchange", address: str) -> Deliver:
    """Hands the message on, as a filter or a forwarding does."""
    import smtplib

    def deliver(message: bytes) -> None:
        with smtplib.SMTP(next_host.host, next_host.port, timeout=10) as client:
            client.sendmail("", [address], message)

    return deliver


def nowhere(message: bytes) -> None:
    """Takes it, and that is that."""


def _give_away(home: Path, fresh: Path) -> None:
    owner, group = mail_owner()
    for path in (home, *home.rglob("*")):
        os.chown(path, owner.pw_uid, group.gr_gid)
    os.chown(fresh, owner.pw_uid, group.gr_gid)
