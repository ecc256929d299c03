"""A mail host that says what a table has it say: in this process, on a port of its own.

It is no mail server: nothing that it takes is delivered. `tests.servers.mx` has one that is.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mailhaul.canary.routes import Exchanger, Route, Via

HANG_UP = b""
"""In place of an answer."""
GREETING = b"220 mx.example.org ESMTP\r\n"
EHLO = b"250-mx.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
EHLO_UTF8 = b"250-mx.example.org\r\n250 SMTPUTF8\r\n"
EHLO_TLS = b"250-mx.example.org\r\n250 STARTTLS\r\n"


@dataclass
class Script:
    """What it answers. `says`: by verb, or by verb and address (`RCPT ann@example.org`); the usual
    where there is nothing. `slow` are seconds before each answer of a verb. `stranger` is the
    answer about addresses that begin with `mailhaul-nobody-`. `heard` is every line it was told,
    and `messages` what came by DATA."""

    says: Mapping[str, bytes] = field(default_factory=dict)
    greeting: bytes = GREETING
    slow: Mapping[str, float] = field(default_factory=dict)
    stranger: bytes = b"550 5.1.1 user unknown\r\n"
    tls: ssl.SSLContext | None = None
    heard: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def answer(self, line: str) -> bytes:
        verb = line.partition(" ")[0].upper().partition(":")[0]
        address = line.partition("<")[2].partition(">")[0]
        if f"{verb} {address}" in self.says:
            return self.says[f"{verb} {address}"]
        if verb == "RCPT" and address.startswith("mailhaul-nobody-"):
            return self.stranger
        usual = {
            "EHLO": EHLO,
            "DATA": b"354 go ahead\r\n",
            "QUIT": b"221 bye\r\n",
            "STARTTLS": b"220 go ahead\r\n",
        }
        return self.says.get(verb, usual.get(verb, b"250 2.1.5 fine\r\n"))

    def named(self) -> list[str]:
        """The recipients that it was asked about, strangers left out."""
        said = (line.partition("<")[2].partition(">")[0] for line in self.heard if "RCPT" in line)
        return [each for each in said if not each.startswith("mailhaul-nobody-")]


@asynccontextmanager
async def host(script: Script) -> AsyncIterator[Script]:
    """Runs it."""
    conversations: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        script.connections += 1
        try:
            await _converse(script, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            conversations.discard(task)

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


def route(
    *scripts: Script, via: Via = Via.NEW, domain: str = "example.org", host: str = "localhost"
) -> Route:
    """The way over these hosts, the first one best."""
    return Route(
        via,
        domain,
        tuple(
            Exchanger(host, ("127.0.0.1",), preference=10 * number, port=script.port)
            for number, script in enumerate(scripts)
        ),
    )


class Anywhere:
    """Every address may be connected to."""

    def allowed(self, address: str) -> bool:
        return True


class Nowhere:
    """None may."""

    def allowed(self, address: str) -> bool:
        return False


def recipients(names: Sequence[str]) -> list[str]:
    return [f"{name}@example.org" for name in names]


async def _converse(
    script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await asyncio.sleep(script.slow.get("greeting", 0))
    writer.write(script.greeting)
    while script.greeting and (raw := await reader.readline()):
        line = raw.decode("utf-8", "replace").strip()
        script.heard.append(line)
        verb = line.partition(" ")[0].upper()
        await asyncio.sleep(script.slow.get(verb, 0))
        answer = script.answer(line)
        if answer == HANG_UP:
            return
        writer.write(answer)
        await writer.drain()
        if verb == "STARTTLS" and answer.startswith(b"220") and script.tls is not None:
            await writer.start_tls(script.tls)
        if verb == "DATA" and answer.startswith(b"354"):
            script.messages.append(await reader.readuntil(b"\r\n.\r\n"))
            end = script.says.get("message", b"250 2.0.0 queued as 4711\r\n")
            if end == HANG_UP:
                return
            writer.write(end)
            await writer.drain()
        if verb == "QUIT" or answer.startswith(b"421"):
            return
