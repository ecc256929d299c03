"""The conversation with one mail host: the only file here that opens a connection.

aiosmtplib does the protocol (RFC 5321) and TLS; what a host may do to us is bounded here: one
answer takes no longer than `Terms.patience` and is no longer than 32 KB, no more than a few
addresses are tried, and what a host says is printable before anybody sees it. Octets that come
between the answer to STARTTLS and the handshake are thrown away unread (RFC 3207 section 4.2).
Nothing secret is ever said: no login, and a message whose only content is its token.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import aiosmtplib

from mailhaul.canary.replies import Reply, Verdict, standing_of
from mailhaul.canary.routes import Allowance, Exchanger, Route
from mailhaul.canary.terms import Encryption, Terms, may_be_named, may_be_sent_to
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

_MOST_TRIED = 8
"""Addresses of a route that are tried: more would be somebody's joke."""
_PARTING = 5.0
"""Seconds for QUIT; by then all is said."""
_WORDS = 300


@dataclass(frozen=True, slots=True)
class Reached:
    """The host that was talked to. `distrust` says what is wrong with its TLS, or that there is
    none; empty: encrypted, and the certificate stands for the host."""

    host: str
    address: str
    encrypted: bool = False
    distrust: str = ""

    def __str__(self) -> str:
        return f"{printable(self.host, 253)} ({self.address})"


class Unheard(MailhaulError):
    """No host of the way can be talked to, or not any further: `verdict` says how that is."""

    def __init__(self, text: str, verdict: Verdict, reached: Reached | None = None) -> None:
        super().__init__(text)
        self.verdict = verdict
        self.reached = reached


