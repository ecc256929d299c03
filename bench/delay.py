"""A wire that takes its time: half a round-trip time each way, at any throughput.

    delay.py HOST PORT MILLISECONDS       prints the port it listens on, then serves until killed

Each chunk carries the time at which it is due at the other end; nothing is limited, reordered or
joined in a way that a long line would not do. Setting up the TCP connection costs nothing here
(kernels with netem are rare, and a proxy can't hold back a handshake), for every client alike.
It runs as a process of its own, so that its CPU seconds are nobody's.
"""

import asyncio
import sys
from collections import deque

QUEUE_LIMIT = 64 << 20
"""Far above what any line holds: only there so that a client that never reads can't fill memory."""
TIMER_BIAS = 0.0010
"""Event loops sleep whole milliseconds, rounded up, and wake late: this much in all on average."""


class End(asyncio.Protocol):
    """One end of a connection through the wire; what it receives leaves late at `other`."""

    def __init__(self, wire: "Wire") -> None:
        self.wire = wire
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self.queue: deque[tuple[float, bytes]] = deque()
        self.queued = 0
        self.timer: asyncio.TimerHandle | None = None
        self.paused = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(QUEUE_LIMIT)
        self.transport = transport
        if self.other is None:
            self.other = End(self.wire)
            self.other.other = self
            self.wire.connect(self.other)

    def data_received(self, data: bytes) -> None:
        self._enqueue(data)
        self.queued += len(data)
        if self.queued > QUEUE_LIMIT and self.transport is not None and not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._enqueue(b"")
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._enqueue(b"")
        self.transport = None

    def _enqueue(self, data: bytes) -> None:
        now = self.wire.loop.time()
        self.queue.append((now + self.wire.delay, data))
        if self.timer is None:
            self.timer = self.wire.loop.call_at(self.queue[0][0], self._deliver)

    def _deliver(self) -> None:
        self.timer = None
        assert self.other is not None
        receiver = self.other.transport
        if receiver is None and not self.other.lost:
            self.timer = self.wire.loop.call_later(0.001, self._deliver)  # still connecting
            return
        limit = self.wire.loop.time() + TIMER_BIAS
        parts: list[bytes] = []
        ended = False
        while self.queue and self.queue[0][0] <= limit:
            data = self.queue.popleft()[1]
            self.queued -= len(data)
            parts.append(data)
            ended = ended or not data
        if receiver is not None:
            receiver.write(parts[0] if len(parts) == 1 else b"".join(parts))
            if ended:
                receiver.close()
        if self.paused and self.queued < QUEUE_LIMIT // 2 and self.transport is not None:
            self.paused = False
            self.transport.resume_reading()
        if self.queue:
            self.timer = self.wire.loop.call_at(self.queue[0][0], self._deliver)


class Wire:
    """The address behind the wire, and how long it takes one way, in seconds."""

    def __init__(self, host: str, port: int, delay: float) -> None:
        self.host = host
        self.port = port
        self.delay = delay - TIMER_BIAS
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()

    def connect(self, end: End) -> None:
        task = self.loop.create_task(self._connect(end))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self, end: End) -> None:
        await self.loop.create_connection(lambda: end, self.host, self.port)


async def serve(host: str, port: int, milliseconds: float) -> None:
    wire = Wire(host, port, milliseconds / 2000)
    server = await wire.loop.create_server(lambda: End(wire), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
