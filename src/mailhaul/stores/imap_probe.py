"""A mailbox tried out step by step, for people: where it fails, and which switch is meant.

The same connecting as a copy does, seen from closer: name, TCP, TLS, greeting, login, and then the
question whether there is a mailbox behind the login at all (failure-modes A7).
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Closed, ClosedReason, MailhaulError
from mailhaul.core.store import Traffic
from mailhaul.core.text import printable
from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.codes import judge
from mailhaul.imap.commands import StatusAttribute
from mailhaul.imap.connect import CONNECTING, greet, reach
from mailhaul.imap.logging_in import log_in
from mailhaul.imap.responses import Untagged
from mailhaul.stores.imap_folders import namespaces


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how it went. `cure` is empty and `reason` None when nothing is wrong; `reason`
    is None as well for what may pass by itself. All texts are printable."""

    name: str
    ok: bool
    detail: str
    cure: str = ""
    reason: ClosedReason | None = None


async def probe(endpoint: Endpoint, credentials: Credentials) -> AsyncIterator[Step]:
    """One `Step` after the other; the first that isn't ok is the last. Raises `BadInput` for an
    endpoint that may not be connected to at all."""
    host, port = printable(endpoint.host, 120), endpoint.port
    try:
        async with asyncio.timeout(CONNECTING):
            found = await asyncio.get_running_loop().getaddrinfo(
                endpoint.host, port, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as error:
        cure = "check its spelling and this machine's DNS"
        why = error.strerror or f"no answer within {CONNECTING:.0f} seconds"
        detail = f"{host} leads nowhere: {printable(why, 200)}"
        yield Step("name", False, detail, cure, ClosedReason.UNREACHABLE)
        return
    addresses = list(dict.fromkeys(printable(str(each[4][0]), 60) for each in found))
    yield Step("name", True, f"{host} is {', '.join(addresses[:6])}")
    session: Session | None = None
    try:
        try:
            session = await reach(endpoint, writable=False, spool=Spool(), traffic=Traffic())
        except Closed as error:
            if error.reason is ClosedReason.TLS:
                yield Step("connection", True, f"port {port} takes connections")
            yield _failed("tls" if error.reason is ClosedReason.TLS else "connection", error)
            return
        yield Step("connection", True, f"port {port} takes connections")
        if endpoint.scheme == "imaps":
            yield Step("tls", True, _protection(session))
        async for step in _inside(session, endpoint, credentials):
            yield step
    finally:
        if session is not None:
            await session.close()


async def _inside(
    session: Session, endpoint: Endpoint, credentials: Credentials
) -> AsyncIterator[Step]:
    try:
        await greet(session, endpoint)
    except MailhaulError as error:
        is_tls = isinstance(error, Closed) and error.reason is ClosedReason.TLS
        yield _failed("tls" if is_tls else "greeting", error)
        return
    said = printable((await session.greeting()).text, 120)
    yield Step("greeting", True, said or "the server greets without a word")
    if endpoint.scheme == "imap+starttls":
        yield Step("tls", True, _protection(session))
    elif endpoint.scheme == "imap":
        yield Step("tls", True, "none: the connection is in plaintext")
    try:
        await log_in(session, endpoint, credentials)
    except MailhaulError as error:
        yield _failed("login", error)
        return
    yield Step("login", True, f"{printable(endpoint.user, 120)} is let in")
    try:
        yield await _mailbox(session)
    except MailhaulError as error:
        yield _failed("mailbox", error)


async def _mailbox(session: Session) -> Step:
    spaces = None
    if "NAMESPACE" in (session.capabilities or frozenset()):
        spaces = session.send(commands.namespace())
    wanted = [StatusAttribute.MESSAGES, StatusAttribute.UIDVALIDITY]
    status = await session.send(commands.status("INBOX", wanted)).done()
    if status.kind != b"OK":
        # Exchange: logged in, and yet “authenticated but not connected” (A7).
        fact, _, cure = judge(b"STATUS", status).reason.rpartition("; ")
        cure, fact = (cure, fact) if fact else ("check licence and rights", cure)
        return Step("mailbox", False, fact, cure, ClosedReason.FORBIDDEN)
    told = "the inbox opens"
    if spaces is not None:
        await spaces.done()
        for event in spaces.events:
            if isinstance(event, Untagged) and event.name == b"NAMESPACE":
                personal = namespaces(event.values_if_any())
                if personal is not None and personal.prefix:
                    told += f"; personal folders lie under “{printable(personal.prefix, 60)}”"
    return Step("mailbox", True, told)


def _failed(name: str, error: MailhaulError) -> Step:
    """Errors say fact and cure in one sentence, the cure behind the last semicolon."""
    fact, _, cure = str(error).rpartition("; ")
    reason = error.reason if isinstance(error, Closed) else None
    return Step(name, False, fact or cure, cure if fact else "", reason)


def _protection(session: Session) -> str:
    secured = session.transport.get_extra_info("ssl_object")
    if secured is None:
        return "none"
    cipher = secured.cipher()
    return printable(f"{secured.version()}, {cipher[0] if cipher else 'no cipher'}", 80)
