"""One exchange with a control plane that speaks HTTPS: with a deadline and a limit, never led
elsewhere, and every failure named for what to do next.

What a body means is its provider's affair. Proxies of the environment are used, for a control plane
is often reached through one; redirects are not followed, for a token goes to nobody else.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

import httpx
import truststore

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import octets, printable

SECONDS = 60.0
"""For a whole exchange: control planes take their time."""
LARGEST = 16 << 20
"""Octets of an answer."""
PAUSE = 30.0
"""Where a server asks for a pause and doesn't say how long."""
LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status but those that `Web.exchange` raises for. `headers` in lower
    case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """Connections to one control plane at `origin`, its address without a final slash. At most
    `at_once` exchanges are under way together. Raises `BadInput` for an address that would carry
    secrets in the clear; plain HTTP is for loopback only. `transport` takes the network's
    place, for tests."""

    def __init__(
        self,
        origin: str,
        *,
        at_once: int = 4,
        seconds: float = SECONDS,
        trust: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.origin = checked_origin(origin)
        self._name = httpx.URL(self.origin).host
        self._seconds = seconds
        self._turns = asyncio.Semaphore(at_once)
        self._trust = trust
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """The answer to one request. `path` begins with a slash and is sent as it is; whoever makes
        it quotes. Raises `RetryLater` for a server that is away, failed or asks for a pause
        (throttled), `Closed` for TLS, redirects and answers without end. A request that isn't only
        a question may have been carried out when it raises `RetryLater`."""
        assert path.startswith("/"), path
        async with self._turns:
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await self._send(method, self.origin + path, headers, body)
            except (httpx.TimeoutException, TimeoutError) as error:
                raise RetryLater(
                    f"{self._name} did not answer within {self._seconds:.0f} seconds", after=PAUSE
                ) from error
            except httpx.HTTPError as error:
                raise _failure(self._name, error) from error
        self._judge(answer)
        return answer

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=self._trust or truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                transport=self._transport,
                follow_redirects=False,
                timeout=self._seconds,
                # What stays on this machine is no proxy's to see.
                trust_env=self.origin.startswith("https:"),
            )
        # Unpacked, a small answer may be larger than all memory, before its size can be looked at.
        asked = {"Accept-Encoding": "identity", **headers}
        request = self._client.build_request(method, url, headers=asked, content=body)
        response = await self._client.send(request, stream=True)
        async with aclosing(response):
            found = bytearray()
            async for piece in response.aiter_raw(chunk_size=1 << 16):
                found += piece
                if len(found) > LARGEST:
                    raise Closed(
                        f"{self._name} answers with more than {octets(LARGEST)}; ask for less, or "
                        "tell its maker",
                        ClosedReason.PROTOCOL,
                    )
        lowered = {name.lower(): value for name, value in response.headers.items()}
        if lowered.get("content-encoding", "identity").lower() != "identity":
            if response.is_success:
                raise Closed(
                    f"{self._name} packs its answer, which nobody asked for; tell its maker",
                    ClosedReason.PROTOCOL,
                )
            found.clear()  # the status tells enough
        return Answer(response.status_code, lowered, bytes(found))

    def _judge(self, answer: Answer) -> None:
        if 300 <= answer.status < 400:
            where = printable(answer.headers.get("location", ""), 200)
            raise Closed(
                f"{self._name} leads elsewhere ({answer.status} {where}), where nothing is sent; "
                "correct the address of the control plane in the plan",
                ClosedReason.PROTOCOL,
            )
        if answer.status == 429:
            raise RetryLater(
                f"{self._name} asks for a pause (429)", after=pause(answer.headers), throttled=True
            )
        if answer.status >= 500 or answer.status == 408:
            raise RetryLater(f"{self._name} failed ({answer.status})", after=pause(answer.headers))


def checked_origin(url: str) -> str:
    """The address without its final slash. Raises `BadInput` for what is none, holds a password,
    or would carry secrets in the clear."""
    shown = printable(url.partition("?")[0].rpartition("@")[2], 200)
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BadInput(f"{shown} is no address of a control plane; write https://…") from error
    if parts.userinfo or parts.query or parts.fragment or not parts.host:
        raise BadInput(
            f"{shown} can't be a control plane's address; write https://host/path and nothing else"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.host)):
        raise BadInput(f"{shown} would carry secrets in the clear; write https://…")
    return str(parts).rstrip("/")


def pause(headers: Mapping[str, str]) -> float:
    """How many seconds a server asks to wait (RFC 9110 section 10.2.3), by number or date; at most
    an hour, and `PAUSE` where it says nothing that makes sense."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_PAUSE)
    try:
        moment = datetime.strptime(said, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return PAUSE
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_PAUSE)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _failure(name: str, error: httpx.HTTPError) -> RetryLater | Closed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = printable(cause.verify_message, 200)
            return Closed(
                f"{name} shows a certificate that nobody trusts ({why}); correct the address, or "
                "add its authority to the system's store",
                ClosedReason.TLS,
            )
        cause = cause.__cause__ or cause.__context__
    said = printable(str(error), 200) or type(error).__name__
    return RetryLater(f"{name} can't be reached: {said}", after=PAUSE)
