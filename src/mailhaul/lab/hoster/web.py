"""HTTP/1.1 (RFC 9112), as little of it as a control plane on loopback needs: POST with a body of
JSON and a bearer token, answered with JSON."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

LONGEST_LINE = 16_384
LARGEST_BODY = 4_000_000
DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """`path` as it was sent; `token` of the Authorization header, or empty."""

    path: str
    token: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """`hang_up`: nothing is said, and the line is cut."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


Answer = Callable[[Request], Awaitable[Reply]]


async def serve(answer: Answer, host: str, port: int) -> asyncio.Server:
    """A server that has been started."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            while request := await _request(reader):
                reply = await answer(request)
                if reply.hang_up:
                    writer.transport.abort()
                    return
                writer.write(_octets(reply))
                await writer.drain()
        writer.close()

    return await asyncio.start_server(talk, host, port, limit=LONGEST_LINE)


async def _request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client has gone, or says what isn't understood here."""
    first = (await reader.readline()).decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").rstrip("\r\n"):
        name, _, text = line.partition(":")
        headers[name.lower()] = text.strip()
        if len(headers) > 100:
            return None
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= LARGEST_BODY or "transfer-encoding" in headers:
        return None
    async with asyncio.timeout(DEADLINE):
        body = await reader.readexactly(length)
    return Request(first[1], headers.get("authorization", "").removeprefix("Bearer "), body)


def _octets(reply: Reply) -> bytes:
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(reply.body)),
        **reply.headers,
    }
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    phrase = HTTPStatus(reply.status).phrase
    return f"HTTP/1.1 {reply.status} {phrase}\r\n{lines}\r\n".encode("latin-1") + reply.body
