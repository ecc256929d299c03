"""Mail that keeps coming while its way is changed: exchanges that deliver into real mailboxes, and
senders that ask a caching resolver where to go, as the world's servers do.

No code of mailhaul. What was accepted is written down before the sender hears of it.
"""

import contextlib
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dns.exception
import dns.resolver
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.faults.plain import Failed, Plain
from tests.servers.process import Account, RunningServer

MARK = "X-Proof"
DEADLINE = 10.0


@dataclass
class Exchange:
    """A mail exchange on `host` and `port` for the accounts of one system, by address."""

    name: str
    host: str
    port: int
    server: RunningServer
    accounts: Mapping[str, Account]
    delivered: list[tuple[float, str, str]] = field(default_factory=list)
    """When, to whom, and the mark; of what carries none, an empty text."""
    _lines: dict[str, Plain] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _controller: Controller | None = None

    def __enter__(self) -> "Exchange":
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._controller is not None
        self._controller.stop()
        for line in self._lines.values():
            line.close()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address not in self.accounts:
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        try:
            for address in envelope.rcpt_tos:
                self._deliver(address, content)
        except (OSError, Failed):
            return "451 4.3.0 not now"
        return "250 OK"

    def _deliver(self, address: str, content: bytes) -> None:
        account = self.accounts[address]
        with self._lock:
            line = self._lines.get(address)
            if line is None:
                line = Plain(self.server.host, self.server.port, account.user, account.password)
                self._lines[address] = line
            try:
                line.append(b"INBOX", content)
            except (OSError, Failed):
                self._lines.pop(address).close()
                raise
            self.delivered.append((time.monotonic(), address, mark_of(content)))


def mark_of(content: bytes) -> str:
    """What a sender of ours has written into the message, else nothing."""
    for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.startswith(f"{MARK}: ".encode()):
            return line.partition(b": ")[2].decode()
    return ""


@dataclass
class Senders:
    """Somebody writes to everybody in turn, `every` seconds, until stopped.

    `route` says which host takes the mail of a domain now; it is asked anew for each message and
    each try, as a mail server does. A message that is put off is tried again.
    """

    name: str
    addresses: tuple[str, ...]
    route: Callable[[str], str]
    port: int
    every: float = 1.0
    sent: dict[str, str] = field(default_factory=dict)
    """Mark → address, of all that an exchange has taken."""
    went: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Senders":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """What is under way is sent to its end."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._over.wait(self.every):
            address = self.addresses[number % len(self.addresses)]
            self._send(f"{self.name}-{number}", address)
            number += 1

    def _send(self, mark: str, address: str) -> None:
        text = (
            f"From: <{self.name}@elsewhere.example>\r\nTo: <{address}>\r\nSubject: {mark}\r\n"
            f"Message-ID: <{mark}@elsewhere.example>\r\n{MARK}: {mark}\r\n\r\nNews.\r\n"
        ).encode()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            host = ""
            with contextlib.suppress(OSError, smtplib.SMTPException, dns.exception.DNSException):
                host = self.route(address.partition("@")[2])
                with smtplib.SMTP(host, self.port, timeout=DEADLINE) as line:
                    line.sendmail(f"{self.name}@elsewhere.example", [address], text)
                self.sent[mark] = address
                self.went[host] += 1
                return
            time.sleep(0.2)
        self.refused.append(mark)


def by_resolver(address: str, port: int) -> Callable[[str], str]:
    """A route by MX and A as that resolver gives them, from its cache or not."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    resolver.port = port
    resolver.lifetime = DEADLINE

    def route(domain: str) -> str:
        records = sorted(resolver.resolve(domain, "MX"), key=lambda each: each.preference)
        return str(resolver.resolve(records[0].exchange, "A")[0].to_text())

    return route
