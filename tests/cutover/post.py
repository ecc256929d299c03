"""Mail that keeps coming while its way is changed: senders that ask a caching resolver where to go,
as the world's servers do, and inboxes that know what has arrived.

No code of mailhaul. What has arrived is written down before its sender hears of it.
"""

import contextlib
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import dns.exception
import dns.resolver

from tests.faults.plain import Failed, Plain
from tests.servers.process import Account, RunningServer

MARK = "X-Proof"
DEADLINE = 10.0


@dataclass
class Inbox:
    """Delivers into an account's inbox by IMAP, and writes down what has arrived there."""

    server: RunningServer
    account: Account
    marks: list[str] = field(default_factory=list)
    """Of what has arrived; of a message without a mark, an empty text."""
    _line: Plain | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, message: bytes) -> None:
        with self._lock:
            if self._line is None:
                user, password = self.account.user, self.account.password
                self._line = Plain(self.server.host, self.server.port, user, password)
            try:
                self._line.append(b"INBOX", message)
            except (OSError, Failed):
                self._line.close()
                self._line = None
                raise
            self.marks.append(mark_of(message))

    def close(self) -> None:
        if self._line is not None:
            self._line.close()


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
    _sending: threading.Lock = field(default_factory=threading.Lock)
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

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing is sent meanwhile, and nothing is under way."""
        with self._sending:
            yield

    def _run(self) -> None:
        number = 0
        while not self._over.wait(self.every):
            address = self.addresses[number % len(self.addresses)]
            with self._sending:
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
