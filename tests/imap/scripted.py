"""A scripted IMAP server on loopback, for what real servers do on bad days only.

A script answers each command: what it returns is sent as it is, with `{tag}` filled in, and
`{before}` with the tag of the command before; after `{cut}` the connection ends. Literals are read
whole, with `+` where they want it.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.text import Secret

LOGIN = b"{tag} OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS %b] in\r\n"
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n$")

Answer = bytes | None
Script = Callable[[bytes], Answer]
"""A command without its tag (literals in it as they came), to its answer; None: hang up."""


@dataclass
class Scripted:
    """A running server: where it is, and what it was told."""

    port: int = 0
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("imap", "127.0.0.1", self.port, "someone")

    @property
    def credentials(self) -> Credentials:
        return Credentials(Secret("a password"))

    def told(self, verb: bytes) -> list[bytes]:
        """The commands that begin with `verb`."""
        return [command for command in self.commands if command.startswith(verb)]


@asynccontextmanager
async def scripted(
    script: Script,
    *,
    capabilities: bytes = b"",
    greeting: bytes = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN SASL-IR] ready\r\n",
    agrees: Callable[[bytes], bytes] | None = None,
    hears: int = 0,
    careful: bytes | None = None,
) -> AsyncIterator[Scripted]:
    """A server that greets, lets in, and then goes by `script`. `agrees` answers a synchronising
    literal's announcement instead of `+`. On its first connection it hears so many commands before
    it greets; on the others it doesn't, and greets with `careful`, if that is given."""
    server = Scripted()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            early: deque[bytes] = deque()
            if server.connections == 1:
                early.extend([await _command(reader, writer, agrees) for _ in range(hears)])
            writer.write(greeting if careful is None or server.connections == 1 else careful)
            while line := early.popleft() if early else await _command(reader, writer, agrees):
                tag, _, command = line.partition(b" ")
                server.commands.append(command.removesuffix(b"\r\n"))
                if command.startswith(b"LOGOUT"):
                    writer.write(b"* BYE\r\n" + tag + b" OK\r\n")
                    break
                if command.startswith((b"AUTHENTICATE", b"LOGIN")):
                    answer: Answer = script(command.strip()) or LOGIN % capabilities
                else:
                    answer = script(command.removesuffix(b"\r\n"))
                if answer is None:
                    break
                said, cut, _ = answer.partition(b"{cut}")
                before = b"M%d" % (int(tag[1:]) - 1)
                writer.write(said.replace(b"{tag}", tag).replace(b"{before}", before))
                await writer.drain()
                if cut:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def folder(
    messages: dict[int, bytes], *, uidvalidity: int = 1, uidnext: int | None = None
) -> Script:
    """A script for one folder, INBOX, that holds `messages` and behaves. Wrap it for the rest."""

    def answer(command: bytes) -> Answer:
        verb = command.split(b" ")[0]
        ahead = uidnext or max(messages, default=0) + 1
        if verb in (b"AUTHENTICATE", b"LOGIN"):
            return b""
        if verb == b"LIST":
            return b'* LIST () "/" INBOX\r\n{tag} OK\r\n'
        if verb == b"STATUS":
            return b"* STATUS INBOX (MESSAGES %d UIDNEXT %d UIDVALIDITY %d)\r\n{tag} OK\r\n" % (
                len(messages),
                ahead,
                uidvalidity,
            )
        if verb in (b"EXAMINE", b"SELECT"):
            return b"* %d EXISTS\r\n* OK [UIDVALIDITY %d]\r\n* OK [UIDNEXT %d]\r\n{tag} OK\r\n" % (
                len(messages),
                uidvalidity,
                ahead,
            )
        if command.startswith(b"UID FETCH"):
            uids = named(command)
            found = [uid for uid in sorted(messages) if uid in uids]
            return (
                b"".join(_fetched(command, uid, messages[uid]) for uid in found) + b"{tag} OK\r\n"
            )
        return b"{tag} OK\r\n"

    return answer


def named(command: bytes) -> "Named":
    """The UIDs that a UID FETCH names."""
    return Named(command.split(b" ")[2])


class Named:
    """A set of UIDs as it was sent."""

    def __init__(self, text: bytes) -> None:
        self.spans = []
        for word in text.split(b","):
            first, _, last = word.partition(b":")
            low = int(first) if first != b"*" else 2**32
            self.spans.append((low, 2**32 if last == b"*" else int(last or low)))

    def __contains__(self, uid: int) -> bool:
        return any(low <= uid <= high for low, high in self.spans)


def line(uid: int, data: bytes, flags: bytes = b"") -> bytes:
    """A listing line."""
    return (
        b"* %d FETCH (UID %d FLAGS (%b) "
        b'INTERNALDATE "17-Jul-1996 02:44:25 +0000" RFC822.SIZE %d)\r\n'
        % (uid, uid, flags, len(data))
    )


def body(uid: int, data: bytes) -> bytes:
    """A message."""
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(data), data)


def _fetched(command: bytes, uid: int, data: bytes) -> bytes:
    if b"HEADER.FIELDS" in command:
        fields = b"BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]"
        return b"* %d FETCH (UID %d %b {%d}\r\n%b)\r\n" % (uid, uid, fields, len(data), data)
    if b"BODY.PEEK[]" in command:
        return body(uid, data)
    if b"INTERNALDATE" in command:
        return line(uid, data)
    if b"FLAGS" in command:
        return b"* %d FETCH (UID %d FLAGS ())\r\n" % (uid, uid)
    return b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (uid, uid, len(data))


async def _command(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    agrees: Callable[[bytes], bytes] | None,
) -> bytes:
    parts = b""
    while True:
        try:
            text = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return b""
        parts += text
        literal = _LITERAL.search(text)
        if literal is None:
            return parts
        if not literal[2]:
            said = agrees(parts) if agrees else b"+ go\r\n"
            tag = parts.split(b" ")[0]
            writer.write(said.replace(b"{tag}", tag))
            await writer.drain()
            if not said.startswith(b"+"):
                parts = b""
                continue
        parts += await reader.readexactly(int(literal[1]))
