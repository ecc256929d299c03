"""The delaying wire as a context manager, and the proof that it delays by what it says."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SCRIPT = Path(__file__).with_name("delay.py")
PINGS = 15
VOLUME = 64 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What a wire does: round-trip time in milliseconds, throughput in MB a second."""

    round_trip: float
    throughput: float


@contextmanager
def delayed(host: str, port: int, milliseconds: float) -> Iterator[int]:
    """The port on loopback that leads to `host:port` with that round-trip time."""
    command = [sys.executable, str(SCRIPT), host, str(port), str(milliseconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def measure(milliseconds: float) -> Measured:
    """Plays ping-pong over a wire, then sends `VOLUME` octets through it one way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_echo_then_swallow, args=(server,), daemon=True)
        thread.start()
        with (
            delayed("127.0.0.1", server.getsockname()[1], milliseconds) as port,
            socket.create_connection(("127.0.0.1", port)) as line,
        ):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            trips = []
            for _ in range(PINGS):
                begun = time.perf_counter()
                line.sendall(b"p")
                line.recv(1)
                trips.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            line.sendall(b"." * VOLUME)
            line.recv(1)
            seconds = time.perf_counter() - begun - milliseconds / 1000
        thread.join()
    return Measured(median(trips), VOLUME / max(seconds, 1e-6) / 1e6)


def _echo_then_swallow(server: socket.socket) -> None:
    line, _ = server.accept()
    with line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(PINGS):
            line.sendall(line.recv(1))
        left = VOLUME
        while left:
            left -= len(line.recv(1 << 18))
        line.sendall(b"p")
