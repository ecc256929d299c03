"""A few lines of blocking IMAP for seeding and judging: no code of mailhaul, no pipelining.

What arrives from the server is trusted as far as a test server of ours can be.
"""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

LITERAL = re.compile(rb"~?\{(\d+)\}\r\n\Z")
DEADLINE = 60.0


class Failed(Exception):
    """The server said NO or BAD, or went away."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One untagged response: its text with `{n}` where literals stood, and the literals."""

    text: bytes
    literals: tuple[bytes, ...] = ()


class Plain:
    """One logged-in connection; `deadline` in seconds is for each wait."""

    def __init__(
        self, host: str, port: int, user: str, password: str, *, deadline: float = DEADLINE
    ) -> None:
        self._socket = socket.create_connection((host, port), timeout=deadline)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 16)
        self._number = 0
        while not self._file.readline().startswith((b"* OK [", b"* OK ")):
            pass
        self.command(b"LOGIN " + quoted(user.encode()) + b" " + quoted(password.encode()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def command(self, *parts: bytes) -> bytes:
        """Sends one command (each further part is a literal and what follows it in turn) and
        returns its tagged line."""
        for answer in self._run(parts):
            if isinstance(answer, bytes):
                return answer
        raise Failed("no tagged line")

    def answers(self, *parts: bytes) -> Iterator[Answer]:
        """As `command`, but gives the untagged responses as they come."""
        for answer in self._run(parts):
            if isinstance(answer, Answer):
                yield answer

    def append(
        self, folder: bytes, content: bytes, flags: Sequence[str] = (), date: str = ""
    ) -> bytes:
        """APPEND into `folder` (its wire name); `date` as in INTERNALDATE."""
        head = b"APPEND " + quoted(folder) + b" (" + " ".join(flags).encode() + b")"
        if date:
            head += b' "' + date.encode() + b'"'
        return self.command(head, content, b"")

    def _run(self, parts: Sequence[bytes]) -> Iterator[Answer | bytes]:
        self._number += 1
        tag = b"p%d" % self._number
        first, *rest = parts
        out = tag + b" " + first
        for position in range(0, len(rest), 2):
            literal, after = rest[position], rest[position + 1]
            self._socket.sendall(out + b" {%d}\r\n" % len(literal))
            while not (line := self._line().text).startswith(b"+"):
                if line.startswith(tag):
                    raise Failed(line.decode("latin-1"))
            out = literal + after
        self._socket.sendall(out + b"\r\n")
        while True:
            answer = self._line()
            if answer.text.startswith(tag + b" "):
                if not answer.text.startswith(tag + b" OK"):
                    raise Failed(f"{first.decode('latin-1')}: {answer.text.decode('latin-1')}")
                yield answer.text
                return
            yield answer

    def _line(self) -> Answer:
        text = b""
        literals: list[bytes] = []
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise Failed("the server hung up")
            text += line
            found = LITERAL.search(line)
            if found is None:
                return Answer(text.rstrip(b"\r\n"), tuple(literals))
            content = self._file.read(int(found[1]))
            if len(content) != int(found[1]):
                raise Failed("the server hung up inside a literal")
            literals.append(content)


def quoted(text: bytes) -> bytes:
    """A quoted string (RFC 3501 4.3); `text` holds no CR, LF or NUL."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
