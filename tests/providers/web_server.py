"""A web server on loopback for simulators of control planes: HTTP/1.1, one function that answers.

It counts how many requests are under way together, for the limits that vendors document.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `target` is as it stood on the request line; headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. With `silent` the connection ends without one."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass(slots=True)
class Tally:
    """What the server saw: all requests, and the most that were under way together."""

    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most: int = 0


Respond = Callable[[Asked], Awaitable[Told]]


@asynccontextmanager
async def web_server(respond: Respond, tally: Tally | None = None) -> AsyncIterator[str]:
    """A server that answers by `respond` while the context is open; gives its origin."""
    seen = tally or Tally()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _serve(reader, writer, respond, seen)
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond, tally: Tally
) -> None:
    talk = h11.Connection(h11.SERVER)
    while True:
        asked = await _asked(talk, reader)
        if asked is None:
            return
        tally.asked.append(asked)
        tally.under_way += 1
        tally.most = max(tally.most, tally.under_way)
        try:
            told = await respond(asked)
        finally:
            tally.under_way -= 1
        if told.silent:
            return
        headers = {"Content-Length": str(len(told.body)), **told.headers}
        for event in (
            h11.Response(status_code=told.status, headers=list(headers.items())),
            h11.Data(data=told.body),
            h11.EndOfMessage(),
        ):
            octets = talk.send(event)
            if octets:
                writer.write(octets)
        await writer.drain()
        if talk.our_state is not h11.DONE or talk.their_state is not h11.DONE:
            return
        talk.start_next_cycle()


async def _asked(talk: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            headers = {name.decode().lower(): value.decode() for name, value in request.headers}
            return Asked(request.method.decode(), request.target.decode(), headers, bytes(body))
        else:
            return None
