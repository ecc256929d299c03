"""How issuers of tokens are spoken to: HTTPS, no redirect, small answers, only where it may lead.

Addresses of an issuer come from its metadata, and so from outside: what is connected to is the very
address that was judged (security.md 6; RFC 8414 6.2). Plain HTTP goes to this machine alone.
"""

import asyncio
import base64
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote_plus, urlsplit

from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable

if TYPE_CHECKING:
    import httpx

LARGEST = 256 * 1024
"""Octets of an answer; tokens with many groups in them are some ten thousand."""
SECONDS = 30.0
LONGEST_PAUSE = 3600.0
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_AZURE = ipaddress.IPv4Address("168.63.129.16")


@dataclass(frozen=True, slots=True)
class Wire:
    """How connections are made. `trust` None: what the system trusts."""

    trust: ssl.SSLContext | None = None
    seconds: float = SECONDS


USUAL_WIRE = Wire()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the JSON object, empty where it is none. `after`: Retry-After in seconds;
    `date`: what time it is there, as POSIX time. None: it didn't say."""

    status: int
    shape: Mapping[str, object]
    after: float | None = None
    date: float | None = None


async def post_form(
    wire: Wire,
    url: str,
    form: Mapping[str, str],
    *,
    inside: bool = False,
    basic: tuple[str, Secret] | None = None,
) -> Answer:
    """Sends the form. Raises `RetryLater` when nothing answers in time, `Closed` for what a person
    has to change: an address that mailhaul doesn't go to, TLS that can't be trusted, a redirect."""
    return await _asked(wire, "POST", url, form, inside, basic)


async def get_shape(wire: Wire, url: str, *, inside: bool = False) -> Answer:
    """The JSON object that lies there. Raises as `post_form`."""
    return await _asked(wire, "GET", url, None, inside, None)


def check_url(url: str, *, inside: bool = False) -> SplitResult:
    """The parts of an issuer's URL. Raises `Closed` for one that tokens must not go to."""
    shown = printable(url, 200)
    try:
        parts = urlsplit(url)
        fine = bool(parts.hostname) and not parts.username and not parts.fragment
        port = parts.port
    except ValueError:
        fine, port = False, None
    if not fine or port == 0:
        raise Closed(
            f"“{shown}” is no address of an issuer; write https://…", ClosedReason.PROTOCOL
        )
    if parts.scheme == "https" or (parts.scheme == "http" and inside and _is_here(parts)):
        return parts
    raise Closed(
        f"“{shown}” isn't https, and tokens don't go over plain connections; use its https address",
        ClosedReason.PROTOCOL,
    )


def is_public(text: str) -> bool:
    """Whether that address is one that anybody reaches. One that stands for another (mapped, 6to4,
    NAT64, Teredo) counts as none: no issuer is reached so."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_multicast or not address.is_global or address == _AZURE:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        stands_for = address.sixtofour is not None or address.teredo is not None
        return address in _PUBLIC_6 and not stands_for
    return True


def _is_here(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


async def _asked(
    wire: Wire,
    method: str,
    url: str,
    form: Mapping[str, str] | None,
    inside: bool,
    basic: tuple[str, Secret] | None,
) -> Answer:
    import httpx  # noqa: PLC0415 - it takes 150 ms, and few runs need a new token

    parts = check_url(url, inside=inside)
    host = parts.hostname or ""
    shown = printable(host, 120)
    try:
        # A host that drips is over in time too.
        async with asyncio.timeout(wire.seconds):
            address = await _address(parts, inside)
            authority = f"[{address}]" if ":" in address else address
            port = parts.port or (443 if parts.scheme == "https" else 80)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            async with httpx.AsyncClient(
                verify=wire.trust or _system_store(),
                follow_redirects=False,
                timeout=wire.seconds,
                trust_env=False,
            ) as client:
                request = client.build_request(
                    method,
                    f"{parts.scheme}://{authority}:{port}{path}",
                    data=dict(form) if form is not None else None,
                    headers={
                        "Host": parts.netloc,
                        "Accept": "application/json",
                        "Accept-Encoding": "identity",
                        "User-Agent": "mailhaul",
                    },
                    extensions={"sni_hostname": host},
                )
                if basic is not None:
                    request.headers["Authorization"] = _basic(*basic)
                response = await client.send(request, stream=True)
                async with aclosing(response):
                    return await _read(response, shown)
    except (httpx.TimeoutException, TimeoutError) as error:
        raise RetryLater(f"{shown} did not answer within {wire.seconds:.0f} s", after=30) from error
    except (httpx.HTTPError, OSError) as error:
        raise _unreachable(error, shown) from error


async def _address(parts: SplitResult, inside: bool) -> str:
    """The first address of the host that may be connected to."""
    host = parts.hostname or ""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, parts.port or 443, type=socket.SOCK_STREAM
    )
    addresses = [str(entry[4][0]) for entry in found]
    # IPv4 first: many machines have an IPv6 address and no way out by it (failure-modes A11).
    addresses.sort(key=lambda address: ":" in address)
    for address in addresses:
        if inside or is_public(address):
            return address
    shown = ", ".join(printable(each, 50) for each in addresses[:3])
    raise Closed(
        f"{printable(host, 120)} leads to {shown}, which is no public address; if that issuer is "
        "your own, log in again with --inside",
        ClosedReason.FORBIDDEN,
    )


async def _read(response: "httpx.Response", shown: str) -> Answer:
    if response.is_redirect:
        where = printable(response.headers.get("location", ""), 200)
        raise Closed(
            f"{shown} leads on to {where}, where no token is sent; name the right address",
            ClosedReason.PROTOCOL,
        )
    octets = bytearray()
    async for piece in response.aiter_raw(chunk_size=8192):
        octets += piece
        if len(octets) > LARGEST:
            raise Closed(
                f"{shown} answers with more than {LARGEST} octets, which is no token; name the "
                "right address",
                ClosedReason.PROTOCOL,
            )
    try:
        shape = json.loads(octets)
    except (ValueError, RecursionError):
        shape = None
    return Answer(
        response.status_code,
        shape if isinstance(shape, dict) else {},
        _seconds(response.headers.get("retry-after", "")),
        _date(response.headers.get("date", "")),
    )


def _seconds(text: str) -> float | None:
    """Retry-After in seconds (RFC 9110 10.2.3); as a date it is told by no issuer."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), LONGEST_PAUSE)
    return None


def _date(text: str) -> float | None:
    """As POSIX time (RFC 9110 5.6.7, the form that is sent)."""
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _basic(user: str, secret: Secret) -> str:
    """RFC 6749 2.3.1: both are form-encoded before they are put together."""
    pair = f"{quote_plus(user)}:{quote_plus(secret.reveal())}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def _system_store() -> ssl.SSLContext:
    try:
        import truststore  # noqa: PLC0415
    except ImportError:
        return ssl.create_default_context()
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _unreachable(error: BaseException, shown: str) -> Closed | RetryLater:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = printable(getattr(cause, "verify_message", "") or str(cause), 200)
            return Closed(
                f"{shown} shows a certificate that isn't trusted ({why}); nothing was sent; check "
                "its address and this machine's clock and trust store",
                ClosedReason.TLS,
            )
        cause = cause.__cause__ or cause.__context__
    return RetryLater(f"{shown} can't be reached ({printable(str(error), 200)})", after=30)
