"""A plain, blocking IMAP connection to the lab's own servers: it fills mailboxes, changes them, and
reads them back by other code than mailhaul's. It trusts its server; never use it on another."""

import base64
import hashlib
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Flags
from mailhaul.imap.dates import format_internaldate
from mailhaul.imap.mailbox_names import encode
from mailhaul.lab.mail import SampleMessage, flag_text

TIMEOUT = 60.0
BATCH = 25

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_DATE = re.compile(rb'INTERNALDATE ("[^"]*")')
_LISTED = re.compile(rb'\* LIST \(([^)]*)\) (?:NIL|"[^"]*") (.+?)\r\n')
_STATUS = re.compile(rb"(MESSAGES|SIZE) (\d+)")


class Refusal(Exception):
    """The server said NO or BAD; the text is its own."""


@dataclass(frozen=True, slots=True)
class Line:
    """A response up to its end; `literals` are what stood in it as literals, in order."""

    text: bytes
    literals: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What a folder holds: each message's SHA-256 and flags, without `\\Recent`, in order."""

    messages: tuple[tuple[str, Flags], ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """A message as it lies on a server; `flags` without `\\Recent` and `date` as they are sent."""

    content: bytes
    flags: bytes
    date: bytes


class PlainConnection:
    """Logged in from the start, by PLAIN on behalf of `for_user` where that is given (RFC 4616);
    close it, or use it as a context manager."""

    def __init__(
        self, host: str, port: int, user: str, password: str, *, for_user: str = ""
    ) -> None:
        self._socket = socket.create_connection((host, port), TIMEOUT)
        self._reader = self._socket.makefile("rb")
        self._reader.readline()
        if for_user:
            proof = base64.b64encode(f"{for_user}\0{user}\0{password}".encode())
            self._socket.sendall(b"a AUTHENTICATE PLAIN\r\n")
            self._reader.readline()
            self._socket.sendall(proof + b"\r\n")
            self._answers()
        else:
            self.command(b"LOGIN %b %b" % (_quoted(user), _quoted(password)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def command(self, command: bytes) -> list[Line]:
        """The untagged responses to `command`. Raises `Refusal`."""
        self._socket.sendall(b"a %b\r\n" % command)
        return self._answers()

    def create(self, path: FolderPath) -> None:
        self.command(b"CREATE %b" % wire_name(path))

    def subscribe(self, path: FolderPath) -> None:
        self.command(b"SUBSCRIBE %b" % wire_name(path))

    def fill(self, messages: Sequence[SampleMessage]) -> None:
        """Appends the messages to their folders, which exist, in order. Wants LITERAL+."""
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            self._socket.sendall(b"".join(_append(message) for message in batch))
            for _ in batch:
                self._answers()

    def store(self, path: FolderPath, change: str) -> None:
        """Runs `UID STORE change` in the folder at `path`."""
        self.select(path)
        self.command(b"UID STORE %b" % change.encode())

    def content(self, path: FolderPath) -> Content:
        """What the folder at `path` holds; nothing when there is none."""
        try:
            count = self.select(path)
        except Refusal:
            count = 0
        if not count:
            return Content(())
        return Content(tuple(_messages(self.command(b"FETCH 1:* (FLAGS BODY.PEEK[])"))))

    def select(self, path: FolderPath) -> int:
        """Opens the folder at `path`; how many messages it holds. Raises `Refusal`."""
        lines = self.command(b"SELECT %b" % wire_name(path))
        return next(int(line.text.split()[1]) for line in lines if b" EXISTS" in line.text)

    def names(self) -> list[bytes]:
        """Every folder that can hold messages, by its name as the server sends it."""
        lines = (_LISTED.match(line.text) for line in self.command(b'LIST "" "*"'))
        return [found[2] for found in lines if found and b"\\noselect" not in found[1].lower()]

    def raw(self, name: bytes) -> list[Raw]:
        """Every message of the folder, in order; nothing when there is no such folder."""
        try:
            lines = self.command(b"EXAMINE " + name)
        except Refusal:
            return []
        if not any(b" EXISTS" in line.text and line.text.split()[1] != b"0" for line in lines):
            return []
        return list(_raw(self.command(b"FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")))

    def append_raw(self, name: bytes, message: Raw) -> None:
        """Wants LITERAL+."""
        head = b"APPEND %b (%b) %b {%d+}" % (
            *(name, message.flags, message.date, len(message.content)),
        )
        self.command(head + b"\r\n" + message.content)

    def _answers(self) -> list[Line]:
        lines: list[Line] = []
        while True:
            line = self._line()
            if line.text.startswith(b"a "):
                if not line.text.startswith(b"a OK"):
                    raise Refusal(line.text.decode(errors="replace").strip())
                return lines
            lines.append(line)

    def _line(self) -> Line:
        text = b""
        literals: list[bytes] = []
        while True:
            text += self._reader.readline()
            if not text:
                raise Refusal("the server closed the connection")
            literal = _LITERAL.search(text)
            if literal is None:
                return Line(text, tuple(literals))
            literals.append(self._reader.read(int(literal[1])))
            text += b" "


def wire_name(path: FolderPath, delimiter: str = "/") -> bytes:
    """The folder's name as a quoted string in modified UTF-7 (RFC 3501 5.1.3)."""
    return _quoted(delimiter.join(encode(component) for component in path))


def total(connection: PlainConnection) -> tuple[int, int]:
    """How many messages the mailbox holds, and octets (RFC 8438); the connection is closed."""
    counts = {b"MESSAGES": 0, b"SIZE": 0}
    with connection as line:
        for name in line.names():
            for each in line.command(b"STATUS %b (MESSAGES SIZE)" % name):
                for what, count in _STATUS.findall(each.text):
                    counts[what] += int(count)
    return counts[b"MESSAGES"], counts[b"SIZE"]


def _raw(lines: Sequence[Line]) -> Iterator[Raw]:
    for line in lines:
        flags, date = _FLAGS.search(line.text), _DATE.search(line.text)
        if flags and date and line.literals:
            words = b" ".join(word for word in flags[1].split() if word != b"\\Recent")
            yield Raw(line.literals[0], words, date[1])


def _append(message: SampleMessage) -> bytes:
    return b'a APPEND %b %b "%b" {%d+}\r\n%b\r\n' % (
        wire_name(message.folder),
        flag_text(message.flags).encode(),
        format_internaldate(message.received),
        len(message.content),
        message.content,
    )


def _messages(lines: Sequence[Line]) -> Iterator[tuple[str, Flags]]:
    for line in lines:
        flags = _FLAGS.search(line.text)
        if flags is not None and line.literals:
            words = frozenset(flags[1].decode().split()) - {"\\Recent"}
            yield hashlib.sha256(line.literals[0]).hexdigest(), words


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()
