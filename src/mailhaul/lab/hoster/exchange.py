"""The hoster's one MX: takes mail for every address that is somewhere here, and leads it there.

Accounts come before aliases and groups; what a non-authoritative domain doesn't know goes on to its
relay; the rest is refused, and counted. Mail to other domains (what a redirection or an auto-reply
sends) is taken and kept, and goes nowhere: a rehearsal writes to nobody.
"""

import asyncio
import smtplib
from collections.abc import Mapping

from aiosmtpd.smtp import SMTP, Envelope, Session

from mailhaul.lab.hoster.books import Books, Box, Event
from mailhaul.lab.hoster.locks import Locks
from mailhaul.lab.hoster.platforms import NotDelivered, Platform
from mailhaul.lab.hoster.setup import HOST
from mailhaul.providers.actions_text import extra_of
from mailhaul.providers.extras import Group
from mailhaul.providers.service import HostedDomain, Mode

LARGEST = 50_000_000
DEADLINE = 20.0
DEEPEST = 5
"""Groups within groups."""


class Exchange:
    """What aiosmtpd calls; see the module."""

    def __init__(self, books: Books, platforms: Mapping[str, Platform], locks: Locks) -> None:
        self._books = books
        self._platforms = platforms
        self._locks = locks

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        domain = address.rpartition("@")[2]
        known = self._books.everywhere(domain)
        if known and not self._books.routed(address) and not any(map(_relays, known)):
            self._books.note(Event.REFUSED, address)
            return "550 5.1.1 Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        sender = envelope.mail_from or ""
        stamped = stamp(session.host_name or "") + content
        try:
            for address in envelope.rcpt_tos:
                await self._lead(address, sender, stamped, 0)
        except NotDelivered as error:
            for address in envelope.rcpt_tos:
                self._books.note(
                    Event.REFUSED if error.forever else Event.PUT_OFF, address, "", b""
                )
            text = " ".join(str(error).split())[:200]
            return f"554 5.0.0 {text}" if error.forever else f"451 4.2.0 {text}"
        return "250 2.0.0 Ok"

    async def _lead(self, address: str, sender: str, content: bytes, depth: int) -> None:
        books = self._books
        if depth > DEEPEST:
            raise NotDelivered("groups go round in a circle", forever=True)
        if found := books.routed(address):
            _, account, extra = found
            if account is not None:
                await self._deliver(account, address, sender, content)
            elif extra is not None:
                group = extra_of(books.extra_text(extra))
                assert isinstance(group, Group)
                for member in group.members:
                    await self._lead(member, sender, content, depth + 1)
            return
        known = books.everywhere(address.rpartition("@")[2])
        relay = next((each.relay for each in known if _relays(each)), "")
        if relay:
            await asyncio.to_thread(_relay, relay, address, sender, content)
            books.note(Event.RELAYED, address)
        elif known:
            raise NotDelivered("User unknown", forever=True)
        else:
            books.note(Event.OUTSIDE, address, "", content)

    async def _deliver(self, account: int, address: str, sender: str, content: bytes) -> None:
        """While the account is being moved its mail waits at the door."""
        async with self._locks.of(account):
            box = self._books.box_by_id(account)
            if box is None or not box.placed:
                raise NotDelivered("the mailbox is being made", forever=False)
            await self._platform(box).deliver(box, sender, content)
            self._books.note(Event.DELIVERED, address, box.service)

    def _platform(self, box: Box) -> Platform:
        sold = self._books.service(box.service)
        assert sold is not None
        return self._platforms[sold.platform]


def stamp(name: str) -> bytes:
    """What is put before a message from a host that called itself so (RFC 5321 section 4.4)."""
    return f"Received: from {name}\r\n\tby localhost (rehearsal) with ESMTP\r\n".encode()


def _relays(domain: HostedDomain) -> bool:
    return domain.mode is Mode.NON_AUTHORITATIVE and bool(domain.relay)


def _relay(relay: str, address: str, sender: str, content: bytes) -> None:
    host, _, port = relay.partition(":")
    try:
        with smtplib.SMTP(host or HOST, int(port or "25"), timeout=DEADLINE) as line:
            line.sendmail(sender, [address], content)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise NotDelivered(text.decode(errors="replace"), forever=code >= 500) from error
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise NotDelivered(str(error), forever=False) from error
