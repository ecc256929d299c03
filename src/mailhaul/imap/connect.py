"""From an endpoint to a session that is logged in: greeting, TLS, and who we are (`logging_in`).

What is said before TLS counts for nothing (NO-STARTTLS; security.md 4): capabilities are forgotten,
no text of it is shown, and anything odd ends the attempt, never in plaintext. To a server that we
remember we speak before it does (`memory`).
"""

import asyncio
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Closed, ClosedReason, Disconnected, MailhaulError
from mailhaul.core.lease import Lease
from mailhaul.core.store import Traffic
from mailhaul.core.text import printable
from mailhaul.imap import commands, tls
from mailhaul.imap.ahead import Ahead
from mailhaul.imap.client import Session
from mailhaul.imap.failures import failure
from mailhaul.imap.intake import BUDGET
from mailhaul.imap.logging_in import (
    Way,
    check_login,
    log_in,
    refuses,
    say_login,
    settle_in,
    way_of,
)
from mailhaul.imap.memory import Memory
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.syntax import ProtocolFault

CONNECTING = 30.0
"""Seconds for the connection with TLS, and again for the greeting."""
_OTHERS = (
    (re.compile(rb"220[^\r\n]*FTP"), "FTP"),
    (re.compile(rb"[245]\d\d[ -]"), "SMTP"),
    (re.compile(rb"SSH-"), "SSH"),
    (re.compile(rb"HTTP/|<(?:!doctype )?html", re.IGNORECASE), "HTTP"),
    (re.compile(rb"\+OK"), "POP3"),
    (re.compile(rb'"IMPLEMENTATION"'), "ManageSieve"),
)
"""What else answers at ports, by how it greets."""
_NEXT_ADDRESS = 0.25  # RFC 8305 5; an unreachable IPv6 costs no more than that (A11)


async def connect(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    writable: bool,
    spool: Spool,
    traffic: Traffic,
    trace: Callable[[str], None] | None = None,
    budget: int = BUDGET,
    quirks: Counter[QuirkName] | None = None,
    compress: bool = True,
    lease: Lease | None = None,
    ahead: Ahead | None = None,
    memory: Memory | None = None,
) -> Session:
    """A session, logged in, its capabilities known. Raises `Closed` when a person has to change
    something, `RetryLater` when the server can't just now, `BadInput` before connecting. What the
    server does wrong is counted in `quirks`. `compress` lets a slow link be compressed. Nothing is
    said while the `lease` does not hold. `ahead` says what to send behind the login of a server
    that is known (`log_in`); with `memory` even before its greeting. A login is tried once; a
    second time only where a token was refused and there is another one by now: it may have been
    taken back, or our clock be wrong (failure-modes F1, F2)."""

    async def once() -> Session:
        return await _connected(reached, endpoint, credentials, ahead, memory)

    async def reached() -> Session:
        return await reach(
            endpoint,
            writable=writable,
            spool=spool,
            traffic=traffic,
            trace=trace,
            budget=budget,
            quirks=quirks,
            compress=compress,
            lease=lease,
        )

    try:
        return await once()
    except Closed as error:
        refused = error.reason is ClosedReason.CREDENTIALS and credentials.another is not None
        if not refused or credentials.another is None or not await credentials.another():
            raise
    return await once()


async def _connected(
    reached: Callable[[], Awaitable[Session]],
    endpoint: Endpoint,
    credentials: Credentials,
    ahead: Ahead | None,
    memory: Memory | None,
) -> Session:
    session = await reached()
    try:
        way = memory.way(credentials) if memory is not None and ahead is not None else None
        if memory is not None and ahead is not None and way is not None:
            if await _enter_at_once(session, endpoint, credentials, ahead, memory, way):
                return session
            session.abort()
            session = await reached()
        await greet(session, endpoint)
        taken = await log_in(session, endpoint, credentials, ahead)
        if memory is not None and ahead is not None and not session.misjudged:
            memory.keep(await session.greeting(), credentials, taken)
    except BaseException:
        session.abort()
        raise
    return session


async def _enter_at_once(
    session: Session,
    endpoint: Endpoint,
    credentials: Credentials,
    ahead: Ahead,
    memory: Memory,
    way: Way,
) -> bool:
    """Logs in by `way` before the greeting has come. False when that turns out to be another one:
    the connection is to be dropped, and a new one entered step by step. Never after a refusal."""
    memory.forget()
    attempt = await say_login(session, endpoint, credentials, way, ahead)
    try:
        async with asyncio.timeout(CONNECTING):
            await session.greeting()
    except TimeoutError:
        memory.beware()
        return False
    except Disconnected:
        pass  # it is raised again, and explained
    try:
        await greet(session, endpoint)
        status = await attempt.pending.done()
    except ProtocolFault:
        raise
    except Disconnected as error:
        # Who tests for it says nothing; but so does a BYE that got lost, for octets that nobody
        # read have the connection reset. Only a pause that was asked for is taken for one.
        if not error.throttled:
            memory.beware()
        raise
    greeting = await session.greeting()
    if not memory.expects(greeting):
        # Where there is no way any more, that is what there is to say.
        told = way_of(greeting, endpoint, credentials)
        if told != way and not refuses(status):
            return False
    check_login(session, endpoint, attempt)
    if status.code != b"CAPABILITY":
        session.capabilities = None  # they are the greeting's
    await settle_in(session, endpoint, attempt, way)
    if not session.misjudged:
        memory.keep(greeting, credentials, way)
    return True


