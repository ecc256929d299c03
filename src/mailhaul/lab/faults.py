"""Troubles that real servers make, in front of an embedded one: throttles, cuts, a full mailbox, a
message that isn't taken.

A front takes every command whole, so that it can answer in the server's place; what the server says
it hands on response by response. It knows tags, quoted strings and literals, and no more of IMAP,
and shares no code with mailhaul's own.
"""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\S+)')
_FULL = b"NO [OVERQUOTA] Quota exceeded (mailbox for user is full)"
_POISON = b"NO [CANNOT] The message contains malware (Rehearsal.Test) and is rejected"
LONGEST_LINE = 1 << 20


@dataclass(slots=True)
class Trouble:
    """What goes wrong for one mailbox. Each count goes down as it comes to pass."""

    throttles: int = 0
    """So many APPENDs are answered with a throttle of `backoff` seconds."""
    backoff: float = 0.0
    cut_after: int = -1
    """After so many APPENDs more the line is cut: the server has the message, the client never
    learns of it. Negative: never."""
    room: int = -1
    """So many messages more have room. Negative: any number."""


@dataclass(slots=True)
class Troubles:
    """The troubles of one server by user, the mark that makes a message poison, and what came of
    them: `seen` counts by user and kind, logins and refused logins included."""

    mark: bytes = b""
    users: dict[str, Trouble] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    talks: set["_Talk"] = field(default_factory=set)

    def hang_up(self, user: str) -> None:
        """Whoever is in by that name is in no longer."""
        for talk in self.talks:
            if talk.user == user:
                talk.client.transport.abort()

    def of(self, user: str) -> Trouble:
        return self.users.setdefault(user, Trouble())

    def answer(self, user: str, messages: Iterable[bytes]) -> bytes | None:
        """What an APPEND of `messages` is answered with in the server's place; None: nothing."""
        trouble, count = self.of(user), 0
        for message in messages:
            count += 1
            if self.mark and self.mark in message:
                self.seen[user, "poison"] += 1
                return _POISON
        if trouble.throttles > 0:
            trouble.throttles -= 1
            self.seen[user, "throttle"] += 1
            milliseconds = round(trouble.backoff * 1000)
            return (
                b"NO Request is throttled. Suggested Backoff Time: %d milliseconds" % milliseconds
            )
        if 0 <= trouble.room < count:
            self.seen[user, "full"] += 1
            return _FULL
        if trouble.room >= 0:
            trouble.room -= count
        return None

    def cuts(self, user: str) -> bool:
        """Whether the line is cut once the APPEND that begins now is with the server."""
        trouble = self.of(user)
        trouble.cut_after -= trouble.cut_after >= 0
        if trouble.cut_after != 0:
            return False
        trouble.cut_after = -1
        self.seen[user, "cut"] += 1
        return True


@dataclass(slots=True, eq=False)
class _Talk:
    """One connection: both ends, and who has logged in."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    troubles: Troubles
    user: str = ""
    login_tag: bytes = b""
    cut_tag: bytes = b""


async def front(host: str, port: int, troubles: Troubles) -> asyncio.Server:
    """A server on a port of its own that stands before the one on `port`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection(host, port, limit=LONGEST_LINE)
        talk = _Talk(writer, server, troubles)
        troubles.talks.add(talk)
        ways = [
            asyncio.create_task(_commands(reader, talk)),
            asyncio.create_task(_responses(upstream, talk)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            troubles.talks.discard(talk)
            for end in (writer, server):
                end.transport.abort() if talk.cut_tag else end.close()

    return await asyncio.start_server(serve, host, 0, limit=LONGEST_LINE)


async def _commands(reader: asyncio.StreamReader, talk: _Talk) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while command := await _command(reader, talk.client):
            text, messages = command
            tag, verb = _words(text, 2)
            answer = None
            match verb.upper():
                case b"LOGIN":
                    user = _words(text, 3)[2]
                    name = messages[0] if user.startswith(b"{") else user
                    talk.user, talk.login_tag = name.decode(), tag
                case b"AUTHENTICATE":
                    talk.user, talk.login_tag = "", tag
                case b"" if talk.login_tag and not talk.user:
                    # The answer to AUTHENTICATE's `+`.
                    talk.user = _plain_user(tag)
                case b"APPEND":
                    answer = talk.troubles.answer(talk.user, messages)
                    if answer is None and talk.troubles.cuts(talk.user):
                        talk.cut_tag = tag
                case _:
                    pass
            if answer is None:
                talk.server.write(text)
                await talk.server.drain()
            else:
                talk.client.write(b"%b %b\r\n" % (tag, answer))
                await talk.client.drain()


async def _command(
    reader: asyncio.StreamReader, client: asyncio.StreamWriter
) -> tuple[bytes, list[bytes]] | None:
    """A whole command with its literals made non-synchronizing (RFC 7888), and those literals."""
    text, literals = b"", list[bytes]()
    while True:
        line = await reader.readline()
        if not line:
            return None
        found = _LITERAL.search(line)
        if found is None:
            return text + line, literals
        if not found[2]:
            client.write(b"+ go ahead\r\n")
        literal = await reader.readexactly(int(found[1]))
        literals.append(literal)
        text += line[: found.start()] + b"{%d+}\r\n" % len(literal) + literal


async def _responses(upstream: asyncio.StreamReader, talk: _Talk) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            response = await _response(upstream)
            if not response:
                return
            tag, said = _words(response, 2)
            if talk.login_tag and tag == talk.login_tag:
                kind = "login" if said.upper() == b"OK" else "refused login"
                talk.troubles.seen[talk.user, kind] += 1
                talk.login_tag = b""
            if talk.cut_tag and tag == talk.cut_tag:
                return
            # Whole responses only, so that an answer of ours never falls into one of them.
            talk.client.write(response)
            await talk.client.drain()


async def _response(upstream: asyncio.StreamReader) -> bytes:
    """A whole response with its literals; empty at the end."""
    response = b""
    while True:
        line = await upstream.readline()
        response += line
        found = _LITERAL.search(line)
        if found is None:
            return response if line else b""
        response += await upstream.readexactly(int(found[1]))


def _plain_user(response: bytes) -> str:
    """Who logs in by SASL's PLAIN (RFC 4616); empty for another mechanism."""
    try:
        parts = base64.b64decode(response, validate=True).split(b"\0")
    except ValueError:
        return ""
    return parts[1].decode() if len(parts) == 3 else ""


def _words(text: bytes, count: int) -> list[bytes]:
    """The first words of a line, quoted ones without their quotes."""
    found = []
    for word in _WORD.finditer(text[:2000]):
        found.append(re.sub(rb"\\(.)", rb"\1", word[1]) if word[1] is not None else word[2])
        if len(found) == count:
            break
    return found + [b""] * (count - len(found))