class Conversation:
    """A connection after EHLO and STARTTLS. Every verb may raise `Unheard`, and then it is over."""

    def __init__(self, client: aiosmtplib.SMTP, terms: Terms, reached: Reached) -> None:
        self.reached = reached
        self.over = False
        """The host has said goodbye by itself (421)."""
        self._client = client
        self._terms = terms
        self._named: list[str] = []

    @property
    def speaker(self) -> str:
        """What we have called ourselves."""
        return self._client.local_hostname or ""

    @property
    def takes_utf8(self) -> bool:
        """Whether addresses may be other than ASCII (RFC 6531)."""
        return self._client.supports_extension("smtputf8")

    async def sender(self, *, utf8: bool) -> Reply:
        """MAIL."""
        option = [b"SMTPUTF8"] if utf8 else []
        self._named = []
        return await self._said(b"MAIL", f"FROM:<{self._terms.sender}>".encode(), *option)

    async def recipient(self, address: str) -> Reply:
        """RCPT. Raises `BadInput` for an address to which the plan has not agreed."""
        if not may_be_named(self._terms, address):
            raise BadInput(f"{printable(address, 120)} is none of the plan's; no host is asked")
        reply = await self._said(b"RCPT", f"TO:<{address}>".encode())
        if 200 <= reply.code < 300:
            self._named.append(address)
        return reply

    async def forget(self) -> None:
        """RSET: who was named is named no more, so that nothing can be sent to them."""
        await self._said(b"RSET")
        self._named = []

    async def message(self, octets: bytes) -> Reply:
        """DATA. Raises `BadInput` unless exactly one address of the plan was accepted. When it
        raises `Unheard` the host may have taken the message, or not."""
        if len(self._named) != 1 or not may_be_sent_to(self._terms, self._named[0]):
            raise BadInput("a canary goes to one address of the plan, and to nobody else")
        try:
            answer = await self._client.data(octets)
        except aiosmtplib.SMTPDataError as refusal:
            return _reply(refusal.code, refusal.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _unheard(error, self.reached) from error
        return _reply(answer.code, answer.message)

    async def _said(self, *words: bytes) -> Reply:
        try:
            answer = await self._client.execute_command(*words)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _unheard(error, self.reached) from error
        self.over = not self._client.is_connected
        return _reply(answer.code, answer.message)

    async def close(self) -> None:
        """QUIT, as far as that is waited for."""
        with suppress(aiosmtplib.SMTPException, OSError):
            await self._client.quit(timeout=_PARTING)
        _drop(self._client)


@asynccontextmanager
async def conversation(
    route: Route, terms: Terms, allowance: Allowance, trust: ssl.SSLContext
) -> AsyncIterator[Conversation]:
    """The first host of the way that can be talked to (RFC 5321 section 5.1). Raises `Unheard` with
    what became of each when there is none."""
    talk = await _entered(route, terms, allowance, trust)
    try:
        yield talk
    except BaseException:
        _drop(talk._client)
        raise
    await talk.close()


def trusting(authority: str | None = None) -> ssl.SSLContext:
    """Which certificates are trusted: the system's store, or that CA file alone. Raises `BadInput`
    when it is none."""
    if authority is None:
        import truststore  # noqa: PLC0415 - reads nothing until it is needed

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise BadInput(
            f"{printable(authority, 300)} can't be read as a PEM file of certificates; name one"
        ) from error


# The verdict of a way is that of the host that came nearest to an answer.
_NEAREST = (
    Verdict.TEMPORARY,
    Verdict.BARRED,
    Verdict.INSECURE,
    Verdict.GARBLED,
    Verdict.SILENT,
    Verdict.UNREACHABLE,
    Verdict.FORBIDDEN,
)


async def _entered(
    route: Route, terms: Terms, allowance: Allowance, trust: ssl.SSLContext
) -> Conversation:
    failures: list[Unheard] = []
    for exchanger in route.in_order:
        if not exchanger.addresses:
            text = f"{printable(exchanger.host, 253)} has no address"
            failures.append(Unheard(text, Verdict.UNREACHABLE))
        for address in exchanger.addresses:
            place = Reached(exchanger.host, address)
            if not allowance.allowed(address):
                text = f"{place} is not connected to: its address is not a public one"
                failures.append(Unheard(text, Verdict.FORBIDDEN, place))
            elif len(failures) < _MOST_TRIED:
                try:
                    return await _upgraded(exchanger, place, terms, trust)
                except Unheard as failure:
                    failures.append(failure)
    if not failures:
        raise Unheard(f"no mail host is named for {route.domain}", Verdict.UNREACHABLE)
    nearest = min(failures, key=lambda each: _NEAREST.index(each.verdict))
    told = "; ".join(str(each) for each in failures[:_MOST_TRIED])
    raise Unheard(told, nearest.verdict, nearest.reached)


async def _upgraded(
    exchanger: Exchanger, place: Reached, terms: Terms, trust: ssl.SSLContext
) -> Conversation:
    """Encrypted as well as it goes: trusted, else untrusted, else not at all."""
    ways: list[ssl.SSLContext | None] = [trust, _blind(), None]
    distrust = ""
    while True:
        context = ways.pop(0)
        client = await _greeted(exchanger, place, terms)
        if context is None:
            return Conversation(client, terms, replace(place, distrust=distrust))
        try:
            if client.supports_extension("starttls"):
                await client.starttls(server_hostname=exchanger.host, tls_context=context)
                await _introduced(client, place)
                reached = replace(place, encrypted=True, distrust=distrust)
                return Conversation(client, terms, reached)
            distrust = "it offers no STARTTLS"
            if terms.encryption is Encryption.WANTED:
                return Conversation(client, terms, replace(place, distrust=distrust))
        except ssl.SSLCertVerificationError as error:
            distrust = printable(error.verify_message or str(error), _WORDS)
        except (aiosmtplib.SMTPException, OSError) as error:
            distrust = f"TLS fails: {_reason(error)}"
            ways = [None]
        except BaseException:
            _drop(client)
            raise
        _drop(client)
        if terms.encryption is Encryption.REQUIRED:
            raise Unheard(f"{place}: {distrust}", Verdict.INSECURE, place)


async def _greeted(exchanger: Exchanger, place: Reached, terms: Terms) -> aiosmtplib.SMTP:
    """Connected, greeted, introduced; nothing encrypted yet."""
    connection = await _connected(exchanger, place, terms)
    client = aiosmtplib.SMTP(
        hostname=exchanger.host,
        sock=connection,
        local_hostname=terms.speaker or _literal(connection.getsockname()[0]),
        timeout=terms.patience,
        start_tls=False,
    )
    try:
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        _drop(client)
        raise _unheard(error, place) from error
    await _introduced(client, place)
    return client


async def _connected(exchanger: Exchanger, place: Reached, terms: Terms) -> socket.socket:
    """A connection to the very address that was judged: nothing is looked up again."""
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(terms.connecting):
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, (place.address, exchanger.port))
    except OSError as error:
        connection.close()
        raise _unheard(error, place) from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _introduced(client: aiosmtplib.SMTP, place: Reached) -> None:
    try:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError as error:
            if error.code not in (500, 501, 502, 504) or not client.is_connected:
                raise
            await client.helo()
    except (aiosmtplib.SMTPException, OSError) as error:
        _drop(client)
        raise _unheard(error, place) from error
    except BaseException:
        _drop(client)
        raise


def _unheard(error: Exception, place: Reached) -> Unheard:
    """What a failure of the connection, or an answer in place of one, comes down to."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        reply = _reply(error.code, error.message)
        # A yes that is none of those that would have been right makes no sense either.
        verdict = standing_of(reply) if reply.code >= 400 else Verdict.GARBLED
        said = f"it says: {reply}"
        if verdict is Verdict.GARBLED:
            said = f"its answer makes no sense: {reply.words}"
        return Unheard(f"{place}: {said}", verdict, place)
    if isinstance(error, TimeoutError):
        return Unheard(f"{place}: no answer in time", Verdict.SILENT, place)
    return Unheard(f"{place}: {_reason(error)}", Verdict.UNREACHABLE, place)


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) else error
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return str(_reply(error.code, error.message))
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(cause, ssl.SSLError):
        return printable((cause.reason or str(cause)).lower().replace("_", " "), _WORDS)
    if isinstance(cause, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(cause, ConnectionError):
        return "it hung up"
    strerror = cause.strerror if isinstance(cause, OSError) else None
    return printable((strerror or str(error)).lower(), _WORDS)


def _reply(code: int, words: str) -> Reply:
    flat = " ".join(words.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    return Reply(code, printable(flat, _WORDS))


def _literal(address: str) -> str:
    """RFC 5321 section 4.1.3."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _blind() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _drop(client: aiosmtplib.SMTP) -> None:
    """Lets go of the connection at once, whatever is still on its way."""
    transport = client.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    client.close()
