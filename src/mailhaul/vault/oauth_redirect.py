"""Waiting on this machine for a browser to bring an issuer's answer (RFC 8252 7.3).

It listens on loopback only, on a port of the system's choice, for one login; whatever doesn't know
the login's state is turned away and changes nothing. What it shows is a fixed text.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from mailhaul.core.errors import BadInput

_LONGEST_REQUEST = 32 * 1024
_SECONDS = 10.0
_PAGE = "<!doctype html><meta charset=utf-8><title>mailhaul</title><p>{}</p>"
_THANKS = "That is all; mailhaul has the answer, and this window can be closed."
_NO = "This is not what mailhaul waits for."


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the answer is to go, and what the browser was sent to (path and query) once it is
    there."""

    port: int
    answered: "asyncio.Future[str]"


@asynccontextmanager
async def listening(knows: Callable[[str], bool], port: int = 0) -> AsyncIterator[Redirect]:
    """Listens while inside. Of what comes, only what `knows` takes is an answer. Raises `BadInput`
    when the port is taken."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_SECONDS):
                    target = await _target(reader)
                    taken = bool(target) and not answered.done() and knows(target)
                    writer.write(_response(taken))
                    await writer.drain()
                    if taken:
                        answered.set_result(target)
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise BadInput(
            f"port {port} of this machine can't be listened on: {error.strerror}; give another "
            "--port, as it is registered with the app"
        ) from error
    servers = [server]
    taken = server.sockets[0].getsockname()[1]
    with suppress(OSError):
        # `localhost` may be ::1 to a browser, which then tries the other one, or doesn't.
        servers.append(await asyncio.start_server(serve, "::1", taken, limit=_LONGEST_REQUEST))
    try:
        yield Redirect(taken, answered)
    finally:
        for each in servers:
            each.close()
        answered.cancel()


async def _target(reader: asyncio.StreamReader) -> str:
    """The target of a GET request; empty for anything else."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
        return ""
    words = head.partition(b"\r\n")[0].split(b" ")
    if len(words) != 3 or words[0] != b"GET" or not words[2].startswith(b"HTTP/1."):
        return ""
    return words[1].decode("latin-1")


def _response(taken: bool) -> bytes:
    body = _PAGE.format(_THANKS if taken else _NO).encode()
    return (
        b"HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
        b"Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\n\r\n%s"
        % (b"200 OK" if taken else b"400 Bad Request", len(body), body)
    )