async def reach(
    endpoint: Endpoint,
    *,
    writable: bool,
    spool: Spool,
    traffic: Traffic,
    trace: Callable[[str], None] | None = None,
    budget: int = BUDGET,
    quirks: Counter[QuirkName] | None = None,
    compress: bool = True,
    lease: Lease | None = None,
) -> Session:
    """A connection that stands, with TLS where the scheme is `imaps`; nothing is read yet."""
    notice = tls.check_plaintext(endpoint)
    context = tls.client_context(endpoint) if endpoint.scheme == "imaps" else None
    session = Session(
        f"{printable(endpoint.host, 120)}",
        writable=writable,
        spool=spool,
        traffic=traffic,
        trace=trace,
        budget=budget,
        quirks=quirks,
        compress=compress,
        lease=lease,
    )
    session.alerts_count = endpoint.scheme != "imap+starttls"
    traffic.round_trips += 1
    try:
        async with asyncio.timeout(CONNECTING):
            await asyncio.get_running_loop().create_connection(
                lambda: session,
                endpoint.host,
                endpoint.port,
                ssl=context,
                server_hostname=endpoint.host if context else None,
                happy_eyeballs_delay=_NEXT_ADDRESS,
            )
    except (OSError, TimeoutError) as error:
        session.abort()
        raise _unreachable(error, endpoint) from error
    traffic.connections += 1
    if context is not None:
        _check_certificate(session, endpoint)
    if notice:
        session.notice(notice)
    _keep_alive(session)
    return session


async def greet(session: Session, endpoint: Endpoint) -> None:
    """Hears the greeting, and turns TLS on for `imap+starttls`. Raises `Closed(PROTOCOL)` when
    what answers at the first contact speaks no IMAP; later that may pass."""
    try:
        async with asyncio.timeout(CONNECTING):
            greeting = await session.greeting()
    except ProtocolFault as error:
        if session.traffic.connections > 1:
            raise
        raise _no_imap(session, endpoint) from error
    except TimeoutError as error:
        if session.first:
            raise _no_imap(session, endpoint) from error
        raise Closed(
            f"{session.name} port {endpoint.port} takes connections and says nothing; is it an "
            "IMAP port, and should it be TLS?",
            ClosedReason.UNREACHABLE,
        ) from error
    if greeting.kind == b"BYE":
        raise failure(b"", greeting, f"{session.name} turned us away")
    if greeting.kind == b"PREAUTH":
        # Whoever is in there, it isn't by our credentials (A15; NO-STARTTLS rule 3).
        raise Closed(
            f"{session.name} says that we are logged in already; that can't be trusted",
            ClosedReason.TLS if endpoint.scheme == "imap+starttls" else ClosedReason.PROTOCOL,
        )
    if greeting.kind != b"OK":
        raise Closed(
            f"{session.name} greets with {printable(greeting.kind, 20)}; is it an IMAP server?",
            ClosedReason.PROTOCOL,
        )
    if endpoint.scheme == "imap+starttls":
        await _secure(session, endpoint)


def _no_imap(session: Session, endpoint: Endpoint) -> Closed:
    spoken = next((name for pattern, name in _OTHERS if pattern.match(session.first)), None)
    if spoken is not None:
        what = f"speaks {spoken}, not IMAP"
    elif session.alerts_count:
        what = f"greets with “{printable(session.first.strip(), 80)}”, which is no IMAP"
    else:
        what = "greets with what is no IMAP"
    return Closed(
        f"{session.name} port {endpoint.port} {what}; check host and port: 993 is usual for "
        "imaps://, 143 for imap+starttls://",
        ClosedReason.PROTOCOL,
    )


async def _secure(session: Session, endpoint: Endpoint) -> None:
    context = tls.client_context(endpoint)
    if session.capabilities is not None and "STARTTLS" not in session.capabilities:
        # It may be a stripped greeting: asking costs one flight and hides nothing.
        await session.send(commands.capability()).done()
    try:
        async with asyncio.timeout(CONNECTING):
            status = await session.start_tls(context, endpoint.host, CONNECTING)
    except (OSError, TimeoutError) as error:
        raise _unreachable(error, endpoint) from error
    except Disconnected as error:
        raise Closed(f"no TLS with {session.name}: {error}", ClosedReason.TLS) from error
    if status.kind != b"OK":
        raise Closed(
            f"{session.name} won't do STARTTLS; nothing was said in the clear; use imaps:// or ask "
            "its owner",
            ClosedReason.TLS,
        )
    _check_certificate(session, endpoint)


def _check_certificate(session: Session, endpoint: Endpoint) -> None:
    if endpoint.options.get("fingerprint"):
        secured = session.transport.get_extra_info("ssl_object")
        try:
            tls.check_pin(secured.getpeercert(binary_form=True), endpoint)
        except MailhaulError:
            session.abort()
            raise
        session.notice(f"{session.name}: its certificate is trusted by its pinned fingerprint")


def _unreachable(error: OSError | TimeoutError, endpoint: Endpoint) -> Closed:
    host, port = printable(endpoint.host, 120), endpoint.port
    if isinstance(error, ssl.SSLError):
        return Closed(tls.explain(error, endpoint.host), ClosedReason.TLS)
    if isinstance(error, socket.gaierror):
        return Closed(
            f"the name {host} leads nowhere ({printable(error.strerror or '', 100)}); check its "
            "spelling and this machine's DNS",
            ClosedReason.UNREACHABLE,
        )
    if isinstance(error, TimeoutError):
        why = f"did not answer within {CONNECTING:.0f} seconds"
    elif isinstance(error, ConnectionRefusedError):
        why = "refuses connections"
    else:
        why = f"can't be reached ({printable(error.strerror or str(error), 200)})"
    return Closed(
        f"{host} port {port} {why}; check host, port and firewalls", ClosedReason.UNREACHABLE
    )


def _keep_alive(session: Session) -> None:
    """Firewalls drop idle connections without a word (A4)."""
    wire = session.transport.get_extra_info("socket")
    if wire is None:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
