"""A TCP proxy that follows the IMAP conversation and cuts it at a chosen moment; or lies a little.

    with CuttingProxy(host, port, cut=Cut(Moment(Place.SENT, "APPEND"), 3, Action.RST)) as proxy:
        ...                       # connect to proxy.host, proxy.port
    assert proxy.fired            # a cut that never came proves nothing

It counts, complete once the proxy is closed: `commands` by verb and `messages` (the literals of
APPENDs) are what the client sent, `answered` and `acknowledged` what it was told OK to, and
`moments` how often each moment came, from which a test draws its cuts. `filters` rewrite the
server's lines; `chunk` hands the server's bytes on in pieces of that size. Every connection has one
thread with blocking sockets, so that all that goes before a cut has left before it falls.
"""

import re
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.faults.framing import ClientSide, Conversation, Moment, ServerSide, Step

HOST = "127.0.0.1"
READ = 1 << 17
LINGER = 2.0
"""Seconds for which the other side may go on talking after a FIN."""

Filter = Callable[[bytes], bytes]


class Action(StrEnum):
    """How the connection ends: orderly, hard, or not at all (nothing moves any more)."""

    FIN = "FIN"
    RST = "RST"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Cut:
    """Falls when `moment` comes for the `nth` time (from 1), counted over all connections."""

    moment: Moment
    nth: int
    action: Action

    def __str__(self) -> str:
        return f"{self.action} {self.moment}, number {self.nth}"


class CuttingProxy:
    """See the module's docstring. Counting goes on after the cut; one cut falls at most."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        cut: Cut | None = None,
        filters: Sequence[Filter] = (),
        chunk: int | None = None,
    ) -> None:
        self.host = HOST
        self.port = 0
        self.fired = False
        self.commands: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.messages = 0
        self.acknowledged = 0
        self.connections = 0
        self.moments: Counter[Moment] = Counter()
        self._upstream = (host, port)
        self._cut = cut
        self._filters = filters
        self._chunk = chunk
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LINGER + 5)
        self._listener.close()

    def falls(self, moment: Moment) -> bool:
        """Whether the cut falls at this very moment; called once for each."""
        with self._lock:
            self.moments[moment] += 1
            cut = self._cut
            if cut is None or self.fired or moment != cut.moment:
                return False
            self.fired = self.moments[moment] == cut.nth
            return self.fired

    def _filtered(self, line: bytes) -> bytes:
        for one in self._filters:
            line = one(line)
        return line

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                client.close()
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(client, server), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation = Conversation()
        said = ClientSide(conversation)
        heard = ServerSide(conversation, said, self._filtered)
        try:
            self._pump(client, server, said, heard)
        except OSError:
            pass  # one side is gone, which is what the other is told below
        finally:
            with self._lock:
                self.commands += said.commands
                self.answered += heard.answered
                self.messages += said.messages
                self.acknowledged += heard.acknowledged
            client.close()
            server.close()

    def _pump(
        self, client: socket.socket, server: socket.socket, said: ClientSide, heard: ServerSide
    ) -> None:
        poll = select.poll()
        for end in (client, server):
            poll.register(end, select.POLLIN)
        while not self._closing.is_set():
            for handle, _ in poll.poll(50):
                if handle == client.fileno():
                    steps, receiver, side = said.feed(_received(client)), server, "client"
                else:
                    steps, receiver, side = heard.feed(_received(server)), client, "server"
                action = self._forward(steps, receiver, side)
                if action is not None:
                    self._end(client, server, action)
                    return

    def _forward(self, steps: Iterator[Step], receiver: socket.socket, side: str) -> Action | None:
        """Sends on what comes before the cut; gives the cut's action when it falls."""
        out = bytearray()
        for step in steps:
            if isinstance(step, bytes):
                out += step
            elif self.falls(step):
                self._send(receiver, out, side)
                assert self._cut is not None
                return self._cut.action
        self._send(receiver, out, side)
        return None

    def _send(self, receiver: socket.socket, out: bytearray, side: str) -> None:
        if self._chunk is None or side == "client":
            receiver.sendall(out)
            return
        for start in range(0, len(out), self._chunk):
            receiver.sendall(out[start : start + self._chunk])

    def _end(self, client: socket.socket, server: socket.socket, action: Action) -> None:
        if action is Action.STALL:
            self._stall(client)
        elif action is Action.RST:
            for end in (client, server):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            _hang_up(client, server)

    def _stall(self, client: socket.socket) -> None:
        """Nothing moves until the client gives up or the test is over."""
        poll = select.poll()
        poll.register(client, select.POLLRDHUP)
        while not self._closing.is_set():
            if poll.poll(50):
                return


def _received(end: socket.socket) -> bytes:
    data = end.recv(READ)
    if not data:
        raise ConnectionResetError("closed")
    return data


def strip_appenduid(line: bytes) -> bytes:
    """UIDPLUS is offered, APPENDUID never comes (C6)."""
    return re.sub(rb"\[APPENDUID [^\]]*\] ?", b"", line)


def swap_appenduid(line: bytes) -> bytes:
    """UID and UIDVALIDITY change places (A18)."""
    return re.sub(rb"\[APPENDUID (\S+) ([^\]\s]+)\]", rb"[APPENDUID \2 \1]", line)


def hide(*names: str) -> Filter:
    """These capabilities are not announced; the server still has them."""
    pattern = re.compile(
        rb" (?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")(?=[ \]\r])",
        re.IGNORECASE,
    )

    def filtered(line: bytes) -> bytes:
        return pattern.sub(b"", line) if b"CAPABILITY" in line.upper() else line

    return filtered


def _hang_up(client: socket.socket, server: socket.socket) -> None:
    """FIN to both. Closing with unread bytes would send RST, so what still comes is read away."""
    poll = select.poll()
    open_ends = {client.fileno(): client, server.fileno(): server}
    for end in (client, server):
        end.shutdown(socket.SHUT_WR)
        poll.register(end, select.POLLIN)
    deadline = time.monotonic() + LINGER
    while open_ends and time.monotonic() < deadline:
        for handle, _ in poll.poll(50):
            try:
                if open_ends[handle].recv(READ):
                    continue
            except OSError:
                pass  # reset by the other side: as closed as can be
            poll.unregister(handle)
            del open_ends[handle]
