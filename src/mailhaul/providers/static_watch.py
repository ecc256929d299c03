"""Seeing from outside that a person has done what a task tells: mail hosts that take an address or
refuse it, and a login that works. Nothing is ever sent, and nobody is asked more often than is due.
"""

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import aiosmtplib

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, parse_endpoint
from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.core.store import Traffic
from mailhaul.core.text import Secret
from mailhaul.imap.connect import connect
from mailhaul.providers.actions import (
    Action,
    Add,
    Configure,
    Create,
    Delete,
    Release,
    Remove,
    Rename,
)
from mailhaul.providers.extras import Alias, Group

PATIENCE = 20.0
"""Seconds for a mail host to answer one question."""
_GONE = frozenset({550, 551, 553, 554})
"""Replies of a host that doesn't know a recipient (RFC 5321 section 4.2.3)."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """Where mail to the accounts is handed in; it knows who has a mailbox there."""

    host: str
    port: int = 25


@dataclass(frozen=True, slots=True)
class Sign:
    """What can be seen of an action that is done: addresses that are taken, and such that are
    not."""

    there: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def sign(action: Action) -> Sign | None:
    """None for what nobody can see from outside."""
    match action:
        case Create(address=address) | Configure(address=address):
            return Sign((address,))
        case Rename(address=address, to=to):
            return Sign((to,), (address,))
        case Release(address=address) | Delete(address=address):
            return Sign((), (address,))
        case Add(extra=Alias(alias=address)) | Add(extra=Group(address=address)):
            return Sign((address,))
        case Remove(extra=Alias(alias=address)) | Remove(extra=Group(address=address)):
            return Sign((), (address,))
        case _:
            return None


async def answers(host: MailHost, wanted: Sign) -> bool:
    """Whether the mail host takes and refuses exactly these. A host that takes anybody, can't be
    reached or puts us off shows nothing."""
    addresses = [*wanted.there, *wanted.gone]
    domain = addresses[0].rpartition("@")[2]
    stranger = f"{secrets.token_hex(8)}@{domain}"
    try:
        told = await _asked(host, [stranger, *addresses])
    except (OSError, aiosmtplib.SMTPException, TimeoutError, UnicodeError):
        return False
    takes = [code // 100 == 2 for code in told]
    refuses = [code in _GONE for code in told]
    there = 1 + len(wanted.there)
    return refuses[0] and all(takes[1:there]) and all(refuses[there:])


async def opens(pattern: str, address: str, password: Secret) -> bool:
    """Whether the password opens the account at the endpoint that the pattern says; `%u` in it is
    the address, `%n` what stands before its @."""
    named = {"%u": quote(address, safe=""), "%n": quote(address.rpartition("@")[0], safe="")}
    endpoint = parse_endpoint(re.sub("%[un]", lambda match: named[match[0]], pattern))
    try:
        session = await connect(
            endpoint,
            Credentials(password=password),
            writable=False,
            spool=Spool(),
            traffic=Traffic(),
            compress=False,
        )
    except RetryLater:
        return False
    except Closed as error:
        if error.reason in (ClosedReason.CREDENTIALS, ClosedReason.UNREACHABLE):
            return False
        raise
    await session.close()
    return True


async def _asked(host: MailHost, addresses: Sequence[str]) -> list[int]:
    """The host's reply to each recipient; nothing follows, and it is taken back."""
    client = aiosmtplib.SMTP(
        hostname=host.host,
        port=host.port,
        timeout=PATIENCE,
        start_tls=None,
        validate_certs=False,  # nothing is said that anybody may not hear
    )
    async with asyncio.timeout(PATIENCE * (len(addresses) + 3)):
        await client.connect()
        try:
            await client.mail("")
            told = []
            for each in addresses:
                try:
                    reply = await client.rcpt(each)
                    told.append(reply.code)
                except aiosmtplib.SMTPRecipientRefused as error:
                    told.append(error.code)
            await client.rset()
            return told
        finally:
            client.close()
