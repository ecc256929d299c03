"""Embedded IMAP servers for a rehearsal: in memory, on loopback, a process each, no root."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from mailhaul.core.errors import BadInput

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server: plaintext IMAP on `host` and `port`, where troubles can be made; `direct`
    is the port that has none."""

    host: str
    port: int
    direct: int
    process: subprocess.Popen[bytes]

    def add_user(self, user: str, password: str) -> None:
        """An account with an empty mailbox; one that is there gets the new password."""
        _tell(self.process, f"user {quote(user, safe='')} {quote(password, safe='')}")

    def order(self, *words: str | float) -> None:
        """Gives an order of `lab.embedded`: throttle, cut, room or poison."""
        _tell(self.process, " ".join(quote(str(word), safe="-") for word in words))

    def seen(self) -> dict[tuple[str, str], int]:
        """How often each user met what: login, refused login, throttle, cut, full, poison."""
        met = json.loads(_tell(self.process, "seen"))
        return {(user, kind): count for user, kind, count in met}

    def url(self, user: str) -> str:
        """The endpoint of the user's mailbox as one writes it on the command line."""
        return f"imap://{quote(user, safe='')}@{self.host}:{self.port}"


@contextmanager
def embedded_server(name: str) -> Iterator[EmbeddedServer]:
    """Starts a server that greets as `name`; it ends with the block, and with this process.

    Raises `BadInput` when the extra `demo` is not installed.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
        [sys.executable, "-m", "mailhaul.lab.embedded", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        port, direct = map(int, _answer(process).split())
        yield EmbeddedServer(HOST, port, direct, process)
    finally:
        process.terminate()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def _tell(process: subprocess.Popen[bytes], order: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{order}\n".encode())
    process.stdin.flush()
    return _answer(process)


def _answer(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    if not line:
        raise BadInput(
            "the embedded IMAP server did not start; its reason stands above. "
            "Is it installed? pip install 'mailhaul[demo]'"
        )
    return line
