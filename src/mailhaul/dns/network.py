"""The only file that opens sockets to name servers, but for `dns.rfc2136`, which changes zones.

One question, one server, one reply within a deadline. Every question has a socket of its own, so
that each leaves from another port with another id, and what doesn't come from the server that was
asked is never seen (RFC 5452).
"""

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from secrets import randbelow

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.guard import Allowance
from mailhaul.dns.records import Kind
from mailhaul.dns.wire import WITHOUT_EDNS, Question, Reply, answer, question, read

NO_ROUTE = "this machine has no way to it"
"""What is said of a server that can't be asked from here: IPv6 where there is none, above all."""

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

_STRANGERS = 100
"""Datagrams that answer nothing, after which a server isn't listened to any longer."""

_REMEMBERED = 4096
"""Servers whose silence is remembered."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds: for a datagram, for the second one, for a
    connection and what comes by it. One that let `silences` questions in a row go by isn't asked
    for `pause` seconds; what comes meanwhile counts as having no answer in time, at once."""

    first: float = 1.5
    second: float = 2.5
    connection: float = 4.0
    silences: int = 6
    pause: float = 10.0


@dataclass(slots=True)
class _Lane:
    """What is under way to one server, and how long it has been silent."""

    free: asyncio.Semaphore
    users: int = 0
    silences: int = 0
    silent_until: float = 0.0


def _unguessable() -> int:
    return randbelow(1 << 16)


class WireNetwork:
    """A `Network` on sockets.

    Servers whose address `allowance` refuses are not asked, but for `trusted` ones: the recursive
    resolvers that the operator named or the machine itself uses. At most `at_once` questions are
    under way, `per_server` of them to one server; the wait for a turn is no part of a deadline.
    """

    def __init__(
        self,
        allowance: Allowance,
        *,
        trusted: Collection[Server] = (),
        patience: Patience | None = None,
        at_once: int = 128,
        per_server: int = 24,
        clock: Callable[[], float] = time.monotonic,
        number: Callable[[], int] = _unguessable,
    ) -> None:
        self._allowance = allowance
        self._trusted = frozenset((each.address, each.port) for each in trusted)
        self._patience = patience or Patience()
        self._turns = asyncio.Semaphore(at_once)
        self._per_server = per_server
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._clock = clock
        self._number = number

    async def ask(self, server: Server, name: str, kind: Kind, *, recursive: bool) -> Answer:
        """As `Network` has it. A name that can't be asked for is an answer too: `MALFORMED`."""
        reply = await self.reply(server, name, kind, recursive=recursive)
        return answer(reply, name, kind, server, recursive=recursive)

    async def reply(
        self, server: Server, name: str, kind: Kind, *, recursive: bool, signed: bool = False
    ) -> Reply:
        """The server's whole reply, for those who read more in it than the answer; `signed` asks
        for signatures too. Raises nothing that a server could cause."""
        refusal = self._refusal(server)
        if refusal is not None:
            return Reply(Outcome.FORBIDDEN, said=f"its address is {refusal}")

        def asked(edns: bool = True) -> Question:
            return question(
                name, kind, recursive=recursive, number=self._number(), edns=edns, signed=signed
            )

        try:
            first = asked()
        except BadInput as error:
            return Reply(Outcome.MALFORMED, said=str(error))
        async with self._turn(server) as lane:
            if self._clock() < lane.silent_until:
                said = f"it let the last {lane.silences} questions go by"
                return Reply(Outcome.TIMEOUT, said=said)
            began = self._clock()
            reply = await self._exchange(server, first, asked)
            lane.silences = lane.silences + 1 if reply.outcome is Outcome.TIMEOUT else 0
            if lane.silences >= self._patience.silences:
                lane.silent_until = self._clock() + self._patience.pause
            return replace(reply, seconds=self._clock() - began)

    def _refusal(self, server: Server) -> str | None:
        if (server.address, server.port) in self._trusted:
            return None
        return self._allowance.refusal(server.address)

    @asynccontextmanager
    async def _turn(self, server: Server) -> AsyncIterator[_Lane]:
        """A place in the server's lane and then one among all: a slow server holds up itself."""
        lane = self._lane((server.address, server.port))
        lane.users += 1
        try:
            async with lane.free, self._turns:
                yield lane
        finally:
            lane.users -= 1

    def _lane(self, key: tuple[str, int]) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= _REMEMBERED:
                self._lanes = {key: lane for key, lane in self._lanes.items() if lane.users}
            lane = self._lanes[key] = _Lane(asyncio.Semaphore(self._per_server))
        return lane

    async def _exchange(
        self, server: Server, first: Question, asked: Callable[[bool], Question]
    ) -> Reply:
        """By datagram, a second time after silence, without EDNS where that isn't understood (RFC
        6891 section 7), by TCP what was cut short (RFC 7766)."""
        reply = await _by_datagram(server, first, self._patience.first)
        if reply.outcome is Outcome.TIMEOUT:
            reply = await _by_datagram(server, asked(True), self._patience.second)
        plain = reply.code in WITHOUT_EDNS
        if plain:
            reply = await _by_datagram(server, asked(False), self._patience.second)
        if not reply.truncated:
            return reply
        whole = await _by_connection(server, asked(not plain), self._patience.connection)
        if whole.came and whole.outcome is not Outcome.MALFORMED:
            return whole
        said = f"cut short by UDP, and by TCP {whole.said or whole.outcome}"
        return replace(whole, said=said)


async def _by_datagram(server: Server, asked: Question, seconds: float) -> Reply:
    """The first datagram that is a reply to the question; others are let go by (RFC 5452)."""
    loop = asyncio.get_running_loop()
    strangers = 0
    try:
        with socket.socket(_family(server), socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            # Connected, the kernel passes on what comes from that address and port alone, and
            # tells when nobody listens there.
            channel.connect((server.address, server.port))
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(channel, asked.octets)
                while strangers < _STRANGERS:
                    reply = read(await loop.sock_recv(channel, 65535), asked)
                    if reply is not None:
                        return reply
                    strangers += 1
    except TimeoutError:
        if not strangers:
            return Reply(Outcome.TIMEOUT)
    except OSError as error:
        return _unreachable(error)
    return Reply(Outcome.MALFORMED, said="what it sends answers another question")


async def _by_connection(server: Server, asked: Question, seconds: float) -> Reply:
    """The reply by TCP: two octets of length, then the message (RFC 1035 section 4.2.2)."""
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            writer.write(len(asked.octets).to_bytes(2, "big") + asked.octets)
            length = int.from_bytes(await reader.readexactly(2), "big")
            reply = read(await reader.readexactly(length), asked)
    except TimeoutError:
        return Reply(Outcome.TIMEOUT)
    except asyncio.IncompleteReadError:
        return Reply(Outcome.MALFORMED, said="it hung up before the reply was whole")
    except OSError as error:
        return _unreachable(error)
    finally:
        if writer is not None:
            writer.transport.abort()
    return reply or Reply(Outcome.MALFORMED, said="what it sends answers another question")


def _family(server: Server) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server.address else socket.AF_INET


def _unreachable(error: OSError) -> Reply:
    if error.errno in _NO_ROUTE:
        return Reply(Outcome.UNREACHABLE, said=NO_ROUTE)
    if error.errno == errno.ECONNREFUSED:
        return Reply(Outcome.UNREACHABLE, said="nothing listens at its port")
    words = os.strerror(error.errno) if error.errno else str(error)
    return Reply(Outcome.UNREACHABLE, said=printable(words.lower(), 100))
