"""Mailboxes of the hoster in its own memory: needs no root and no other program. Redirections and
auto-replies are acted on here, from the books, for there is no Sieve."""

import asyncio
import base64
import os
import secrets
import smtplib
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from mailhaul.imap.dates import format_internaldate
from mailhaul.lab.embedded import HOST, Serving, serving
from mailhaul.lab.hoster.books import Books, Box
from mailhaul.lab.hoster.platforms import NotDelivered, Size
from mailhaul.lab.hoster.rules import extras
from mailhaul.lab.wire import PlainConnection, Raw, Refusal
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Redirection, Responder
from mailhaul.providers.service import AccountState, Verb

OPERATOR = "operator of the hoster"
DEADLINE = 20.0
A_DAY = 86_400.0
"""Nobody is answered more often."""


@dataclass(frozen=True, slots=True)
class Onward:
    """What is sent because of what came in."""

    sender: str
    to: str
    content: bytes


class InMemory:
    """A `Platform`. What it sends goes to the MX at `host` and `smtp`, as everything does."""

    sieve = False
    beside = frozenset({Verb.REDIRECTIONS, Verb.RESPONDERS})

    def __init__(self, books: Books, host: str, smtp: int) -> None:
        self.port = self.direct = 0
        self._books = books
        self._mx = host, smtp
        self._stack = AsyncExitStack()
        self._server: Serving | None = None
        self._password = secrets.token_urlsafe(16)
        self._answered: dict[tuple[int, str], float] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        # pymap greets with this name, and would otherwise ask the DNS for one.
        os.environ.setdefault("FQDN", "localhost")
        server = self._server = await self._stack.enter_async_context(serving())
        self.port, self.direct = server.port, server.direct
        server.user(OPERATOR, self._password, reads_all=True)

    async def close(self) -> None:
        await self._stack.aclose()

    async def settle(self, box: Box) -> str:
        name = box.address.casefold()
        opens = box.state is AccountState.CONFIGURED and box.password
        if box.placed and box.placed != name:
            self._there.rename(box.placed, name)
        self._there.user(name, box.password if opens else None)
        if box.placed:
            # Whoever is in by another name or password is in no longer.
            self._there.troubles.hang_up(box.placed)
        return name

    async def acts(self, box: Box, script: str) -> None:
        pass

    async def checks(self, box: Box, script: str) -> None:
        pass

    async def drop(self, box: Box) -> None:
        name = box.placed or box.address.casefold()
        self._there.drop(name)
        self._there.troubles.hang_up(name)

    async def size(self, box: Box) -> Size:
        return await asyncio.to_thread(self._size, box) if box.placed else Size(0, 0)

    async def deliver(self, box: Box, sender: str, content: bytes) -> None:
        beside = [e for _, e in extras(self._books, box.service) if same(e.address, box.address)]
        onward = [each for each in beside if isinstance(each, Redirection)]
        if not onward or any(each.copy for each in onward):
            await asyncio.to_thread(self._append, box, content)
        for redirection in onward:
            self._send(Onward(box.address, redirection.to, content))
        for responder in beside:
            if isinstance(responder, Responder):
                for each in self._answers(box, responder, sender, content):
                    self._send(each)

    def connect(self, box: Box) -> PlainConnection:
        return PlainConnection(HOST, self.direct, OPERATOR, self._password, for_user=box.placed)

    @property
    def _there(self) -> Serving:
        assert self._server is not None, "it has been started"
        return self._server

    def _append(self, box: Box, content: bytes) -> None:
        date = b'"%b"' % format_internaldate(datetime.now(UTC))
        try:
            with self.connect(box) as line:
                line.append_raw(b"INBOX", Raw(content, b"", date))
        except (OSError, Refusal) as error:
            raise NotDelivered(str(error), forever=False) from error

    def _size(self, box: Box) -> Size:
        """By reading it: there is no STATUS=SIZE (RFC 8438)."""
        with self.connect(box) as line:
            sizes = [len(each.content) for name in line.names() for each in line.raw(name)]
        return Size(len(sizes), sum(sizes))

    def _answers(
        self, box: Box, responder: Responder, sender: str, content: bytes
    ) -> Iterator[Onward]:
        """To whoever wrote, once a day (RFC 3834); never to nobody, which is what answers are
        from."""
        now = time.time()
        if not sender or not (responder.begins or 0) <= now < (responder.ends or now + 1):
            return
        if responder.copy_to:
            yield Onward(box.address, responder.copy_to, content)
        if now - self._answered.get((box.id, sender.casefold()), 0.0) < A_DAY:
            return
        self._answered[box.id, sender.casefold()] = now
        yield Onward("", sender, _answer(responder, sender))

    def _send(self, onward: Onward) -> None:
        """Later: whoever delivers holds the account, which may be on the way of what is sent."""
        sending = asyncio.create_task(asyncio.to_thread(_sent, self._mx, onward))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)


def _answer(responder: Responder, to: str) -> bytes:
    subject = base64.b64encode((responder.subject or "Automatic reply").encode()).decode()
    header = (
        f"From: <{responder.address}>\r\nTo: <{to}>\r\nSubject: =?utf-8?b?{subject}?=\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return f"{header}{responder.text}\r\n".encode()


def _sent(mx: tuple[str, int], onward: Onward) -> None:
    try:
        with smtplib.SMTP(*mx, "localhost", DEADLINE) as line:
            line.sendmail(onward.sender, [onward.to], onward.content)
    except (OSError, smtplib.SMTPException) as error:
        sys.stderr.write(f"{onward.to} was not sent to: {error}\n")
