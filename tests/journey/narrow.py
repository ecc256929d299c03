"""A narrow way to a server: so many octets a second pass, so that carrying takes its time on any
machine. Opened wide, all pass at once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PIECE = 4096


class Narrow:
    """A relay on a port of its own; each connection passes `rate` octets a second each way."""

    def __init__(self, host: str, port: int, rate: float) -> None:
        self._to = (host, port)
        self._rate: float | None = rate
        self._door = socket.create_server((host, 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def open_wide(self) -> None:
        self._rate = None

    def close(self) -> None:
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while octets := one.recv(PIECE):
                if self._rate is not None:
                    time.sleep(len(octets) / self._rate)
                other.sendall(octets)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (one, other):
                each.close()


@contextmanager
def narrow(host: str, port: int, rate: float) -> Iterator[Narrow]:
    way = Narrow(host, port, rate)
    try:
        yield way
    finally:
        way.close()
